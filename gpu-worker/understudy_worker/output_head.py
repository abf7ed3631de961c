"""A model's output matrix without its layers: what a teacher needs whose work is already stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerBase

from understudy_worker.digests import own_tensors, streamed_digest, tokenizer_digest
from understudy_worker.forward import Head
from understudy_worker.seeded import PROCESS


@dataclass(frozen=True, eq=False)
class OutputHead:
    """What `LoadedModel` has too, of a model whose layers are not loaded."""

    head: Head
    config: Any
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
    """From the folder's safetensors, all of whose tensors are read once, one at a time, to verify `digest`. None where
    the files name or hold other tensors than the model does, or cannot be read: loading the model says what is wrong.
    """
    try:
        linear, config = _read_linear(folder, digest=digest, tick=tick)
    except (OSError, ValueError, KeyError, SafetensorError):
        return None
    if linear is None:
        return None
    return OutputHead(
        head=Head(linear.to(device), config),
        config=config,
        weights_digest=digest,
        tokenizer_digest=tokenizer_digest(tokenizer),
        context_length=config.max_position_embeddings,
    )


def _read_linear(folder: Path, *, digest: str, tick: Callable[[], None]) -> tuple[nn.Linear | None, Any]:
    """The output matrix and the model's configuration."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with PROCESS, torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    linear = model.get_output_embeddings()
    named = dict(own_tensors(model))
    if not isinstance(linear, nn.Linear):
        return None, config
    with ExitStack() as stack:
        tensors: dict[str, Any] = {}
        for path in _weight_files(folder):
            file = stack.enter_context(safe_open(path, framework="pt"))
            tensors |= dict.fromkeys(file.keys(), file)

        def read(name: str) -> Tensor:
            tensor: Tensor = tensors[name].get_tensor(name)
            return tensor.float() if tensor.is_floating_point() else tensor

        if tensors.keys() != named.keys() or streamed_digest(named, read, on_tensor=tick) != digest:
            return None, config
        for leaf in ("weight", "bias"):
            names = [name for name, tensor in named.items() if tensor is getattr(linear, leaf)]
            if names:
                # A copy, as of a loaded model's tensors: some kernels choose their path by alignment.
                setattr(linear, leaf, nn.Parameter(read(names[0]).clone(), requires_grad=False))
    return linear, config


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    return [folder / "model.safetensors"]
