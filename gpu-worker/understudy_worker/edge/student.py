"""The one graph of an export: it scores and it generates, so that a session has one copy of the weights.

| input | |
|---|---|
| `input_ids`, `position_ids` | int64 [batch, length] |
| `seqlens_k` | int32 [batch]: tokens of each row, past included, less 1 |
| `total_length` | int32 [1]: the longest row, past included |
| `rows` | int64 [n]: which of the batch * length states are wanted |
| `targets` | int64 [n]: the token whose log-probability is wanted after each |
| `past.{layer}.key`, `past.{layer}.value` | fp32 [batch, key-value heads, past, head size]; past may be 0 |

| output | |
|---|---|
| `logprobs` | fp32 [n] |
| `top_logprobs`, `top_ids` | fp32, int64 [n, likeliest], the likeliest first |
| `present.{layer}.key`, `present.{layer}.value` | fp32 [batch, key-value heads, past + length, head size] |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformers import GPT2LMHeadModel, LlamaForCausalLM, PreTrainedModel

from understudy_worker.edge import gpt2, llama
from understudy_worker.edge.graph import FLOAT, INT32, INT64, Graph, Port
from understudy_worker.edge.layers import Heads, Weights
from understudy_worker.edge.vocabulary import LIKELIEST, Vocabulary, add_logprobs, add_lookup
from understudy_worker.errors import WorkerError

ARCHITECTURES: dict[type, Any] = {LlamaForCausalLM: llama, GPT2LMHeadModel: gpt2}
# Positions that a graph knows; a longer text is no work for a processor without an accelerator.
MOST_CONTEXT = 2048
# A slice to the end.
END = 2**62


def architecture_of(model: PreTrainedModel) -> Any:
    """The module that knows the model's layers; raises WorkerError for a model that the graph does not express."""
    found = ARCHITECTURES.get(type(model))
    if found is None:
        known = " and ".join(sorted(kind.__name__ for kind in ARCHITECTURES))
        raise WorkerError("unsupported_architecture", f"{type(model).__name__} cannot be exported; {known} can")
    found.check(model)
    return found


def context_of(model: PreTrainedModel) -> int:
    return min(int(model.config.max_position_embeddings), MOST_CONTEXT)


def build(model: PreTrainedModel, weights: Weights) -> Graph:
    """The whole graph, of a model and its matrices as they are to be stored."""
    architecture = architecture_of(model)
    graph = Graph()
    embedded, columns, head = _lookups(graph, weights)
    states = architecture.add_body(graph, model, weights, embedded, context=context_of(model))
    hidden = graph.integers(-1, model.config.hidden_size)
    wanted = graph.op("Gather", graph.op("Reshape", states, hidden), "rows", axis=0)
    add_logprobs(graph, head, architecture.add_final_norm(graph, model, wanted), columns)
    graph.inputs, graph.outputs = _ports(len(weights.layers), architecture.heads(model), min(LIKELIEST, head.size))
    return graph


def _lookups(graph: Graph, weights: Weights) -> tuple[str, str, Vocabulary]:
    """What `input_ids` stand for [batch, length, hidden], the output matrix's columns of `targets` [n, hidden], and
    that matrix. Where it is the embeddings', one look-up finds both."""
    embeddings = Vocabulary.of(graph, "embeddings", weights.embeddings)
    ids = graph.op("Reshape", "input_ids", graph.integers(-1))
    if weights.head is None:
        head = embeddings
        both = add_lookup(graph, embeddings, graph.op("Concat", ids, "targets", axis=0))
        count = graph.op("Shape", ids)
        flat = graph.op("Slice", both, graph.integers(0), count)
        columns = graph.op("Slice", both, count, graph.integers(END))
    else:
        head = Vocabulary.of(graph, "head", weights.head)
        flat, columns = add_lookup(graph, embeddings, ids), add_lookup(graph, head, "targets")
    shape = graph.op("Concat", graph.op("Shape", "input_ids"), graph.integers(-1), axis=0)
    return graph.op("Reshape", flat, shape), columns, head


def _ports(layers: int, heads: Heads, likeliest: int) -> tuple[list[Port], list[Port]]:
    inputs: list[Port] = [
        ("input_ids", INT64, ["batch", "length"]),
        ("position_ids", INT64, ["batch", "length"]),
        ("seqlens_k", INT32, ["batch"]),
        ("total_length", INT32, [1]),
        ("rows", INT64, ["n"]),
        ("targets", INT64, ["n"]),
        *_caches("past", layers, heads, length="past"),
    ]
    outputs: list[Port] = [
        ("logprobs", FLOAT, ["n"]),
        ("top_logprobs", FLOAT, ["n", likeliest]),
        ("top_ids", INT64, ["n", likeliest]),
        *_caches("present", layers, heads, length="total"),
    ]
    return inputs, outputs


def _caches(name: str, layers: int, heads: Heads, *, length: str) -> Iterator[Port]:
    for layer in range(layers):
        for part in ("key", "value"):
            yield f"{name}.{layer}.{part}", FLOAT, ["batch", heads.key_values, length, heads.size]
