// What an evaluation's figures are made from.
import { GRADER_VERSIONS } from "../evaluation/graders.ts";
import type { SplitRef } from "../wire/datasets.ts";
import type { Provenance } from "../wire/evaluations.ts";
import type { ModelFacts } from "../wire/models.ts";
import type { StoredDataset } from "./datasets.ts";

/** `facts`: null where the responses were given, since nothing is known of who wrote them. */
export const provenanceOf = (facts: ModelFacts | null, dataset: StoredDataset, split: SplitRef): Provenance => ({
  weights_digest: facts?.weights_digest ?? null,
  tokenizer_digest: facts?.tokenizer_digest ?? null,
  template_digest: facts?.template_digest ?? null,
  dataset_sha256: dataset.body.sha256,
  split_sha256: split.blob.sha256,
  graders: GRADER_VERSIONS,
});
