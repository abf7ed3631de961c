// Edge exports: a model as one ONNX graph, its weights quantised, that runs with no GPU: in a Worker or a browser.
import { z } from "zod";
import { FileRef } from "./blobs.ts";
import { Id, ModelName, Sha256, Timestamp, listOf } from "./common.ts";
import { ModelRef } from "./models.ts";

/** How weights are stored: int8 and int4 in blocks along each row, the embedding too, which is the output matrix. */
export const Precision = z.enum(["fp32", "int8", "int4"]).meta({ id: "Precision" });

export const ExportPayload = z
  .strictObject({ kind: z.enum(["export"]), model: ModelRef, precision: Precision })
  .meta({ id: "ExportPayload" });

const TokenId = z.int().min(0);

/** What runs the graph must know of the model. */
export const EdgeModel = z
  .strictObject({
    precision: Precision,
    architecture: z.string(),
    parameters: z.int().min(1),
    layers: z.int().min(1),
    hidden_size: z.int().min(1),
    key_value_heads: z.int().min(1),
    head_dim: z.int().min(1),
    vocab_size: z.int().min(1),
    context_length: z.int().min(1),
    likeliest: z
      .int()
      .min(1)
      .meta({ description: "tokens that the graph gives of each position, the likeliest first" }),
    end_id: z.union([TokenId, z.null()]).meta({ description: "closes a response under chat and alpaca" }),
    stop_ids: z.array(TokenId).max(64),
    weights_digest: Sha256,
    tokenizer_digest: Sha256,
    template_digest: Sha256,
  })
  .meta({ id: "EdgeModel" });

/** Of the artifact's log-probabilities from PyTorch's in fp32, on a fixed set of texts; absolute, nats a token. */
export const Difference = z
  .strictObject({
    responses: z.int().min(1),
    tokens: z.int().min(1),
    mean: z.number().min(0),
    max: z.number().min(0),
    allowed: z.number().gt(0).meta({ description: "the mean above which an export is refused" }),
  })
  .meta({ id: "Difference" });

/** `files`: student.onnx, the weights that it names, tokenizer.json, tokenizer_config.json. */
export const ExportOutput = z
  .strictObject({
    kind: z.enum(["export"]),
    model: EdgeModel,
    difference: Difference,
    files: z.array(FileRef).min(1).max(64),
  })
  .meta({ id: "ExportOutput" });

/** An export as it lies in R2. Immutable: `model.weights_digest` and `model.precision` name it. */
export const EdgeArtifact = z
  .strictObject({ model: EdgeModel, files: z.array(FileRef).min(1).max(64) })
  .meta({ id: "EdgeArtifact" });

export const CreateExport = z.strictObject({ precision: Precision.default("int8") }).meta({ id: "CreateExport" });

export const Export = z
  .strictObject({
    id: Id,
    object: z.enum(["export"]),
    created_at: Timestamp,
    checkpoint: ModelName,
    precision: Precision,
    bytes: z.int().min(0),
    model: EdgeModel,
    difference: Difference,
    files: z.array(z.strictObject({ name: z.string(), bytes: z.int().min(0), sha256: Sha256, href: z.string() })),
  })
  .meta({ id: "Export" });

export const ExportList = listOf(Export).meta({ id: "ExportList" });

export type Precision = z.infer<typeof Precision>;
export type EdgeModel = z.infer<typeof EdgeModel>;
export type EdgeArtifact = z.infer<typeof EdgeArtifact>;
export type Difference = z.infer<typeof Difference>;
export type ExportPayload = z.infer<typeof ExportPayload>;
export type ExportOutput = z.infer<typeof ExportOutput>;
export type Export = z.infer<typeof Export>;
