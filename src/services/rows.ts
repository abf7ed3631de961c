// The formats of a data set's lines, recognised by their fields, and the one row that every line becomes.
import { z } from "zod";
import { ApiError } from "../errors.ts";
import { Message, Messages, Name, text } from "../wire/common.ts";
import { RowId } from "../wire/datasets.ts";
import type { DatasetFormat, Row } from "../wire/datasets.ts";
import type { Line } from "./lines.ts";
import { describe } from "./problems.ts";

type Example = Pick<Row, "prompt" | "response" | "rejected">;

/** A line as a row, with the format it was read in and the columns that the format has no use for. */
export interface ParsedLine {
  row: Row;
  format: DatasetFormat;
  ignored: string[];
}

interface Format {
  name: DatasetFormat;
  /** A line that has one of these is of this format. */
  marks: readonly string[];
  columns: readonly string[];
  read: (fields: unknown) => Example;
  /** Columns inside columns that are left out. */
  ignoredInside: (fields: Record<string, unknown>) => string[];
}

const Text = text(200_000);
const Prompt = z.union([Text.min(1, "is empty; give the prompt's text"), Messages]);
/** A response as plain text, or as one turn of the assistant. */
const AssistantTurn = z
  .array(Message.extend({ role: z.literal("assistant") }))
  .length(1, "give exactly one assistant message");
const Answer = z
  .union([Text, AssistantTurn])
  .transform((answer) => (typeof answer === "string" ? answer : (answer[0]?.content ?? "")));

const nothing = (): string[] => [];
const Fields = z.record(z.string(), z.unknown());

function format<S extends z.ZodRawShape>(
  name: DatasetFormat,
  marks: readonly string[],
  shape: S,
  toExample: (fields: z.output<z.ZodObject<S>>) => Example,
  ignoredInside: Format["ignoredInside"] = nothing,
): Format {
  const schema = z.object(shape);
  return { name, marks, columns: Object.keys(shape), read: (fields) => toExample(schema.parse(fields)), ignoredInside };
}

/** The first whose marks are there. */
const FORMATS: readonly Format[] = [
  format(
    "openai_preference",
    ["preferred_output", "non_preferred_output"],
    { input: z.object({ messages: Messages }), preferred_output: AssistantTurn, non_preferred_output: AssistantTurn },
    (line) => ({
      prompt: line.input.messages,
      response: line.preferred_output[0]?.content ?? "",
      rejected: line.non_preferred_output[0]?.content ?? "",
    }),
    (fields) =>
      Object.keys(Fields.parse(fields.input))
        .filter((column) => column !== "messages")
        .map((column) => `input.${column}`),
  ),
  format(
    "prompt_chosen_rejected",
    ["chosen", "rejected"],
    { prompt: Prompt, chosen: Answer, rejected: Answer },
    (line) => ({
      prompt: line.prompt,
      response: line.chosen,
      rejected: line.rejected,
    }),
  ),
  format("messages", ["messages"], { messages: Messages }, ({ messages }) => {
    const last = messages.at(-1);
    if (last?.role !== "assistant" || messages.length < 2) {
      throw new ApiError(
        "invalid_row",
        "messages: the last turn must be the assistant's, and a prompt must come before it.",
      );
    }
    return { prompt: messages.slice(0, -1), response: last.content, rejected: null };
  }),
  format(
    "instruction",
    ["instruction"],
    {
      instruction: Text.min(1, "is empty; give the instruction's text"),
      // Alpaca's names, then Dolly's.
      input: Text.nullish(),
      output: Text.optional(),
      context: Text.nullish(),
      response: Text.optional(),
    },
    (line) => {
      const response = line.output ?? line.response;
      if (response === undefined) throw new ApiError("invalid_row", "output is required: string.");
      const input = [line.input, line.context].find((part) => typeof part === "string" && part !== "");
      const prompt = typeof input === "string" ? `${line.instruction}\n\n${input}` : line.instruction;
      return { prompt, response, rejected: null };
    },
  ),
  format("prompt_completion", ["prompt", "completion"], { prompt: Prompt, completion: Answer }, (line) => ({
    prompt: line.prompt,
    response: line.completion,
    rejected: null,
  })),
];

/** Columns that every format may have beside its own; null counts as absent, as exporters of tables write it. */
const Common = z.object({
  id: z.union([RowId, z.int().min(0).transform(String)]).nullish(),
  split: Name.nullish(),
  references: z.array(Text).min(1).max(64).nullish(),
});

const KNOWN_FORMATS =
  "prompt and completion; prompt, chosen and rejected; messages; input, preferred_output and non_preferred_output; or instruction, input and output";

function recognise(fields: Record<string, unknown>): Format {
  const found = FORMATS.find((candidate) => candidate.marks.some((mark) => (fields[mark] ?? null) !== null));
  if (found !== undefined) return found;
  throw new ApiError("invalid_row", `its fields fit no format: give ${KNOWN_FORMATS}.`);
}

function parseFields(source: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (cause) {
    throw new ApiError("invalid_row", "it is not JSON; write one JSON object a line.", { cause });
  }
  const fields = Fields.safeParse(value);
  if (!fields.success || Array.isArray(value)) throw new ApiError("invalid_row", "it is not a JSON object.");
  return fields.data;
}

function read(line: Line, defaultSplit: string): ParsedLine {
  const fields = parseFields(line.text);
  const known = recognise(fields);
  const common = Common.parse(fields);
  const example = known.read(fields);
  const used = new Set([...known.columns, ...Object.keys(Common.shape)]);
  return {
    row: {
      id: common.id ?? `row-${line.number}`,
      split: common.split ?? defaultSplit,
      prompt: example.prompt,
      response: example.response,
      rejected: example.rejected,
      references: common.references ?? [example.response],
    },
    format: known.name,
    ignored: [...Object.keys(fields).filter((column) => !used.has(column)), ...known.ignoredInside(fields)],
  };
}

/** A row's refusal: the line's number and what is wrong with it. */
export const badLine = (number: number, reason: string): ApiError =>
  new ApiError("invalid_row", `line ${number}: ${reason}`, { param: `line ${number}` });

/** One line of an upload; a bad one is an `invalid_row` that says where and why. */
export function parseLine(line: Line, defaultSplit: string): ParsedLine {
  try {
    return read(line, defaultSplit);
  } catch (error) {
    if (error instanceof z.ZodError) throw badLine(line.number, describe(error).message);
    if (error instanceof ApiError) throw badLine(line.number, error.message);
    throw error;
  }
}
