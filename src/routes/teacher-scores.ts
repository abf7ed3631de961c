// A teacher's log-probabilities of a data set, ahead of time.
import { createRoute } from "@hono/zod-openapi";
import { createTeacherScores } from "../services/teacher-scores.ts";
import { CreateTeacherScores, TeacherScores } from "../wire/teacher-scores.ts";
import { ERRORS, answer, guard, jsonBody, newRouter } from "./router.ts";

const post = createRoute({
  method: "post",
  path: "/v1/teacher-scores",
  tags: ["scores"],
  summary:
    "Compute a teacher's log-probabilities of a data set, and say how far that is; what is known is not computed again",
  ...guard("write"),
  request: { body: jsonBody(CreateTeacherScores) },
  responses: {
    200: answer(TeacherScores, "all are known"),
    202: answer(TeacherScores, "under way; ask again"),
    ...ERRORS,
  },
});

export const teacherScores = newRouter().openapi(post, async (c) => {
  const scores = await createTeacherScores(c.var.ctx, c.req.valid("json"));
  return c.json(scores, scores.jobs.length === 0 ? 200 : 202);
});
