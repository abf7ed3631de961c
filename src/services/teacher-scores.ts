// A teacher's log-probabilities of a data set, computed ahead of those who will ask for scores.
import type { JobState } from "../pool/api.ts";
import { countLogprobs } from "../store/logprobs.ts";
import type { Row } from "../wire/datasets.ts";
import type { ScorePayload } from "../wire/payloads.ts";
import type { CreateTeacherScores, TeacherScores, TeacherScoresSlice } from "../wire/teacher-scores.ts";
import type { Context } from "./context.ts";
import { effectiveLimit } from "./batches.ts";
import { findDataset, readSplit, splitRef } from "./datasets.ts";
import { digest, newId, resourceId } from "./identity.ts";
import { keysOf } from "./known-logprobs.ts";
import { pinned, resolveModel } from "./models.ts";
import type { ResolvedModel } from "./models.ts";
import { assertFits, assertScorable } from "./score.ts";
import { expectedTokens } from "./expected-tokens.ts";
import { submit } from "./submit.ts";

/** Rows of one job: small, since people's own requests wait behind it. */
const SLICE = 64;

type Items = ScorePayload["items"];

const responsesOf = ({ response, rejected }: Row): string[] => (rejected === null ? [response] : [response, rejected]);

function itemsOf(rows: readonly Row[], teacher: ResolvedModel, template: CreateTeacherScores["template"]): Items {
  return rows.map((row) => {
    const responses = responsesOf(row);
    assertFits(row.prompt, [teacher], `dataset row ${row.id}`);
    assertScorable(responses, template, `dataset row ${row.id}`);
    return { prompt: row.prompt, responses };
  });
}

interface Slice {
  teacher: ResolvedModel;
  request: TeacherScoresSlice;
}

async function submitSlice(ctx: Context, id: string, { teacher, request }: Slice): Promise<JobState> {
  const { template, items } = request;
  const payload = { kind: "score" as const, teacher: teacher.ref, student: teacher.ref, template, items };
  return submit(ctx, { id, asked: request, request, payload, models: [teacher.ref], cost: expectedTokens(items) });
}

/** The job that computes the slice: the one under way, or a new one, also where an earlier one's numbers have expired. */
async function computing(ctx: Context, slice: Slice): Promise<JobState> {
  const same = { ...ctx, idempotencyKey: await digest(slice.request) };
  const job = await submitSlice(ctx, await resourceId(same, "job", "POST /v1/teacher-scores"), slice);
  const under = job.status === "queued" || job.status === "running";
  return under ? job : submitSlice(ctx, newId("job"), slice);
}

/** Has what is not known computed, and says how far it is. */
export async function createTeacherScores(ctx: Context, body: CreateTeacherScores): Promise<TeacherScores> {
  const [teacher, dataset] = await Promise.all([
    resolveModel(ctx, body.teacher, "teacher"),
    findDataset(ctx, body.dataset, "dataset"),
  ]);
  const ref = splitRef(dataset, body.split, "split");
  const limit = effectiveLimit(body.limit, ref.rows);
  const items = itemsOf(await readSplit(ctx, ref, limit), teacher, body.template);
  const name = pinned(body.teacher, teacher);
  const found: Pick<TeacherScores, "responses" | "known" | "jobs"> = { responses: 0, known: 0, jobs: [] };
  for (let at = 0; at < items.length; at += SLICE) {
    const slice = items.slice(at, at + SLICE);
    const sequences = { template: body.template, maxLength: teacher.facts.context_length, items: slice };
    const keys = (await keysOf(teacher, "pool", sequences)).flat();
    const known = await countLogprobs(ctx.db, ctx.project.id, keys);
    found.responses += keys.length;
    found.known += known;
    if (known === new Set(keys).size) continue;
    const request = { object: "teacher_scores_slice" as const, teacher: name, template: body.template, items: slice };
    const { id, status } = await computing(ctx, { teacher, request });
    found.jobs.push({ id, status });
  }
  return { object: "teacher_scores", ...body, teacher: name, dataset: ref.dataset, limit, ...found };
}
