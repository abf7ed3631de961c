// Which model a run trains, and which of its weights.
import { z } from "zod";
import { ModelName } from "./common.ts";
import { InitConfig } from "./models.ts";

const KeptLayers = z.array(z.int().min(0).max(1023)).min(1).max(1024);

export const Student = z
  .union([
    z.strictObject({ model: ModelName }).meta({ id: "StudentModel" }),
    z
      .strictObject({ prune: z.strictObject({ model: ModelName, keep_layers: z.int().min(1).max(1024) }) })
      .meta({ id: "StudentPruned" }),
    z
      .strictObject({ prune: z.strictObject({ model: ModelName, layers: KeptLayers }) })
      .meta({ id: "StudentPrunedTo", description: "layers: their indices in the model, strictly increasing" }),
    z
      .strictObject({ init: z.strictObject({ config: InitConfig, tokenizer: ModelName }) })
      .meta({ id: "StudentInit", description: "random weights, drawn from the run's seed" }),
  ])
  .meta({ id: "Student" });

export const Lora = z
  .strictObject({
    rank: z.int().min(1).max(1024).default(16),
    alpha: z.number().gt(0).max(4096).default(32),
    targets: z
      .array(z.string().regex(/^[0-9A-Za-z_.-]{1,64}$/))
      .min(1)
      .max(32)
      .default(["all-linear"]),
  })
  .meta({
    id: "Lora",
    description: "low-rank adapters (arXiv 2106.09685); targets: names of linear modules, or all-linear",
  });
