"""A shallower copy of a model: some of its decoder layers, renumbered."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from understudy_worker.errors import WorkerError

# Where decoder layers live: Llama, Qwen, Mistral and most others; GPT-2 and kin; GPT-NeoX is `layers` too.
LAYER_LISTS = ("layers", "h")


def decoder_layers(model: PreTrainedModel) -> tuple[nn.Module, str]:
    """The module that owns the list of decoder layers, and the list's name in it."""
    body = model.base_model
    for owner in (body, getattr(body, "decoder", None)):
        for name in LAYER_LISTS:
            if isinstance(getattr(owner, name, None), nn.ModuleList):
                assert owner is not None
                return owner, name
    raise WorkerError(
        "unsupported_architecture",
        f"{type(model).__name__}: no list of decoder layers named {' or '.join(LAYER_LISTS)}",
    )


def keep_layers(model: PreTrainedModel, *, indices: list[int]) -> None:
    """Keep the decoder layers of `indices` (strictly increasing), in place; the cache's layer numbers follow."""
    owner, name = decoder_layers(model)
    layers = getattr(owner, name)
    depth = len(layers)
    if indices != sorted(set(indices)) or indices[-1] >= depth:
        raise WorkerError(
            "invalid_layers", f"layers to keep must be strictly increasing and below {depth}; got {indices[:8]}"
        )
    kept = nn.ModuleList(layers[index] for index in indices)
    for position, layer in enumerate(kept):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = position  # type: ignore[assignment]
    setattr(owner, name, kept)
    _shorten(model.config, depth=depth, indices=indices)


def _shorten(config: Any, *, depth: int, indices: list[int]) -> None:
    """Make the configuration describe the kept layers: their number, and every per-layer list."""
    for key, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == depth and "layer" in key:
            setattr(config, key, [value[index] for index in indices])
    config.num_hidden_layers = len(indices)
