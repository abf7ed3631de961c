"""A model of random weights."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from understudy_worker.packed import ATTENTION
from understudy_worker.seeded import seeded
from understudy_worker.wire import InitSource


def new_model(folder: Path, source: InitSource) -> PreTrainedModel:
    """As transformers draws a Llama's weights; they are a function of the sizes, the seed, and the vocabulary and
    special tokens of the model in `folder`."""
    other = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    sizes = source.config.model_dump(exclude={"model_type"})
    config = LlamaConfig(
        **sizes,
        vocab_size=other.vocab_size,
        bos_token_id=other.bos_token_id,
        eos_token_id=other.eos_token_id,
        pad_token_id=other.pad_token_id,
    )
    config._attn_implementation = ATTENTION
    with seeded(f"init:{source.seed}"):
        model = LlamaForCausalLM(config)
    model.train(False)
    return model
