// Implicit rewards of responses, and preferences between them. Log-probabilities are in nats.
import { z } from "zod";
import { Id, Messages, ModelName, Prompt, Template, text } from "./common.ts";
import { Generation } from "./generation.ts";
import { TeacherCacheUse } from "./payloads.ts";

export const Beta = z.number().gt(0).max(100);
export const DEFAULT_BETA = 0.1;
export const Response = text(200_000).meta({ id: "Response" });

/** Who computes: `edge` is the log-probabilities that are kept, and small models' exports in the scorer. */
export const Compute = z.enum(["auto", "edge", "pool"]).meta({ id: "Compute" });

export const CreateScores = z
  .strictObject({
    teacher: ModelName,
    student: ModelName,
    prompt: text(200_000).min(1).optional(),
    messages: Messages.optional(),
    responses: z.array(Response).min(1).max(64),
    beta: Beta.default(DEFAULT_BETA),
    length_normalize: z.boolean().default(false),
    template: Template.default("chat"),
    return_tokens: z.boolean().default(false),
    compute: Compute.default("auto"),
  })
  .refine((body) => (body.prompt === undefined) !== (body.messages === undefined), {
    message: "give exactly one of prompt and messages",
    path: ["prompt"],
  })
  .meta({ id: "CreateScores" });

export const TokenScore = z
  .strictObject({
    id: z.int().min(0),
    text: z.string(),
    teacher_logprob: z.number(),
    student_logprob: z.number(),
    implicit_reward: z.number(),
  })
  .meta({ id: "TokenScore" });

export const Score = z
  .strictObject({
    index: z.int().min(0),
    num_tokens: z.int().min(0),
    teacher_logprob: z.number(),
    student_logprob: z.number(),
    implicit_reward: z.number(),
    preference: z.number().min(0).max(1),
    rank: z.int().min(1),
    tokens: z.union([z.array(TokenScore), z.null()]),
  })
  .meta({ id: "Score" });

const Usage = z.strictObject({ tokens: z.int().min(0) }).meta({ id: "TokenUsage" });
const Note = z.union([z.string(), z.null()]);

export const ScoreList = z
  .strictObject({
    object: z.enum(["score_list"]),
    id: Id,
    teacher: ModelName,
    student: ModelName,
    beta: z.number(),
    length_normalize: z.boolean(),
    data: z.array(Score),
    pairwise: z.array(z.array(z.number().min(0).max(1))),
    computed_by: z.enum(["pool", "edge"]),
    teacher_cache: TeacherCacheUse,
    usage: Usage,
    note: Note.meta({
      description: "what a reader could misread: length normalisation is a heuristic, Z(x) no longer cancels",
    }),
  })
  .meta({ id: "ScoreList" });

export const PreferencePair = z
  .strictObject({ prompt: Prompt, chosen: Response, rejected: Response })
  .meta({ id: "PreferencePair" });

export const CreatePreferences = z
  .strictObject({
    teacher: ModelName,
    student: ModelName,
    beta: Beta.default(DEFAULT_BETA),
    length_normalize: z.boolean().default(false),
    template: Template.default("chat"),
    compute: Compute.default("auto"),
    pairs: z.array(PreferencePair).min(1).max(64).optional(),
    prompts: z.array(Prompt).min(1).max(32).optional(),
    generation: Generation.optional(),
  })
  .refine((body) => (body.pairs === undefined) !== (body.prompts === undefined), {
    message: "give exactly one of pairs and prompts",
    path: ["pairs"],
  })
  .refine((body) => body.generation === undefined || body.prompts !== undefined, {
    message: "generation belongs to prompts: with pairs nothing is generated",
    path: ["generation"],
  })
  .refine((body) => body.compute !== "edge" || body.prompts === undefined, {
    message: "prompts are answered by a worker; give pairs, or leave compute out",
    path: ["compute"],
  })
  .meta({ id: "CreatePreferences" });

export const Preference = z
  .strictObject({
    index: z.int().min(0),
    prompt: Prompt,
    chosen: Response,
    rejected: Response,
    chosen_reward: z.number(),
    rejected_reward: z.number(),
    margin: z.number(),
    probability: z.number().min(0).max(1),
    loss: z.number().min(0),
  })
  .meta({ id: "Preference" });

export const PreferenceList = z
  .strictObject({
    object: z.enum(["preference_list"]),
    id: Id,
    teacher: ModelName,
    student: ModelName,
    beta: z.number(),
    length_normalize: z.boolean(),
    data: z.array(Preference),
    accuracy: z.number().min(0).max(1).meta({ description: "share of pairs with margin > 0; ties count 0.5" }),
    computed_by: z.enum(["pool", "edge"]),
    usage: Usage,
    note: Note,
  })
  .meta({ id: "PreferenceList" });

export type Compute = z.infer<typeof Compute>;
export type CreateScores = z.infer<typeof CreateScores>;
export type CreatePreferences = z.infer<typeof CreatePreferences>;
export type Score = z.infer<typeof Score>;
export type ScoreList = z.infer<typeof ScoreList>;
export type Preference = z.infer<typeof Preference>;
export type PreferenceList = z.infer<typeof PreferenceList>;
