// What a project has come to, as its HTTP API tells it: runs with their steps, evaluations with their records, boards, jobs.
// The stack that made a fixture and every later one are read by it, so it keeps only the fields that are named here.
import { z } from "zod";

const Failure = z.object({ code: z.string() }).nullable();
const Figures = z.record(z.string(), z.unknown()).nullable();

const Model = z.object({
  id: z.string(),
  name: z.string().nullable(),
  status: z.string(),
  facts: z.object({ weights_digest: z.string(), parameters: z.int(), layers: z.int() }).nullable(),
});
const Dataset = z.object({ id: z.string(), name: z.string(), splits: z.record(z.string(), z.int()) });

const StepAnswer = z.object({
  step: z.int(),
  lineage: z.int(),
  hash: z.string(),
  superseded: z.boolean(),
  metrics: z.object({ loss: z.number(), grad_norm: z.number() }),
});
const Step = StepAnswer.omit({ metrics: true }).extend(StepAnswer.shape.metrics.shape);
const Checkpoint = z.object({ id: z.string(), step: z.int(), lineage: z.int(), sha256: z.string() });
const Run = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  head: z.int(),
  target: z.int(),
  lineage: z.int(),
  head_hash: z.string().nullable(),
  state_sha256: z.string().nullable(),
  lineage_breaks: z.array(z.object({ lineage: z.int(), from: z.int(), reason: z.string() })).default([]),
  error: Failure,
});

const Evaluation = z.object({
  id: z.string(),
  status: z.string(),
  model: z.string(),
  model_name: z.string().nullable(),
  n: z.int(),
  done: z.int(),
  metrics: Figures,
  error: Failure,
});
const EvaluationRecord = z.object({
  item: z.string(),
  seed: z.int(),
  response: z.string(),
  finish_reason: z.string().nullable(),
  num_tokens: z.int().nullable(),
  metrics: z.record(z.string(), z.number().nullable()),
});

const PreferenceEvaluation = z.object({
  id: z.string(),
  status: z.string(),
  kind: z.string(),
  student: z.string(),
  teacher: z.string(),
  n: z.int(),
  done: z.int(),
  metrics: Figures,
  error: Failure,
});
const Judged = z.object({ response: z.string(), num_tokens: z.int(), implicit_reward: z.number() });
const PreferenceRecord = z.object({
  item: z.string(),
  seed: z.int().nullable(),
  chosen: Judged,
  rejected: Judged,
  margin: z.number(),
  correct: z.number().nullable(),
});

/** What names a board in a query of its leaderboard. */
const Board = z.object({
  kind: z.enum(["metric", "accuracy", "closeness"]),
  dataset: z.string(),
  split: z.string(),
  template: z.string().nullable(),
  limit: z.int().nullable(),
  pattern: z.string().nullish(),
  length_normalize: z.boolean().optional(),
  teacher: z.string().optional(),
  beta: z.number().optional(),
  generation: z.unknown().optional(),
});
const Entry = z.object({
  rank: z.int(),
  group: z.int(),
  evaluation: z.string(),
  mean: z.number(),
  low: z.number(),
  high: z.number(),
  n: z.int(),
  strength: z.unknown().optional(),
  p_vs_best: z.number().nullable(),
  p_vs_previous: z.number().nullable(),
});
const Leaderboard = z.object({ data: z.array(Entry), detectable_difference: z.number().nullable() });

const Job = z.object({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  subject: z.string().nullable(),
  error: Failure,
});
/** The numbers of a score's result. */
const Scores = z.object({
  data: z.array(z.object({ student_logprob: z.number(), teacher_logprob: z.number(), implicit_reward: z.number() })),
});

export const Outcome = z.object({
  models: z.array(Model),
  datasets: z.array(Dataset),
  runs: z.array(Run.extend({ steps: z.array(Step), checkpoints: z.array(Checkpoint) })),
  evaluations: z.array(Evaluation.extend({ records: z.array(EvaluationRecord) })),
  preference_evaluations: z.array(PreferenceEvaluation.extend({ records: z.array(PreferenceRecord) })),
  boards: z.array(Board.extend({ leaderboard: Leaderboard })),
  jobs: z.array(Job.extend({ scores: Scores.nullable() })),
});
export type Outcome = z.infer<typeof Outcome>;

/** A running stack, and a key that may read one of its projects. */
export interface Service {
  url: string;
  key: string;
}

async function get<T>({ url, key }: Service, schema: z.ZodType<T>, path: string): Promise<T> {
  const response = await fetch(new URL(path, url), { headers: { authorization: `Bearer ${key}` } });
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  return schema.parse(await response.json());
}

/** Every item of a list, page by page. */
async function list<T>(service: Service, schema: z.ZodType<T>, path: string): Promise<T[]> {
  const Page = z.object({ data: z.array(schema), has_more: z.boolean(), last_id: z.string().nullable() });
  const all: T[] = [];
  for (let after: string | null = null; ;) {
    const page: z.infer<typeof Page> = await get(service, Page, `${path}?limit=100${after ? `&after=${after}` : ""}`);
    all.push(...page.data);
    if (!page.has_more) return all;
    after = page.last_id;
  }
}

/** The same, in an order that no clock changes. */
async function listById<T extends { id: string }>(service: Service, schema: z.ZodType<T>, path: string): Promise<T[]> {
  return (await list(service, schema, path)).sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function leaderboard(service: Service, board: z.infer<typeof Board>): Promise<z.infer<typeof Leaderboard>> {
  const { kind, template, generation, ...rest } = board;
  const query = new URLSearchParams({ template: template ?? "given" });
  if (kind !== "metric") query.set("kind", kind);
  if (kind === "closeness") query.set("generation", JSON.stringify(generation));
  for (const [name, value] of Object.entries(rest)) {
    if (value !== null && value !== undefined) query.set(name, String(value));
  }
  const path = kind === "metric" ? "/v1/leaderboard" : "/v1/preference-leaderboard";
  return get(service, Leaderboard, `${path}?${query.toString()}`);
}

async function readRun(service: Service, run: z.infer<typeof Run>): Promise<Outcome["runs"][number]> {
  const path = `/v1/runs/${run.id}`;
  const steps = await list(service, StepAnswer, `${path}/steps`);
  return {
    ...run,
    steps: steps.map(({ metrics, ...step }) => ({ ...step, ...metrics })),
    checkpoints: (await list(service, Checkpoint, `${path}/checkpoints`)).sort(
      (a, b) => a.step - b.step || a.lineage - b.lineage,
    ),
  };
}

async function readJob(service: Service, job: z.infer<typeof Job>): Promise<Outcome["jobs"][number]> {
  if (job.kind !== "score" || job.status !== "completed") return { ...job, scores: null };
  const { result } = await get(service, z.object({ result: Scores }), `/v1/jobs/${job.id}`);
  return { ...job, scores: result };
}

/** `make` of every item, one after another: the machine is small. */
async function each<T, R>(items: readonly T[], make: (item: T) => Promise<R>): Promise<R[]> {
  const made: R[] = [];
  for (const item of items) made.push(await make(item));
  return made;
}

/** Reads everything of the key's project. */
export async function readOutcome(service: Service): Promise<Outcome> {
  const withRecords =
    <R>(path: string, schema: z.ZodType<R>) =>
    async <E extends { id: string }>(evaluation: E) => {
      const records = await list(service, schema, `${path}/${evaluation.id}/records`);
      return { ...evaluation, records };
    };
  const [evaluations, preferences] = ["/v1/evaluations", "/v1/preference-evaluations"];
  return {
    models: await listById(service, Model, "/v1/models"),
    datasets: await listById(service, Dataset, "/v1/datasets"),
    runs: await each(await listById(service, Run, "/v1/runs"), (run) => readRun(service, run)),
    evaluations: await each(
      await listById(service, Evaluation, evaluations),
      withRecords(evaluations, EvaluationRecord),
    ),
    preference_evaluations: await each(
      await listById(service, PreferenceEvaluation, preferences),
      withRecords(preferences, PreferenceRecord),
    ),
    boards: await each(await list(service, Board, "/v1/boards"), async (board) => ({
      ...board,
      leaderboard: await leaderboard(service, board),
    })),
    jobs: await each(await listById(service, Job, "/v1/jobs"), (job) => readJob(service, job)),
  };
}
