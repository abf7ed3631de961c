// Preferences between two responses.
import { createRoute } from "@hono/zod-openapi";
import { DEFAULT_WAIT_S } from "../config.ts";
import { createPreferences } from "../services/prefer.ts";
import { preferWait } from "../services/wait.ts";
import { Job } from "../wire/jobs.ts";
import { CreatePreferences, PreferenceList } from "../wire/scores.ts";
import { answerJob } from "./job-answer.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, jsonBody, newRouter } from "./router.ts";

const post = createRoute({
  method: "post",
  path: "/v1/preferences",
  tags: ["scores"],
  summary: "Preference probabilities of pairs, or of teacher against student output",
  ...guard("write"),
  request: { body: jsonBody(CreatePreferences), headers: IdempotencyHeaders.extend(WaitHeaders.shape) },
  responses: {
    200: answer(PreferenceList, "the preferences"),
    202: answer(Job, "not finished within the wait; see Location"),
    ...ERRORS,
  },
});

export const preferences = newRouter().openapi(post, async (c) => {
  const answered = await createPreferences(c.var.ctx, c.req.valid("json"), preferWait(c, DEFAULT_WAIT_S));
  return answered.object === "preference_list" ? c.json(answered, 200) : answerJob(c, answered, PreferenceList);
});
