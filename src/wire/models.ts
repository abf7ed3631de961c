// The model registry: what a client registers, what a worker loads, what the worker found.
import { z } from "zod";
import { FileRef } from "./blobs.ts";
import { Failure, Id, ModelName, Name, Seed, Sha256, Timestamp, listOf } from "./common.ts";

const HubRepo = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,95}\/[0-9A-Za-z][0-9A-Za-z._-]{0,95}$/);
const Revision = z.string().regex(/^[0-9a-f]{40}$/);
const GgufFile = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,127}\.gguf$/);
const LayerIndices = z.array(z.int().min(0).max(1023)).min(1).max(1024);

export const HubSource = z
  .strictObject({
    type: z.enum(["hub"]),
    repo: HubRepo,
    revision: Revision,
    gguf_file: z.union([GgufFile, z.null()]).default(null),
  })
  .meta({
    id: "HubSource",
    description: "a Hub repository at one commit (40 hexadecimal digits); optionally a GGUF file in it",
  });

export const LocalSource = z
  .strictObject({ type: z.enum(["local"]), name: Name })
  .meta({ id: "LocalSource", description: "a model that a worker's own command line declares: --models name=path" });

export const PruneSource = z
  .strictObject({ type: z.enum(["prune"]), model: ModelName, keep_layers: z.int().min(1).max(1024) })
  .meta({ id: "PruneSource", description: "a copy that keeps layers floor(i*(L-1)/(k-1)+0.5), i = 0..k-1" });

/** A Llama-like model of these sizes; its vocabulary is its tokenizer's model's. */
export const InitConfig = z
  .strictObject({
    model_type: z.enum(["llama"]).default("llama"),
    hidden_size: z.int().min(8).max(16_384),
    intermediate_size: z.int().min(8).max(65_536),
    num_hidden_layers: z.int().min(1).max(1024),
    num_attention_heads: z.int().min(1).max(256),
    num_key_value_heads: z.int().min(1).max(256),
    max_position_embeddings: z.int().min(2).max(131_072).default(2048),
    tie_word_embeddings: z.boolean().default(true),
  })
  .meta({ id: "InitConfig" });

export const ModelSource = z
  .discriminatedUnion("type", [HubSource, LocalSource, PruneSource])
  .meta({ id: "ModelSource" });

export const CreateModel = z.strictObject({ name: Name, source: ModelSource }).meta({ id: "CreateModel" });

/** What a worker measured when it first loaded the model. */
export const ModelFacts = z
  .strictObject({
    architecture: z.string(),
    layers: z.int().min(1),
    parameters: z.int().min(1),
    vocab_size: z.int().min(1),
    context_length: z.int().min(1),
    layer_indices: z.union([LayerIndices, z.null()]),
    weights_digest: Sha256,
    tokenizer_digest: Sha256,
    template_digest: Sha256,
  })
  .meta({ id: "ModelFacts" });

export const Model = z
  .strictObject({
    id: Id,
    object: z.enum(["model"]),
    created: z.int(),
    owned_by: z.string(),
    created_at: Timestamp,
    name: z.union([Name, z.null()]),
    status: z.enum(["queued", "ready", "failed"]),
    source: z.union([ModelSource, z.strictObject({ type: z.enum(["checkpoint"]), run: Id, step: z.int() })]),
    facts: z.union([ModelFacts, z.null()]),
    job: z.union([Id, z.null()]),
    error: z.union([Failure, z.null()]),
  })
  .meta({ id: "Model" });

export const ModelList = listOf(Model).meta({ id: "ModelList" });

const FilesSource = z
  .strictObject({ type: z.enum(["files"]), files: z.array(FileRef).min(1).max(64) })
  .meta({ id: "FilesSource", description: "a checkpoint: safetensors, config, tokenizer" });

/** Where a tokenizer comes from: the folder of a model. */
const StoredModel = z.discriminatedUnion("type", [HubSource, LocalSource, FilesSource]).meta({ id: "StoredModel" });

const InitSource = z
  .strictObject({ type: z.enum(["init"]), config: InitConfig, tokenizer: StoredModel, seed: Seed })
  .meta({ id: "InitSource", description: "random weights, a function of config, the tokenizer's model and seed" });

/** Weights as a worker finds them, before any layer is dropped. */
export const ModelBase = z
  .discriminatedUnion("type", [HubSource, LocalSource, FilesSource, InitSource])
  .meta({ id: "ModelBase" });

/** All that a worker needs to hold a model; `digest` is null until a worker has prepared it once, then verified at every load. */
export const ModelRef = z
  .strictObject({
    model: Id,
    base: ModelBase,
    layer_indices: z.union([LayerIndices, z.null()]),
    weights_digest: z.union([Sha256, z.null()]),
  })
  .meta({ id: "ModelRef", description: "layer_indices: the base's layers that are kept, null for all" });

export type ModelSource = z.infer<typeof ModelSource>;
export type ModelFacts = z.infer<typeof ModelFacts>;
export type ModelBase = z.infer<typeof ModelBase>;
export type ModelRef = z.infer<typeof ModelRef>;
export type Model = z.infer<typeof Model>;
export type CreateModel = z.infer<typeof CreateModel>;
