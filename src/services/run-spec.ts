// What a run asks for becomes what a worker needs: every name resolved, every default filled.
import type { CreateRun, RunSpec } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { findDataset, splitRef } from "./datasets.ts";
import { assertEvaluable } from "./evaluate.ts";
import { assertSameTokenizer, pinned, resolveModel } from "./models.ts";
import type { ResolvedModel } from "./models.ts";
import { assertConsistent, needsTeacher } from "./run-rules.ts";
import { resolveStudent } from "./students.ts";

export interface PreparedRun {
  /** What was asked, as the run records it. */
  request: CreateRun;
  spec: RunSpec;
}

const resolveTeacher = (ctx: Context, { teacher }: CreateRun): Promise<ResolvedModel> | null =>
  teacher === null ? null : resolveModel(ctx, teacher, "teacher");

/** The checkpoint whose implicit reward the run maximises. */
function resolveReward(ctx: Context, { objective }: CreateRun): Promise<ResolvedModel> | null {
  if (objective.type !== "reward_kl" || !("implicit" in objective.reward)) return null;
  return resolveModel(ctx, objective.reward.implicit, "objective.reward.implicit");
}

async function plainText(ctx: Context, body: CreateRun): Promise<RunSpec["plain_text"]> {
  if (body.lm_coef === 0 || body.lm_dataset === null) return null;
  const dataset = await findDataset(ctx, body.lm_dataset, "lm_dataset");
  return { data: splitRef(dataset, body.lm_split, "lm_split"), coef: body.lm_coef };
}

function pinnedObjective(objective: CreateRun["objective"], reward: ResolvedModel | null): CreateRun["objective"] {
  if (objective.type !== "reward_kl" || !("implicit" in objective.reward) || reward === null) return objective;
  return { ...objective, reward: { implicit: pinned(objective.reward.implicit, reward) } };
}

function specOf(
  body: CreateRun,
  resolved: Pick<RunSpec, "teacher" | "student" | "data" | "plain_text" | "reward_model">,
): RunSpec {
  return {
    ...resolved,
    responses: body.responses,
    teacher_sampling: body.teacher_sampling,
    template: body.template,
    max_prompt_length: body.max_prompt_length,
    max_length: body.max_length,
    objective: body.objective,
    optimizer: body.optimizer,
    batch_size: body.batch_size,
    dtype: body.dtype,
    lora: body.lora,
    gradient_checkpointing: body.gradient_checkpointing,
    seed: body.seed,
    metrics_every: body.metrics_every,
    checkpoint_every: body.checkpoint_every,
  };
}

export async function prepareRun(ctx: Context, id: string, body: CreateRun): Promise<PreparedRun> {
  const [teacher, student, reward, dataset, plain_text] = await Promise.all([
    resolveTeacher(ctx, body),
    resolveStudent(ctx, id, body),
    resolveReward(ctx, body),
    findDataset(ctx, body.dataset, "dataset"),
    plainText(ctx, body),
  ]);
  const read = [student.model, teacher, reward].filter((model) => model !== null);
  assertConsistent(body, {
    contextLength: Math.min(...read.map((model) => model.facts.context_length)),
    format: dataset.body.format,
  });
  if (teacher !== null) assertSameTokenizer(teacher, student.model);
  if (reward !== null) assertSameTokenizer(reward, student.model, "objective.reward.implicit");
  const data = splitRef(dataset, body.split, "split");
  if (body.evaluation !== null) await assertEvaluable(ctx, body.evaluation, student.model);
  const request = {
    ...body,
    teacher: body.teacher === null || teacher === null ? null : pinned(body.teacher, teacher),
    student: student.asked,
    objective: pinnedObjective(body.objective, reward),
  };
  // A teacher that nothing reads is not loaded.
  const frozen = needsTeacher(body) ? (teacher?.ref ?? null) : null;
  const reward_model = reward?.ref ?? null;
  return { request, spec: specOf(request, { teacher: frozen, student: student.ref, data, plain_text, reward_model }) };
}
