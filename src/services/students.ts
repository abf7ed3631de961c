// A run's student: a model as it is, cut down, or of random weights.
import { ApiError } from "../errors.ts";
import type { ModelRef } from "../wire/models.ts";
import type { CreateRun } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { initFacts, keptLayers, pinned, pruneLayers, resolveModel } from "./models.ts";
import type { ResolvedModel } from "./models.ts";

type Student = CreateRun["student"];
type Pruned = Extract<Student, { prune: unknown }>["prune"];
type Init = Extract<Student, { init: unknown }>["init"];

export interface ResolvedStudent {
  /** The model that the student is, or is cut from, or has its tokenizer from; its context is the student's own. */
  model: ResolvedModel;
  ref: ModelRef;
  /** As the run records it. */
  asked: Student;
}

/** `run`: a student that no registry holds has its run for a name. */
export async function resolveStudent(
  ctx: Context,
  run: string,
  { student, seed }: CreateRun,
): Promise<ResolvedStudent> {
  if ("prune" in student) return prunedStudent(ctx, run, student.prune);
  if ("init" in student) return randomStudent(ctx, run, student.init, seed);
  const model = await resolveModel(ctx, student.model, "student.model");
  return { model, ref: model.ref, asked: { model: pinned(student.model, model) } };
}

async function prunedStudent(ctx: Context, run: string, prune: Pruned): Promise<ResolvedStudent> {
  const model = await resolveModel(ctx, prune.model, "student.prune.model");
  const cut = (layer_indices: number[]) => ({ model: run, base: model.ref.base, layer_indices, weights_digest: null });
  const name = pinned(prune.model, model);
  if ("layers" in prune) {
    const ref = cut(keptLayers(model.facts, prune.layers, "student.prune.layers"));
    return { model, ref, asked: { prune: { ...prune, model: name } } };
  }
  const ref = cut(pruneLayers(model.facts, prune.keep_layers, "student.prune.keep_layers"));
  return { model, ref, asked: { prune: { ...prune, model: name } } };
}

async function randomStudent(ctx: Context, run: string, init: Init, seed: number): Promise<ResolvedStudent> {
  const { config } = init;
  assertBuildable(config);
  const named = await resolveModel(ctx, init.tokenizer, "student.init.tokenizer");
  const { base } = named.ref;
  if (base.type === "init") throw new Error("a model of random weights has no name of its own");
  return {
    model: { ...named, facts: initFacts(named.facts, config) },
    ref: {
      model: run,
      base: { type: "init", config, tokenizer: base, seed },
      layer_indices: null,
      weights_digest: null,
    },
    asked: { init: { ...init, tokenizer: pinned(init.tokenizer, named) } },
  };
}

/** Every head has the same even number of dimensions (rotary embeddings turn them in pairs), every key head as many queries. */
function assertBuildable(config: Init["config"]): void {
  const { hidden_size: hidden, num_attention_heads: heads, num_key_value_heads: keys } = config;
  const refuse = (field: string, message: string): ApiError => {
    const param = `student.init.config.${field}`;
    return new ApiError("invalid_request", `${param}: ${message}`, { param });
  };
  if (hidden % (2 * heads) !== 0) {
    throw refuse("hidden_size", `give a multiple of twice num_attention_heads (${2 * heads}).`);
  }
  if (heads % keys !== 0) {
    throw refuse("num_key_value_heads", `give a divisor of num_attention_heads (${heads}).`);
  }
}
