// The numbers of the demo: how the teacher is tuned, how deep the student is, how it is trained.
import { z } from "zod";
import { Generation } from "../src/wire/generation.ts";
import { DpkdObjective } from "../src/wire/objectives.ts";
import { Optimizer } from "../src/wire/runs.ts";
import recipe from "./recipe.json" with { type: "json" };

const Recipe = z.strictObject({
  keep_layers: z.int(),
  batch_size: z.int(),
  max_prompt_length: z.int(),
  max_length: z.int(),
  tune: z.strictObject({ optimizer: Optimizer }),
  distill: z.strictObject({ optimizer: Optimizer, objective: DpkdObjective.extend({ beta: z.number() }) }),
  generation: Generation,
});

export const RECIPE = Recipe.parse(recipe);
