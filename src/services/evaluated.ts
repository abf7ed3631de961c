// What an evaluation is of: a model that a worker loads, or an export that the scorer runs.
import { MAX_EDGE_TOKENS } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { EvaluateModel } from "../wire/evaluations.ts";
import { Precision } from "../wire/exports.ts";
import type { EdgeArtifact } from "../wire/exports.ts";
import type { Context } from "./context.ts";
import { artifactOf } from "./exports.ts";
import { resolveModel } from "./models.ts";
import type { ResolvedModel } from "./models.ts";

export interface Evaluated {
  /** An export has an id of its own: the checkpoint's and the precision. */
  model: ResolvedModel;
  artifact: EdgeArtifact | null;
}

const EXPORT = /^(run_[0-9A-Za-z]+@[0-9a-z.]+):([a-z0-9]+)$/;

/** The scorer answers greedily and briefly. */
function assertBrief({ generation }: EvaluateModel): void {
  if (generation.temperature !== 0) {
    const param = "generation.temperature";
    throw new ApiError("invalid_request", `${param}: an export answers greedily; set it to 0.`, { param });
  }
  if (generation.max_new_tokens > MAX_EDGE_TOKENS) {
    const param = "generation.max_new_tokens";
    const message = `${param}: an export answers with ${MAX_EDGE_TOKENS} tokens at the most; set it lower, or evaluate the checkpoint.`;
    throw new ApiError("invalid_request", message, { param });
  }
}

export async function resolveEvaluated(ctx: Context, body: EvaluateModel): Promise<Evaluated> {
  const [, checkpoint, suffix] = EXPORT.exec(body.model) ?? [];
  const precision = Precision.safeParse(suffix);
  if (checkpoint === undefined || !precision.success) {
    return { model: await resolveModel(ctx, body.model, "model"), artifact: null };
  }
  assertBrief(body);
  const model = await resolveModel(ctx, checkpoint, "model");
  const artifact = await artifactOf(ctx, model.id, precision.data);
  return { model: { ...model, id: `${model.id}:${precision.data}` }, artifact };
}
