"""A model's output matrix without its layers: what a teacher needs whose work is already stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerBase

from understudy_worker.digests import own_tensors, streamed_digest, tokenizer_digest
from understudy_worker.forward import Head


@dataclass(frozen=True, eq=False)
class OutputHead:
    """What `LoadedModel` has too, of a model whose layers are not loaded."""

    head: Head
    weights_digest: str
    tokenizer_digest: str
    context_length: int


def read_output_head(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    digest: str,
    device: torch.device,
    tick: Callable[[], None],
) -> OutputHead | None:
    """From the folder's safetensors, all of whose tensors are read once, one at a time, to verify `digest`. None where the
    files name or hold other tensors than the model does."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    linear = model.get_output_embeddings()
    named = dict(own_tensors(model))
    if not isinstance(linear, nn.Linear):
        return None
    with ExitStack() as stack:
        tensors = {}
        for path in _weight_files(folder):
            file = stack.enter_context(safe_open(path, framework="pt"))
            tensors |= dict.fromkeys(file.keys(), file)

        def read(name: str) -> Tensor:
            tensor: Tensor = tensors[name].get_tensor(name)
            return tensor.float() if tensor.is_floating_point() else tensor

        if tensors.keys() != named.keys() or streamed_digest(named, read, on_tensor=tick) != digest:
            return None
        for leaf in ("weight", "bias"):
            names = [name for name, tensor in named.items() if tensor is getattr(linear, leaf)]
            if names:
                value = read(names[0]).to(device, copy=True)
                setattr(linear, leaf, nn.Parameter(value, requires_grad=False))
    return OutputHead(
        head=Head(linear, config),
        weights_digest=digest,
        tokenizer_digest=tokenizer_digest(tokenizer),
        context_length=config.max_position_embeddings,
    )


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    return [folder / "model.safetensors"]
