// What workers have computed is kept: the next who asks for it waits for nobody.
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import type { Output, ScoredResponse } from "../wire/payloads.ts";
import { CreatePreferences, CreateScores } from "../wire/scores.ts";
import { TeacherScoresSlice } from "../wire/teacher-scores.ts";
import { settlingContext } from "./context.ts";
import type { Context } from "./context.ts";
import { maxLengthOf, remember, shareOf } from "./known-logprobs.ts";
import type { Sequences } from "./known-logprobs.ts";
import { outputOf, requestOf } from "./results.ts";
import { promptOf, resolvePair } from "./score.ts";

/** What a job was asked and what came of it, by item and response. */
interface Kept {
  names: { teacher: string; student: string };
  sequences: Omit<Sequences, "maxLength">;
  scored: ScoredResponse[][];
}

function ofPairs(body: CreatePreferences, output: Output): Kept | null {
  const names = { teacher: body.teacher, student: body.student };
  const { template, prompts = [], pairs = [] } = body;
  if (output.kind === "score") {
    const items = pairs.map(({ prompt, chosen, rejected }) => ({ prompt, responses: [chosen, rejected] }));
    return { names, sequences: { template, items }, scored: output.items };
  }
  if (output.kind !== "compare") return null;
  const answers = output.items.map(({ teacher, student }) => [teacher, student]);
  const items = prompts.map((prompt, i) => ({
    prompt,
    responses: answers[i]?.map(({ response }) => response) ?? [],
  }));
  return { names, sequences: { template, items }, scored: answers.map((item) => item.map(({ scored }) => scored)) };
}

/** Null for a job that scored nothing. */
function keptOf(job: JobState, output: Output): Kept | null {
  const request = requestOf(job);
  const scores = CreateScores.safeParse(request);
  if (scores.success && output.kind === "score") {
    const { teacher, student, template, responses } = scores.data;
    const sequences = { template, items: [{ prompt: promptOf(scores.data), responses }] };
    return { names: { teacher, student }, sequences, scored: output.items };
  }
  const slice = TeacherScoresSlice.safeParse(request);
  if (slice.success && output.kind === "score") {
    const { teacher, template, items } = slice.data;
    return { names: { teacher, student: teacher }, sequences: { template, items }, scored: output.items };
  }
  const preferences = CreatePreferences.safeParse(request);
  return preferences.success ? ofPairs(preferences.data, output) : null;
}

async function keep(ctx: Context, { names, sequences, scored }: Kept): Promise<void> {
  const pair = await resolvePair(ctx, names);
  const whole = { ...sequences, maxLength: maxLengthOf(pair) };
  for (const role of ["teacher", "student"] as const) {
    const values = scored.map((item) => item.map((response) => shareOf(response, role)));
    await remember(ctx, pair[role], "pool", whole, values);
  }
}

/** Keeps what a completed job computed. Keeping it again changes nothing; of models that are gone nothing is kept. */
export async function keepScores(env: Env, project: string, id: string): Promise<void> {
  const ctx = await settlingContext(env, project);
  const job = ctx === null ? null : await ctx.pool.getJob(project, id);
  const output = ctx === null || job === null ? null : await outputOf(ctx, job);
  const kept = job === null || output === null ? null : keptOf(job, output);
  if (ctx === null || kept === null) return;
  try {
    await keep(ctx, kept);
  } catch (error) {
    if (!(error instanceof ApiError) || error.retryable) throw error;
  }
}
