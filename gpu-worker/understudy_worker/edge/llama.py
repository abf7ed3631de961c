"""Llama in the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM

from understudy_worker.edge.graph import MICROSOFT, Graph
from understudy_worker.edge.layers import Heads, Joint, Weights, add_attention, refuse_unless
from understudy_worker.edge.matrices import add_linear, add_linears, array

JOINTS = (
    Joint("qkv", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), share=0.4),
    Joint("o", ("self_attn.o_proj",), share=0.4, adds=True),
    Joint("gate_up", ("mlp.gate_proj", "mlp.up_proj"), share=0.75),
    Joint("down", ("mlp.down_proj",), share=0.15, adds=True),
)
# Whose angles do not depend on the text's length.
ROPE_TYPES = ("default", "linear", "llama3", "yarn")


def check(model: LlamaForCausalLM) -> None:
    """Refuse by name what the graph does not express."""
    config = model.config
    rotary = model.model.rotary_emb
    refuse_unless(config.hidden_act == "silu", model, f"hidden_act {config.hidden_act}")
    refuse_unless(not config.attention_bias, model, "attention_bias")
    refuse_unless(not config.mlp_bias, model, "mlp_bias")
    refuse_unless(rotary.rope_type in ROPE_TYPES, model, f"rope_type {rotary.rope_type}")
    # The runtimes' attention works on eight numbers at a time.
    refuse_unless(heads(model).size % 8 == 0, model, f"heads {heads(model).size} wide, not a multiple of 8")
    refuse_unless(2 * len(rotary.inv_freq) == heads(model).size, model, "rotation of a part of each head")


def heads(model: LlamaForCausalLM) -> Heads:
    config = model.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Heads(queries=config.num_attention_heads, key_values=int(config.num_key_value_heads or 0), size=size)


def add_body(graph: Graph, model: LlamaForCausalLM, weights: Weights, x: str, *, context: int) -> str:
    """States before the final norm, [batch, length, hidden], from embeddings."""
    angles = _angles(graph, model, context=context)
    for number, matrices in enumerate(weights.layers):
        layer = model.model.layers[number]
        name = f"layers.{number}"
        y = _norm(graph, x, f"{name}.norm_1", layer.input_layernorm)
        y = _attention(graph, add_linear(graph, y, f"{name}.qkv", matrices["qkv"]), number, heads(model), angles)
        x = graph.op("Add", x, add_linear(graph, y, f"{name}.o", matrices["o"]))
        y = _norm(graph, x, f"{name}.norm_2", layer.post_attention_layernorm)
        gate, up = add_linears(graph, y, f"{name}.gate_up", matrices["gate_up"], ("gate", "up"))
        y = graph.op("Mul", graph.op("Mul", gate, graph.op("Sigmoid", gate)), up)
        x = graph.op("Add", x, add_linear(graph, y, f"{name}.down", matrices["down"]))
    return x


def add_final_norm(graph: Graph, model: LlamaForCausalLM, states: str) -> str:
    return _norm(graph, states, "norm", model.model.norm)


def _norm(graph: Graph, x: str, name: str, norm: Any) -> str:
    scale = graph.constant(name, array(norm.weight))
    epsilon = float(norm.variance_epsilon)
    return graph.op("SimplifiedLayerNormalization", x, scale, axis=-1, epsilon=epsilon, stash_type=1)


def _attention(graph: Graph, qkv: str, layer: int, heads: Heads, angles: tuple[str, str]) -> str:
    sizes = graph.integers(*(count * heads.size for count in (heads.queries, heads.key_values, heads.key_values)))
    query, key, value = graph.ops("Split", qkv, sizes, names=3, axis=-1)
    query, key = (
        graph.op("RotaryEmbedding", part, "position_ids", *angles, domain=MICROSOFT, num_heads=count)
        for part, count in ((query, heads.queries), (key, heads.key_values))
    )
    return add_attention(graph, layer, query, key, value, heads=heads)


def _angles(graph: Graph, model: LlamaForCausalLM, *, context: int) -> tuple[str, str]:
    """Cosines and sines of each position and pair of a head's channels, as transformers computes them."""
    rotary = model.model.rotary_emb
    angles = torch.outer(torch.arange(context).float(), rotary.inv_freq.float().cpu())
    scale = rotary.attention_scaling
    cosines, sines = ((part * scale).numpy().astype(np.float32) for part in (angles.cos(), angles.sin()))
    return graph.constant("cosines", cosines), graph.constant("sines", sines)
