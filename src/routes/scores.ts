// Implicit rewards.
import { createRoute } from "@hono/zod-openapi";
import { DEFAULT_WAIT_S } from "../config.ts";
import { createScores } from "../services/score.ts";
import { preferWait } from "../services/wait.ts";
import { Job } from "../wire/jobs.ts";
import { CreateScores, ScoreList } from "../wire/scores.ts";
import { answerJob } from "./job-answer.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, jsonBody, newRouter } from "./router.ts";

const post = createRoute({
  method: "post",
  path: "/v1/scores",
  tags: ["scores"],
  summary: "Implicit rewards of responses to a prompt",
  ...guard("write"),
  request: { body: jsonBody(CreateScores), headers: IdempotencyHeaders.extend(WaitHeaders.shape) },
  responses: {
    200: answer(ScoreList, "the scores"),
    202: answer(Job, "not finished within the wait; see Location"),
    ...ERRORS,
  },
});

export const scores = newRouter().openapi(post, async (c) => {
  const answered = await createScores(c.var.ctx, c.req.valid("json"), preferWait(c, DEFAULT_WAIT_S));
  return answered.object === "score_list" ? c.json(answered, 200) : answerJob(c, answered, ScoreList);
});
