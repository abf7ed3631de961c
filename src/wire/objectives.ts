// What a run minimises: one member of a union by `type`, each with its own fields only. Formulas: docs/method.md.
import { z } from "zod";
import { ModelName } from "./common.ts";

const KdRatio = z.number().min(0).max(1).default(0.5);
const Beta = z.number().gt(0).max(100);
const Temperature = z.number().min(0.01).max(100).default(1);

/** How the student answers its own prompts during training. Each block of `refresh_every` steps is sampled at once,
 * from the student as it is before the block's first step. */
export const Sampling = z
  .strictObject({
    temperature: z.number().min(0).max(10).default(1),
    top_p: z.number().gt(0).max(1).default(1),
    max_new_tokens: z.int().min(1).max(1024).default(128),
    refresh_every: z.int().min(1).max(1000).default(16),
  })
  .meta({ id: "Sampling", description: "temperature 0 is greedy" });

/** How the teacher answers, once a row, where a run trains on its answers. */
export const TeacherSampling = z
  .strictObject({
    temperature: z.number().min(0).max(10).default(0),
    top_p: z.number().gt(0).max(1).default(1),
    max_new_tokens: z.int().min(1).max(1024).default(128),
  })
  .meta({ id: "TeacherSampling", description: "temperature 0 is greedy" });

/** DPKD (arXiv 2406.19774); the formulas of each granularity and variant are in docs/method.md. */
export const DpkdObjective = z
  .strictObject({
    type: z.enum(["dpkd"]),
    granularity: z.enum(["token", "sequence"]).default("token"),
    variant: z.enum(["sigmoid", "ipo", "dpop", "simpo"]).default("sigmoid"),
    beta: z.union([Beta, z.null()]).default(null).meta({ description: "null: 0.1, and 2.0 for simpo" }),
    label_smoothing: z.number().min(0).lt(0.5).default(0),
    length_normalize: z.boolean().default(false),
    reference_free: z.boolean().default(false),
    lambda: z.number().min(0).max(1e6).default(50).meta({ description: "dpop's weight" }),
    gamma: z.number().min(0).max(1e3).default(1).meta({ description: "simpo's target margin" }),
    pairs: z.enum(["sampled", "data"]).default("sampled"),
    sampling: Sampling.prefault({}),
    kd_ratio: KdRatio,
  })
  .meta({ id: "DpkdObjective" });

export const Reward = z
  .union([
    z.strictObject({ grader: z.enum(["exact_match"]) }).meta({ id: "GraderReward" }),
    z.strictObject({ implicit: ModelName }).meta({ id: "ImplicitReward" }),
  ])
  .meta({ id: "Reward" });

/** DPKD's first stage: maximise E_q[R] - beta KL(q || p) for a given reward R. */
export const RewardKlObjective = z
  .strictObject({
    type: z.enum(["reward_kl"]),
    reward: Reward,
    beta: Beta.default(0.1),
    sampling: Sampling.prefault({}),
    kd_ratio: KdRatio,
  })
  .meta({ id: "RewardKlObjective" });

/** Cross entropy on response tokens; needs no teacher. */
export const SftObjective = z.strictObject({ type: z.enum(["sft"]) }).meta({ id: "SftObjective" });

/** Cross entropy on the teacher's own answers (arXiv 1606.07947). */
export const SeqKdObjective = z
  .strictObject({ type: z.enum(["seqkd"]), kd_ratio: z.number().min(0).max(1).default(1) })
  .meta({ id: "SeqKdObjective" });

/** MiniLLM (arXiv 2306.08543): reverse KL over sequences by policy gradient. */
export const MiniLlmObjective = z
  .strictObject({
    type: z.enum(["minillm"]),
    length_normalize: z.boolean().default(true),
    sampling: Sampling.prefault({}),
    kd_ratio: KdRatio,
  })
  .meta({ id: "MiniLlmObjective" });

/** What the divergences of two next-token distributions share: on `on_policy_fraction` of the rows the response is the
 * student's own (GKD, arXiv 2306.13649). */
const divergence = {
  temperature: Temperature,
  on_policy_fraction: z.number().min(0).max(1).default(0),
  sampling: Sampling.prefault({}),
  kd_ratio: KdRatio,
};

export const ForwardKlObjective = z
  .strictObject({ type: z.enum(["forward_kl"]), ...divergence })
  .meta({ id: "ForwardKlObjective" });

export const ReverseKlObjective = z
  .strictObject({ type: z.enum(["reverse_kl"]), ...divergence })
  .meta({ id: "ReverseKlObjective" });

/** Generalised Jensen-Shannon divergence: M = w p + (1-w) q; 0 is forward KL, 1 reverse KL. */
export const JsdObjective = z
  .strictObject({ type: z.enum(["jsd"]), interpolation: z.number().min(0).max(1).default(0.5), ...divergence })
  .meta({ id: "JsdObjective" });

/** The share of the first distribution that a skew KL mixes into the second. */
const Skew = z.number().min(0).lt(1).default(0.1);

/** DistiLLM (arXiv 2402.03898): KL(p || a p + (1-a) q). */
export const SkewForwardKlObjective = z
  .strictObject({ type: z.enum(["skew_forward_kl"]), skew: Skew, ...divergence })
  .meta({ id: "SkewForwardKlObjective" });

/** DistiLLM (arXiv 2402.03898): KL(q || (1-a) p + a q). */
export const SkewReverseKlObjective = z
  .strictObject({ type: z.enum(["skew_reverse_kl"]), skew: Skew, ...divergence })
  .meta({ id: "SkewReverseKlObjective" });

/** Total variation distance (arXiv 2307.15190). */
export const TvdObjective = z.strictObject({ type: z.enum(["tvd"]), ...divergence }).meta({ id: "TvdObjective" });

/** Adaptive KL (arXiv 2404.02657): forward and reverse KL weighted by where the two distributions differ. */
export const AdaptiveKlObjective = z
  .strictObject({ type: z.enum(["adaptive_kl"]), head_mass: z.number().gt(0).lt(1).default(0.5), ...divergence })
  .meta({ id: "AdaptiveKlObjective" });

export const Objective = z
  .discriminatedUnion("type", [
    DpkdObjective,
    RewardKlObjective,
    SftObjective,
    SeqKdObjective,
    MiniLlmObjective,
    ForwardKlObjective,
    ReverseKlObjective,
    JsdObjective,
    SkewForwardKlObjective,
    SkewReverseKlObjective,
    TvdObjective,
    AdaptiveKlObjective,
  ])
  .meta({ id: "Objective" });
