// A teacher's log-probabilities of a whole data set, computed ahead: then scores against it need no GPU.
import { z } from "zod";
import { Id, ModelName, Name, Status, Template } from "./common.ts";
import { ScoreItem } from "./payloads.ts";

export const CreateTeacherScores = z
  .strictObject({
    teacher: ModelName,
    dataset: z.string().min(1).max(128),
    split: Name.default("train"),
    template: Template.default("chat"),
    limit: z.union([z.int().min(1).max(100_000), z.null()]).default(null),
  })
  .meta({ id: "CreateTeacherScores" });

export const TeacherScores = z
  .strictObject({
    object: z.enum(["teacher_scores"]),
    ...CreateTeacherScores.shape,
    responses: z.int().min(0).meta({ description: "chosen and rejected responses of the rows" }),
    known: z.int().min(0).meta({ description: "those whose log-probabilities are there; ask again for how far it is" }),
    jobs: z
      .array(z.strictObject({ id: Id, status: Status }))
      .meta({ description: "what computes the others, 64 rows each" }),
  })
  .meta({ id: "TeacherScores" });

/** What one of the jobs was asked. */
export const TeacherScoresSlice = z.strictObject({
  object: z.enum(["teacher_scores_slice"]),
  teacher: ModelName,
  template: Template,
  items: z.array(ScoreItem).min(1).max(64),
});

export type CreateTeacherScores = z.infer<typeof CreateTeacherScores>;
export type TeacherScores = z.infer<typeof TeacherScores>;
export type TeacherScoresSlice = z.infer<typeof TeacherScoresSlice>;
