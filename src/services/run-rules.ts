// What no single field of a run shows: which belong together, and which exclude each other.
import { ApiError } from "../errors.ts";
import type { DatasetFormat } from "../wire/datasets.ts";
import { DpkdObjective } from "../wire/objectives.ts";
import type { CreateRun } from "../wire/runs.ts";

type Objective = CreateRun["objective"];
type Dpkd = Extract<Objective, { type: "dpkd" }>;
type Rule = readonly [broken: boolean, param: string, message: string];

/** The formats whose rows have a rejected response. */
const PAIRED: readonly DatasetFormat[] = ["prompt_chosen_rejected", "openai_preference"];

/** Whether a run reads its teacher: as the reference, as the better answer, or for the answers themselves. */
export const needsTeacher = ({ objective, responses }: CreateRun): boolean =>
  responses === "teacher" || readsTeacher(objective);

function readsTeacher(objective: Objective): boolean {
  if (objective.type === "sft") return false;
  if (objective.type !== "dpkd" || objective.granularity === "token") return true;
  // The token level's y_t is the teacher's first choice, whatever the reference is.
  return !objective.reference_free && objective.variant !== "simpo";
}

/** Tokens that the student samples for one answer; null where it samples none. */
function sampledTokens(objective: Objective): number | null {
  switch (objective.type) {
    case "sft":
    case "seqkd":
      return null;
    case "dpkd":
      return objective.granularity === "sequence" && objective.pairs === "sampled"
        ? objective.sampling.max_new_tokens
        : null;
    case "reward_kl":
    case "minillm":
      return objective.sampling.max_new_tokens;
    default:
      return objective.on_policy_fraction > 0 ? objective.sampling.max_new_tokens : null;
  }
}

function lengthRules(body: CreateRun, contextLength: number): Rule[] {
  const { max_length: max, objective, responses, teacher_sampling } = body;
  const sampled = sampledTokens(objective);
  const answers = responses === "teacher" || objective.type === "seqkd";
  const room = `it must be below max_length (${max}), or no prompt would fit.`;
  return [
    [
      max > contextLength,
      "max_length",
      `the models' context holds ${contextLength} tokens; choose ${contextLength} or less.`,
    ],
    [
      body.max_prompt_length >= max,
      "max_prompt_length",
      `it must be below max_length (${max}), or no response would fit.`,
    ],
    [sampled !== null && sampled >= max, "objective.sampling.max_new_tokens", room],
    [answers && teacher_sampling.max_new_tokens >= max, "teacher_sampling.max_new_tokens", room],
  ];
}

function scheduleRules({ optimizer, evaluation }: CreateRun): Rule[] {
  const { total_steps: total, learning_rate: rate } = optimizer;
  return [
    [optimizer.min_learning_rate > rate, "optimizer.min_learning_rate", `it must not exceed learning_rate (${rate}).`],
    [optimizer.warmup_steps > total, "optimizer.warmup_steps", `it must not exceed total_steps (${total}).`],
    [evaluation !== null && evaluation.every > total, "evaluation.every", `it must not exceed total_steps (${total}).`],
  ];
}

function dpkdRules(objective: Dpkd, format: DatasetFormat): Rule[] {
  const { variant, granularity, pairs } = objective;
  const { lambda, gamma } = DpkdObjective.parse({ type: "dpkd" });
  const token = granularity === "token";
  const whole = 'it compares whole responses; set objective.granularity to "sequence".';
  const only = (name: string) =>
    `only the variant ${name} has it; leave it out, or set objective.variant to "${name}".`;
  return [
    [token && (variant === "ipo" || variant === "simpo"), "objective.variant", whole],
    [token && objective.length_normalize, "objective.length_normalize", whole],
    [token && pairs === "data", "objective.pairs", whole],
    [
      pairs === "data" && !PAIRED.includes(format),
      "objective.pairs",
      'the data set has no rejected responses; upload rows of prompt, chosen and rejected, or set it to "sampled".',
    ],
    [variant !== "dpop" && objective.lambda !== lambda, "objective.lambda", only("dpop")],
    [variant !== "simpo" && objective.gamma !== gamma, "objective.gamma", only("simpo")],
    [
      variant === "ipo" && objective.label_smoothing > 0,
      "objective.label_smoothing",
      "the square of ipo has none; leave it out.",
    ],
    [
      variant === "dpop" && objective.reference_free,
      "objective.reference_free",
      "the penalty of dpop is measured against the reference; leave one of the two out.",
    ],
  ];
}

function partRules(body: CreateRun): Rule[] {
  const { lm_coef, lm_dataset, lora, student, objective, responses } = body;
  return [
    [lm_coef > 0 && lm_dataset === null, "lm_dataset", "name the data set of plain text that lm_coef weighs."],
    [lm_coef === 0 && lm_dataset !== null, "lm_coef", "say how much lm_dataset weighs, or leave that out."],
    [lora !== null && "init" in student, "lora", "random weights leave nothing to adapt; leave it out."],
    [
      objective.type === "seqkd" && responses === "teacher",
      "responses",
      "seqkd learns the teacher's answers and the data's, by kd_ratio; set it to \"data\".",
    ],
    [
      needsTeacher(body) && body.teacher === null,
      "teacher",
      responses === "teacher"
        ? 'responses: "teacher" needs one.'
        : `the objective ${objective.type} needs one; only sft, and dpkd's simpo and reference_free over sequences, do without.`,
    ],
  ];
}

/** `contextLength`: of the shorter of student and teacher. `format`: of the run's data set. */
export function assertConsistent(body: CreateRun, facts: { contextLength: number; format: DatasetFormat }): void {
  const rules = [
    ...partRules(body),
    ...lengthRules(body, facts.contextLength),
    ...scheduleRules(body),
    ...(body.objective.type === "dpkd" ? dpkdRules(body.objective, facts.format) : []),
  ];
  const first = rules.find(([broken]) => broken);
  if (first === undefined) return;
  const [, param, message] = first;
  throw new ApiError("invalid_request", `${param}: ${message}`, { param });
}
