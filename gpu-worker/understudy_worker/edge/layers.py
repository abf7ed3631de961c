"""What exports know of an architecture: its linear layers, as they are rounded and as the graph has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from understudy_worker.edge.graph import MICROSOFT, Graph
from understudy_worker.edge.matrices import Matrix
from understudy_worker.errors import WorkerError
from understudy_worker.prune import decoder_layers


@dataclass(frozen=True)
class Joint:
    """Linear modules of a layer that read the same inputs: one matrix, their outputs side by side. `adds`: the output
    is added to the residual stream, whose size is what an error in it is measured by. `share` of the channels are in 4
    bits in an int4 export of a shallow model: those with the smallest inputs; the others are in 8."""

    name: str
    modules: tuple[str, ...]
    share: float
    adds: bool = False

    def of(self, layer: nn.Module) -> list[Any]:
        return [layer.get_submodule(name) for name in self.modules]

    def weight_KN(self, layer: nn.Module) -> Tensor:
        return torch.cat([_weight(module) for module in self.of(layer)], dim=1)

    def put(self, layer: nn.Module, weight_KN: Tensor) -> None:
        """Make this the layer's matrix."""
        modules = self.of(layer)
        parts = weight_KN.split([_weight(module).shape[1] for module in modules], dim=1)
        for module, part in zip(modules, parts, strict=True):
            module.weight.data.copy_(part if isinstance(module, Conv1D) else part.T)


def _weight(module: Any) -> Tensor:
    """Of a linear module, input channels first; of embeddings, those of a token as a column."""
    weight: Tensor = module.weight.detach()
    return weight if isinstance(module, Conv1D) else weight.T


@dataclass(frozen=True, eq=False)
class Weights:
    """The matrices of a model. Embeddings and output matrix are in groups of consecutive tokens; `head` is None where
    it is the embeddings. `layers` has a matrix for each joint's name."""

    embeddings: list[Matrix]
    head: list[Matrix] | None
    layers: list[dict[str, Matrix]]


def plain_weights(model: PreTrainedModel, joints: Sequence[Joint]) -> Weights:
    """As the model has them, in fp32."""
    owner, name = decoder_layers(model)
    return Weights(
        embeddings=[embeddings_KV(model)],
        head=None if is_tied(model) else [head_KV(model)],
        layers=[{joint.name: joint.weight_KN(layer) for joint in joints} for layer in getattr(owner, name)],
    )


def embeddings_KV(model: PreTrainedModel) -> Tensor:
    return _weight(model.get_input_embeddings())


def head_KV(model: PreTrainedModel) -> Tensor:
    return _weight(model.get_output_embeddings())


def is_tied(model: PreTrainedModel) -> bool:
    return embeddings_KV(model).data_ptr() == head_KV(model).data_ptr()


@dataclass(frozen=True)
class Heads:
    """Of an attention layer."""

    queries: int
    key_values: int
    size: int


def add_attention(graph: Graph, layer: int, query: str, key: str, value: str, *, heads: Heads) -> str:
    """Causal attention over what was read before and what is read now, which together are the outputs `present.`."""
    past = [f"past.{layer}.{part}" for part in ("key", "value")]
    present = [f"present.{layer}.{part}" for part in ("key", "value")]
    return graph.ops(
        "GroupQueryAttention",
        *(query, key, value, *past, "seqlens_k", "total_length"),
        names=[f"attended.{layer}", *present],
        domain=MICROSOFT,
        num_heads=heads.queries,
        kv_num_heads=heads.key_values,
    )[0]


def refuse_unless(allowed: bool, model: PreTrainedModel, what: str) -> None:
    if not allowed:
        raise WorkerError(
            "unsupported_architecture", f"{type(model).__name__} cannot be exported: the graph does not express {what}"
        )
