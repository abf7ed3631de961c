"""Digests by which two models are known to be the same: over what they are, never over how a file spells it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase


def canonical_json(value: Any) -> bytes:
    """One spelling for one value: sorted keys, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def json_digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def tensors_digest(named: Iterable[tuple[str, Tensor]], *, on_tensor: Callable[[], None] = lambda: None) -> str:
    """SHA-256 over tensors sorted by name: name, dtype, shape, then the little-endian bytes of each."""
    tensors = dict(named)
    return streamed_digest(tensors, tensors.__getitem__, on_tensor=on_tensor)


def streamed_digest(
    names: Iterable[str], read: Callable[[str], Tensor], *, on_tensor: Callable[[], None] = lambda: None
) -> str:
    """`tensors_digest` of tensors that are read one at a time."""
    digest = hashlib.sha256()
    for name in sorted(names):
        tensor = read(name)
        header = [name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        digest.update(canonical_json(header))
        flat = tensor.detach().to("cpu").contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
        on_tensor()
    return digest.hexdigest()


def own_tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    """The model's parameters and saved buffers, each once: torch gives a tied tensor by the name met first."""
    saved = model.state_dict(keep_vars=True)
    return [pair for pair in [*model.named_parameters(), *model.named_buffers()] if pair[0] in saved]


def weights_digest(model: nn.Module, *, on_tensor: Callable[[], None] = lambda: None) -> str:
    return tensors_digest(own_tensors(model), on_tensor=on_tensor)


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Over vocabulary, merges, added tokens, normaliser and pre-tokeniser."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    model = state["model"]
    return json_digest(
        {
            "type": model.get("type"),
            "vocab": model.get("vocab"),
            "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges") or []],
            "added_tokens": state.get("added_tokens"),
            "normalizer": state.get("normalizer"),
            "pre_tokenizer": state.get("pre_tokenizer"),
        }
    )


def template_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Over the chat template's text, which holds the default system message, and the tokens that begin and end."""
    return json_digest(
        {
            "chat_template": tokenizer.chat_template,
            "bos_token": tokenizer.bos_token,
            "eos_token": tokenizer.eos_token,
        }
    )
