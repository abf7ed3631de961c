// Given responses as JSON Lines: read under a cap, line by line.
import { MAX_DATASET_BYTES } from "../config.ts";
import { ApiError } from "../errors.ts";
import { EvaluateResponses, GivenResponse } from "../wire/evaluations.ts";
import { lines } from "./lines.ts";
import { describe, problem } from "./problems.ts";
import { capped } from "./stream.ts";

function badLine(number: number, why: string, cause?: unknown): ApiError {
  return new ApiError("invalid_request", `line ${number}: ${why}`, { param: `line ${number}`, cause });
}

function parseJson(number: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badLine(number, 'it is not JSON; send {"id": "...", "response": "..."} on each line.', cause);
  }
}

async function readLines(body: ReadableStream<Uint8Array> | null): Promise<EvaluateResponses["responses"]> {
  const responses: EvaluateResponses["responses"] = [];
  for await (const { number, text } of lines(capped(body, MAX_DATASET_BYTES, "The body"))) {
    if (text.trim() === "") continue;
    const parsed = GivenResponse.safeParse(parseJson(number, text));
    if (!parsed.success) throw badLine(number, describe(parsed.error).message);
    responses.push(parsed.data);
  }
  return responses;
}

/** The request that the query and the lines make together. */
export async function readGiven(
  query: Record<string, string>,
  body: ReadableStream<Uint8Array> | null,
): Promise<EvaluateResponses> {
  const { repeat = "false", ...rest } = query;
  if (repeat !== "true" && repeat !== "false")
    throw new ApiError("invalid_request", "repeat: send true or false.", { param: "repeat" });
  const parsed = EvaluateResponses.safeParse({ ...rest, repeat: repeat === "true", responses: await readLines(body) });
  if (!parsed.success) throw problem(parsed.error, "query");
  return parsed.data;
}
