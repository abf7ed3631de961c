// An exported model, as tests say it.
import type { EdgeModel, Precision } from "../../src/wire/exports.ts";
import { hash } from "../services/hash.ts";

export const edgeModel = (precision: Precision, changes: Partial<EdgeModel> = {}): EdgeModel => ({
  precision,
  architecture: "LlamaForCausalLM",
  parameters: 1_000_000,
  layers: 3,
  hidden_size: 64,
  key_value_heads: 1,
  head_dim: 32,
  vocab_size: 100,
  context_length: 2048,
  likeliest: 20,
  end_id: 2,
  stop_ids: [2],
  weights_digest: hash("weights at 2"),
  tokenizer_digest: hash("tokenizer"),
  template_digest: hash("template"),
  ...changes,
});
