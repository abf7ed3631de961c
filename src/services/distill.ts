// Distillation runs: what is asked becomes what a worker needs, every name resolved.
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import { buryRun } from "../store/projections.ts";
import { listRuns, listSteps, olderRun, runUser } from "../store/runs.ts";
import type { ModelRef } from "../wire/models.ts";
import type { CreateRun, Run, RunSpec, Step, TakeSteps } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { findDataset, splitRef } from "./datasets.ts";
import { digest, resourceId } from "./identity.ts";
import { page } from "./list.ts";
import type { Page } from "./list.ts";
import { assertSameTokenizer, pruneLayers, resolveModel } from "./models.ts";
import type { ResolvedModel } from "./models.ts";
import { settled } from "./submit.ts";
import { unwrap } from "./wait.ts";

interface Query {
  after?: string | undefined;
  limit: number;
}

interface ResolvedStudent {
  /** The model that the student is, or is cut from: tokenizer, template and context are its own. */
  model: ResolvedModel;
  ref: ModelRef;
}

async function resolveStudent(ctx: Context, run: string, student: CreateRun["student"]): Promise<ResolvedStudent> {
  if ("model" in student) {
    const model = await resolveModel(ctx, student.model, "student.model");
    return { model, ref: model.ref };
  }
  const { keep_layers, model: name } = student.prune;
  const model = await resolveModel(ctx, name, "student.prune.model");
  const layer_indices = pruneLayers(model.facts, keep_layers, "student.prune.keep_layers");
  // It has no entry in the registry: the run that makes it is its name.
  return { model, ref: { model: run, base: model.ref.base, layer_indices, weights_digest: null } };
}

async function resolveTeacher(ctx: Context, body: CreateRun): Promise<ResolvedModel | null> {
  if (body.teacher !== null) return resolveModel(ctx, body.teacher, "teacher");
  if (body.objective.type === "sft") return null;
  throw new ApiError(
    "invalid_request",
    `teacher: the objective ${body.objective.type} needs one; only sft does without.`,
    {
      param: "teacher",
    },
  );
}

const invalid = (param: string, message: string): ApiError =>
  new ApiError("invalid_request", `${param}: ${message}`, { param });

/** What no single field shows. */
function assertConsistent(body: CreateRun, contextLength: number): void {
  const { optimizer } = body;
  if (body.max_length > contextLength) {
    throw invalid("max_length", `the models' context holds ${contextLength} tokens; choose ${contextLength} or less.`);
  }
  if (body.max_prompt_length >= body.max_length) {
    throw invalid("max_prompt_length", `it must be below max_length (${body.max_length}), or no response would fit.`);
  }
  if (optimizer.min_learning_rate > optimizer.learning_rate) {
    throw invalid("optimizer.min_learning_rate", `it must not exceed learning_rate (${optimizer.learning_rate}).`);
  }
  if (optimizer.warmup_steps > optimizer.total_steps) {
    throw invalid("optimizer.warmup_steps", `it must not exceed total_steps (${optimizer.total_steps}).`);
  }
}

function specOf(body: CreateRun, parts: Pick<RunSpec, "teacher" | "student" | "data">): RunSpec {
  const { template, max_prompt_length, max_length, objective, optimizer, batch_size, dtype, seed, checkpoint_every } =
    body;
  return {
    ...parts,
    template,
    max_prompt_length,
    max_length,
    objective,
    optimizer,
    batch_size,
    dtype,
    seed,
    checkpoint_every,
  };
}

export async function createRun(ctx: Context, body: CreateRun): Promise<Run> {
  const id = await resourceId(ctx, "run", "POST /v1/runs");
  const [teacher, student, dataset] = await Promise.all([
    resolveTeacher(ctx, body),
    resolveStudent(ctx, id, body.student),
    findDataset(ctx, body.dataset, "dataset"),
  ]);
  if (teacher !== null) assertSameTokenizer(teacher, student.model);
  const contexts = [teacher, student.model].flatMap((model) => (model === null ? [] : [model.facts.context_length]));
  assertConsistent(body, Math.min(...contexts));
  const spec = specOf(body, {
    // SFT reads no teacher: none is loaded for it.
    teacher: body.objective.type === "sft" ? null : (teacher?.ref ?? null),
    student: student.ref,
    data: splitRef(dataset, body.split, "split"),
  });
  return unwrap(
    await ctx.pool.submitRun({ id, project: ctx.project.id, digest: await digest(body), request: body, spec }),
  ).resource;
}

/** The run, from its authority. */
export async function requireRun(ctx: Context, id: string): Promise<Run> {
  const run = await ctx.pool.getRun(ctx.project.id, id);
  if (run === null) throw new ApiError("not_found", `The project has no run ${id}; see GET /v1/runs.`);
  return run;
}

export async function runPage(ctx: Context, query: Query): Promise<Page<Run>> {
  const older = await olderRun(ctx.db, ctx.project.id, query.after);
  return page(await listRuns(ctx.db, ctx.project.id, older, query.limit + 1), query.limit);
}

export async function cancelRun(ctx: Context, id: string): Promise<Run> {
  return unwrap(await ctx.pool.cancelRun(ctx.project.id, id));
}

export async function deleteRun(ctx: Context, id: string): Promise<void> {
  await requireRun(ctx, id);
  const user = await runUser(ctx.db, ctx.project.id, id);
  if (user !== null) throw new ApiError("in_use", `A checkpoint of run ${id} is used by ${user}; delete that first.`);
  unwrap(await ctx.pool.deleteRun(ctx.project.id, id));
  // The outbox says so too; this only keeps the lists from showing it for another moment.
  await buryRun(ctx.db, id);
}

/** `{to}` is idempotent by itself; `{count}` adds to whatever the target is, so a blind retry would train further. */
export async function takeSteps(ctx: Context, run: string, ask: TakeSteps, wait: number): Promise<JobState> {
  if ("count" in ask && ctx.idempotencyKey === null) {
    throw new ApiError("idempotency_key_required", "count: send an Idempotency-Key with it, or ask for {to} instead.", {
      param: "Idempotency-Key",
    });
  }
  const { optimizer } = await requireRun(ctx, run);
  if ("to" in ask && ask.to > optimizer.total_steps) {
    throw invalid(
      "to",
      `the run has ${optimizer.total_steps} steps in all; ask for ${optimizer.total_steps} at the most.`,
    );
  }
  const job = await resourceId(ctx, "job", `POST /v1/runs/${run}/steps`);
  const request = { job, project: ctx.project.id, run, digest: await digest(ask), ask };
  return settled(ctx, unwrap(await ctx.pool.takeSteps(request)).resource, wait);
}

export async function stepPage(ctx: Context, run: string, query: Query): Promise<Page<Step>> {
  await requireRun(ctx, run);
  return page(await listSteps(ctx.db, run, query.after, query.limit + 1), query.limit);
}
