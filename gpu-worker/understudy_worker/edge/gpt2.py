"""GPT-2 in the graph."""

from __future__ import annotations

from typing import Any

from transformers import GPT2LMHeadModel

from understudy_worker.edge.graph import Graph
from understudy_worker.edge.layers import Heads, Joint, Weights, add_attention, refuse_unless
from understudy_worker.edge.matrices import add_linear, array

JOINTS = (
    Joint("qkv", ("attn.c_attn",), share=0.4),
    Joint("o", ("attn.c_proj",), share=0.4, adds=True),
    Joint("up", ("mlp.c_fc",), share=0.75),
    Joint("down", ("mlp.c_proj",), share=0.15, adds=True),
)
# Names of one function: GELU by the hyperbolic tangent.
ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


def check(model: GPT2LMHeadModel) -> None:
    """Refuse by name what the graph does not express."""
    config = model.config
    refuse_unless(config.activation_function in ACTIVATIONS, model, f"activation_function {config.activation_function}")
    refuse_unless(config.scale_attn_weights, model, "scale_attn_weights false")
    refuse_unless(not config.scale_attn_by_inverse_layer_idx, model, "scale_attn_by_inverse_layer_idx")
    refuse_unless(not config.add_cross_attention, model, "add_cross_attention")


def heads(model: GPT2LMHeadModel) -> Heads:
    config = model.config
    return Heads(queries=config.n_head, key_values=config.n_head, size=config.n_embd // config.n_head)


def add_body(graph: Graph, model: GPT2LMHeadModel, weights: Weights, x: str, *, context: int) -> str:
    """States before the final norm, [batch, length, hidden], from embeddings."""
    positions = graph.constant("positions", array(model.transformer.wpe.weight[:context]))
    x = graph.op("Add", x, graph.op("Gather", positions, "position_ids", axis=0))
    for number, matrices in enumerate(weights.layers):
        layer: Any = model.transformer.h[number]
        name = f"layers.{number}"
        y = _norm(graph, x, f"{name}.norm_1", layer.ln_1)
        qkv = add_linear(graph, y, f"{name}.qkv", matrices["qkv"], layer.attn.c_attn.bias)
        query, key, value = graph.ops("Split", qkv, names=3, axis=-1, num_outputs=3)
        y = add_attention(graph, number, query, key, value, heads=heads(model))
        x = graph.op("Add", x, add_linear(graph, y, f"{name}.o", matrices["o"], layer.attn.c_proj.bias))
        y = _norm(graph, x, f"{name}.norm_2", layer.ln_2)
        y = add_linear(graph, y, f"{name}.up", matrices["up"], layer.mlp.c_fc.bias)
        y = graph.op("Gelu", y, approximate="tanh")
        x = graph.op("Add", x, add_linear(graph, y, f"{name}.down", matrices["down"], layer.mlp.c_proj.bias))
    return x


def add_final_norm(graph: Graph, model: GPT2LMHeadModel, states: str) -> str:
    return _norm(graph, states, "norm", model.transformer.ln_f)


def _norm(graph: Graph, x: str, name: str, norm: Any) -> str:
    scale, bias = (
        graph.constant(f"{name}.{part}", array(value)) for part, value in (("scale", norm.weight), ("bias", norm.bias))
    )
    return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=float(norm.eps))
