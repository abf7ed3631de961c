// What every message shares: text, identifiers, lists, errors.
// `src/wire` imports zod and nothing else; the OpenAPI document, the Python types and the SDK's types are made from it.
import { z } from "zod";

/** Unicode text that both languages accept: lone surrogates are refused (pydantic would refuse the whole frame). */
export const text = (max: number) =>
  z
    .string()
    .max(max)
    .refine((value) => value.isWellFormed(), { message: "contains a lone surrogate; send well-formed Unicode" });

/** What records are searched for. */
export const SearchText = text(200).min(1);

/** Lower-case hexadecimal SHA-256. */
export const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ id: "Sha256", description: "SHA-256, 64 lower-case hexadecimal digits" });

/** Server-made identifier such as `run_3k...`, or a checkpoint such as `run_x@120`. */
export const Id = z
  .string()
  .regex(/^[a-z]+_[0-9A-Za-z]{1,64}(@[0-9]{1,9}(\.[0-9]{1,6})?)?$/)
  .meta({ id: "Id" });

/** A name that its owner chose: letters, digits, `.`, `_`, `-`; begins with a letter or digit. */
export const Name = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/)
  .meta({ id: "Name", description: "1 to 64 letters, digits, '.', '_' or '-'; begins with a letter or a digit" });

/** A model wherever one is named: its id, its name in the project, a checkpoint id, or a checkpoint's export. */
export const ModelName = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._@:-]{0,127}$/)
  .meta({
    id: "ModelName",
    description:
      "a model's id, its name in the project, a checkpoint such as run_x@120, or, of evaluations, an export such as run_x@120:int8",
  });

/** ISO 8601 in UTC with milliseconds. */
export const Timestamp = z
  .string()
  .regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/)
  .meta({ id: "Timestamp" });

/** 32-bit seeds: the same integer in JavaScript, Python and torch. */
export const Seed = z.int().min(0).max(4_294_967_295).meta({ id: "Seed" });

export const Template = z.enum(["chat", "alpaca", "raw"]).meta({
  id: "Template",
  description: "how a prompt becomes text: the model's chat template, Alpaca's, or exactly as given",
});

export const Message = z
  .strictObject({ role: z.enum(["system", "user", "assistant"]), content: text(200_000) })
  .meta({ id: "Message" });

export const Messages = z.array(Message).min(1).max(256).meta({ id: "Messages" });

/** A prompt: plain text (one user turn under `chat`), or the turns before the response. */
export const Prompt = z.union([text(200_000).min(1), Messages]).meta({ id: "Prompt" });

/** What went wrong, in the shape of both conventions: OpenAI's `error` object and RFC 9457 problem details. */
export const ErrorBody = z
  .strictObject({
    error: z.strictObject({
      message: z.string(),
      type: z.string(),
      param: z.union([z.string(), z.null()]),
      code: z.string(),
    }),
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
  })
  .meta({ id: "ErrorBody" });

/** Why a job or a run failed, as its record keeps it. */
export const Failure = z
  .strictObject({ code: z.string(), message: z.string(), retryable: z.boolean() })
  .meta({ id: "Failure" });

export const Status = z.enum(["queued", "running", "completed", "failed", "cancelled"]).meta({ id: "Status" });

/** A page of a list; `after` takes the last item's `id`. */
export const listOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({
    object: z.enum(["list"]),
    data: z.array(item),
    has_more: z.boolean(),
    first_id: z.union([z.string(), z.null()]),
    last_id: z.union([z.string(), z.null()]),
  });

export const PageQuery = z.strictObject({
  after: z.string().max(128).optional().meta({ description: "the id of the last item already seen" }),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

export type Sha256 = z.infer<typeof Sha256>;
export type Message = z.infer<typeof Message>;
export type Prompt = z.infer<typeof Prompt>;
export type Template = z.infer<typeof Template>;
export type Status = z.infer<typeof Status>;
export type Failure = z.infer<typeof Failure>;
export type ErrorBody = z.infer<typeof ErrorBody>;
