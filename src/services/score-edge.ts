// Scores without a GPU: what is known already, and small models' exports in the scorer.
import { AUTO_EDGE_WORK, EDGE_LEAST_TOKENS, MAX_EDGE_BYTES } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { ScorerApi } from "../scorer/api.ts";
import { listExports } from "../store/exports.ts";
import type { ExportRow } from "../store/exports.ts";
import { Precision } from "../wire/exports.ts";
import type { ResponseLogprobs, ScoredResponse, ScoreOutput } from "../wire/payloads.ts";
import type { Compute } from "../wire/scores.ts";
import type { Context } from "./context.ts";
import { expectedTokens } from "./expected-tokens.ts";
import { joined, known, remember } from "./known-logprobs.ts";
import type { Sequences, Source } from "./known-logprobs.ts";
import type { ResolvedModel } from "./models.ts";
import { notes } from "./notes.ts";
import type { Pair } from "./score.ts";
import { takers } from "./workers.ts";

export interface EdgeScores {
  items: ScoredResponse[][];
  tokens: number;
  teacher_cache: ScoreOutput["teacher_cache"];
  computed_by: "edge";
  /** By how much an export's numbers differ from a worker's; null where all came from workers. */
  note: string | null;
}

/** One model's numbers, all from one source, so that they rank against each other. */
interface Side {
  source: Source;
  values: ResponseLogprobs[][];
  /** Whether they were there before. */
  hit: boolean;
  /** Mean difference of the source from PyTorch, nats a token. */
  difference: number | null;
}

/** A model's numbers, or the export that computes them. */
type Possible = { side: Side } | { row: ExportRow };
type Plan = Possible | { unavailable: string };
type Role = "teacher" | "student";
type Refusal = Extract<Awaited<ReturnType<ScorerApi["score"]>>, { ok: false }>;

const count = (values: readonly (readonly unknown[])[]): number => values.reduce((sum, item) => sum + item.length, 0);

type Values = (ResponseLogprobs | null)[][];

/** Null unless all are there. */
const complete = (values: Values = [[null]]): ResponseLogprobs[][] | null => {
  const found = values.map((item) => item.filter((value) => value !== null));
  return count(found) === count(values) ? found : null;
};

const bytesOf = ({ files }: ExportRow): number => files.reduce((sum, file) => sum + file.bytes, 0);

/** The most precise that the scorer has room for. */
async function fittingExport(ctx: Context, model: ResolvedModel): Promise<ExportRow | null> {
  const rows = await listExports(ctx.db, ctx.project.id, model.id);
  const fitting = rows.filter((row) => bytesOf(row) <= MAX_EDGE_BYTES);
  const byPrecision = Precision.options.map((precision) => fitting.find((row) => row.precision === precision));
  return byPrecision.find((row) => row !== undefined) ?? null;
}

/** Parameters times tokens to read: what the time of a score grows with. A few tokens take as long as some more. */
function workOf({ model }: ExportRow, { items }: Sequences): number {
  const cost = (text: unknown): number => Math.max(EDGE_LEAST_TOKENS, expectedTokens(text));
  const sum = (texts: readonly unknown[]): number => texts.reduce((n: number, text) => n + cost(text), 0);
  return model.parameters * items.reduce((n, { prompt, responses }) => n + sum([prompt, ...responses]), 0);
}

/** What workers have computed of it; else its export's numbers, or the export that computes them. */
async function planOf(
  ctx: Context,
  model: ResolvedModel,
  byWorkers: ResponseLogprobs[][] | null,
  { sequences, compute }: { sequences: Sequences; compute: Compute },
): Promise<Plan> {
  if (byWorkers !== null) return { side: { source: "pool", values: byWorkers, hit: true, difference: null } };
  const row = await fittingExport(ctx, model);
  if (row === null) {
    return { unavailable: "has no export that fits the edge, and not all of its log-probabilities are known" };
  }
  const [there] = await known(ctx, [model], row.precision, sequences);
  const kept = complete(there);
  if (kept !== null) return { side: sideOf(row, kept, true) };
  const left = compute === "auto" && workOf(row, sequences) > AUTO_EDGE_WORK && (await workerScores(ctx));
  return left ? { unavailable: "is left to a worker" } : { row };
}

/** Whether there is a worker to which a score can be left. */
const workerScores = async (ctx: Context): Promise<boolean> =>
  takers(await ctx.pool.workers(ctx.project.id), "score") > 0;

const sideOf = ({ precision, difference }: ExportRow, values: ResponseLogprobs[][], hit: boolean): Side => ({
  source: precision,
  values,
  hit,
  difference: difference.mean,
});

/** Computed numbers are kept; a refusal where the scorer has no room or time for them. */
async function sideFor(
  ctx: Context,
  model: ResolvedModel,
  plan: Possible,
  sequences: Sequences,
): Promise<Side | Refusal> {
  if ("side" in plan) return plan.side;
  const { row } = plan;
  const { template, maxLength, items } = sequences;
  const answer = await ctx.env.SCORER.score({
    artifact: { model: row.model, files: row.files },
    template,
    maxLength,
    items: items.map(({ prompt, responses }) => ({ prompt, responses: [...responses] })),
  });
  if (!answer.ok) return answer;
  await remember(ctx, model, row.precision, sequences, answer.value);
  return sideOf(row, answer.value, false);
}

function joinSides(teacher: Side, student: Side): EdgeScores {
  const items = teacher.values.map((item, i) =>
    item.flatMap((value, j) => {
      const other = student.values[i]?.[j];
      return other === undefined ? [] : [joined(value, other)];
    }),
  );
  const all = count(items);
  return {
    items,
    tokens: items.flat().reduce((sum, { token_ids: ids }) => sum + ids.length, 0),
    teacher_cache: teacher.hit ? { hits: all, misses: 0 } : { hits: 0, misses: all },
    computed_by: "edge",
    note: notes(noteOf("teacher", teacher), noteOf("student", student)),
  };
}

const noteOf = (role: string, { source, difference }: Side): string | null =>
  difference === null
    ? null
    : `${role}_logprob is by its ${source} export, on average ${difference.toPrecision(2)} nats a token from PyTorch.`;

/** Under `auto` a worker computes instead; `edge` says why that cannot be. */
function otherwise(compute: Compute, error: ApiError): null {
  if (compute === "auto") return null;
  throw error;
}

/** A worker may do what the scorer cannot, and says itself what nobody can. */
const refused = (compute: Compute, { code, message }: Refusal): null => otherwise(compute, new ApiError(code, message));

function unavailable(role: Role, name: string, why: string): ApiError {
  const message =
    `compute: ${role} ${name} ${why}. Export its checkpoint (POST /v1/runs/{id}/checkpoints/{step}/exports), ` +
    "have its log-probabilities computed first (POST /v1/teacher-scores), or leave compute out.";
  return new ApiError("edge_unavailable", message, { param: "compute" });
}

/** The scores, if no worker is needed; null where one is. With `edge` that is an error instead. */
export async function scoreAtEdge(
  ctx: Context,
  pair: Pair,
  sequences: Sequences,
  compute: Compute,
): Promise<EdgeScores | null> {
  if (compute === "pool") return null;
  const byWorkers = await known(ctx, [pair.teacher, pair.student], "pool", sequences);
  const planFor = (role: Role, values: Values | undefined): Promise<Plan> =>
    planOf(ctx, pair[role], complete(values), { sequences, compute });
  const teacher = await planFor("teacher", byWorkers[0]);
  const student = await planFor("student", byWorkers[1]);
  // Nothing is computed before it is clear that both can be.
  if ("unavailable" in teacher) {
    return otherwise(compute, unavailable("teacher", pair.names.teacher, teacher.unavailable));
  }
  if ("unavailable" in student) {
    return otherwise(compute, unavailable("student", pair.names.student, student.unavailable));
  }
  const byTeacher = await sideFor(ctx, pair.teacher, teacher, sequences);
  if ("ok" in byTeacher) return refused(compute, byTeacher);
  const byStudent = await sideFor(ctx, pair.student, student, sequences);
  if ("ok" in byStudent) return refused(compute, byStudent);
  const scores = joinSides(byTeacher, byStudent);
  if (!(byTeacher.hit && byStudent.hit)) await ctx.pool.countScored(ctx.project.id, scores.tokens);
  return scores;
}
