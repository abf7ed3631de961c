// A zod failure as one sentence that names the field and says what to do.
import type { z } from "zod";
import { ApiError } from "../errors.ts";

type Issue = z.core.$ZodIssue;

/** `responses[3].text`. */
function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, part) => {
    if (typeof part === "number") return `${name}[${part}]`;
    return name === "" ? String(part) : `${name}.${String(part)}`;
  }, "");
}

/** How far a union's branch is from what was sent: a wrong type at its root means that another branch was meant. */
function distance(issues: readonly Issue[]): number {
  const wrongRoot = issues.some((issue) => issue.path.length === 0 && issue.code === "invalid_type");
  const unknown = issues.reduce((sum, issue) => sum + (issue.code === "unrecognized_keys" ? issue.keys.length : 1), 0);
  return unknown + (wrongRoot ? 1000 : 0);
}

/** The issue to report, with its whole path: of a union, the first issue of the branch that fits best. */
function innermost(issue: Issue, base: readonly PropertyKey[] = []): { issue: Issue; path: PropertyKey[] } {
  const path = [...base, ...issue.path];
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return { issue, path };
  const best = issue.errors.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  const [first] = best;
  return first === undefined ? { issue, path } : innermost(first, path);
}

function sentence(issue: Issue, field: string): string {
  if (issue.code === "unrecognized_keys") return `unknown field ${field}; remove it.`;
  const name = field === "" ? "the body" : field;
  if (issue.code === "invalid_type" && issue.message.endsWith("received undefined"))
    return `${name} is required: ${issue.expected}.`;
  return `${name}: ${issue.message}.`;
}

/** The error's first problem: its sentence and the field at fault. */
export function describe(error: z.core.$ZodError): { message: string; param: string } {
  const [first] = error.issues;
  if (first === undefined) return { message: "the request is not valid.", param: "" };
  const { issue, path } = innermost(first);
  const field = fieldName(issue.code === "unrecognized_keys" ? [...path, issue.keys[0] ?? ""] : path);
  return { message: sentence(issue, field), param: field };
}

/** 400 that names the field; a malformed id in the path is a 404, since nothing can have it. */
export function problem(error: z.core.$ZodError, target: string): ApiError {
  const { message, param } = describe(error);
  if (target === "param") return new ApiError("not_found", "Nothing has the id that the path names.", { param });
  return new ApiError("invalid_request", message, { param });
}
