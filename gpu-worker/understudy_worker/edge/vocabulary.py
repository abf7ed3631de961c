"""The vocabulary in the graph, in chunks: what token ids stand for, and what states say of the next token.

No [n, vocabulary] tensor exists: each chunk's logits shrink to their log-sum-exp and their likeliest tokens, and a
given token's logit is a dot product with its own column.

Shape suffixes: K hidden size, C tokens of a chunk, M token ids, n states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy_worker.edge.graph import FLOAT, Graph
from understudy_worker.edge.matrices import Matrix, Stored, columns, outputs, product, rows

# Tokens of a chunk: 4.7 MB of logits' weights in fp32 at a time for a hidden size of 576.
CHUNK = 2048
# Tokens of each position that the graph gives.
LIKELIEST = 20


@dataclass(frozen=True)
class Vocabulary:
    """A matrix [K, vocabulary]; tied embeddings and output matrix are one."""

    size: int
    chunks: list[Stored]

    @classmethod
    def of(cls, graph: Graph, name: str, matrix: Matrix) -> Vocabulary:
        size = outputs(matrix)
        parts = [columns(matrix, slice(start, start + CHUNK)) for start in range(0, size, CHUNK)]
        return cls(size, [Stored.of(graph, f"{name}.{number}", part) for number, part in enumerate(parts)])


def add_lookup(graph: Graph, vocabulary: Vocabulary, ids: str) -> str:
    """[M, K]: the columns of `ids` [M], as rows. Each chunk is asked for all of them, and answers for its own."""
    chunk = graph.scalar(CHUNK, np.int64)
    numbers = graph.op("Div", ids, chunk)
    places = graph.op("Sub", ids, graph.op("Mul", numbers, chunk))
    found: list[str] = []
    for number, stored in enumerate(vocabulary.chunks):
        last = graph.scalar(outputs(stored.matrix) - 1, np.int64)
        inside = graph.op("Min", places, last)
        parts = [graph.op("Gather", part, inside, axis=1) for part in stored.parts]
        if stored.scales:  # Where knows no fp16
            parts[1] = graph.op("Cast", parts[1], to=FLOAT)
        if found:
            own = graph.op("Equal", numbers, graph.scalar(number, np.int64))
            parts = [graph.op("Where", own, part, other) for part, other in zip(parts, found, strict=True)]
        found = parts
    return rows(graph, vocabulary.chunks[0].matrix, found)


def add_logprobs(graph: Graph, vocabulary: Vocabulary, states: str, columns: str) -> None:
    """The outputs `logprobs` [n] of the tokens whose columns are given, [n, K], and of the likeliest tokens after each
    state [n, K]: `top_logprobs` and `top_ids`, the likeliest first, of equals the lowest id."""
    last = graph.integers(1)
    sums, values, ids = [], [], []
    for number, stored in enumerate(vocabulary.chunks):
        logits = product(graph, states, stored)
        most = graph.integers(min(LIKELIEST, outputs(stored.matrix)))
        sums.append(graph.op("ReduceLogSumExp", logits, last))
        best, places = graph.ops("TopK", logits, most, names=2, axis=1)
        values.append(best)
        ids.append(graph.op("Add", places, graph.scalar(number * CHUNK, np.int64)))
    total = graph.op("ReduceLogSumExp", graph.op("Concat", *sums, axis=1), last)
    logit = graph.op("ReduceSum", graph.op("Mul", states, columns), last)
    graph.op("Squeeze", graph.op("Sub", logit, total), last, name="logprobs")
    most = graph.integers(min(LIKELIEST, vocabulary.size))
    best, places = graph.ops("TopK", graph.op("Concat", *values, axis=1), most, names=2, axis=1)
    graph.op("Sub", best, total, name="top_logprobs")
    graph.op("GatherElements", graph.op("Concat", *ids, axis=1), places, name="top_ids", axis=1)
