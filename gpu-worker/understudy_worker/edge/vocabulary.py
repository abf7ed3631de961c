"""The vocabulary in the graph, in chunks: what token ids stand for, and what states say of the next token.

No [n, vocabulary] tensor exists: the logits of some tokens at a time shrink to their log-sum-exp and the likeliest
tokens, and a given token's logit is a dot product with its own column.

Shape suffixes: K hidden size, C tokens of a chunk, M token ids, n states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from understudy_worker.edge.graph import FLOAT, Graph
from understudy_worker.edge.matrices import Matrix, Stored, columns, outputs, product, rows, shared_out

# Tokens that are stored together: a look-up asks each chunk for all of its ids.
CHUNK = 16384
# Of a rounded matrix, tokens whose logits are computed at a time: 4.7 MB of weights in fp32 for a hidden size of 576.
AT_ONCE = 2048
# Tokens of each position that the graph gives.
LIKELIEST = 20


@dataclass(frozen=True)
class Chunk:
    """Consecutive tokens of the vocabulary; their matrix's `group` has others of the same kind."""

    group: int
    first: int
    stored: Stored

    def parts(self, graph: Graph) -> Iterator[Chunk]:
        """Those of its tokens whose logits are computed at a time; in fp32 a part of them would be a copy."""
        size = outputs(self.stored.matrix)
        if isinstance(self.stored.matrix, Tensor):
            yield self
            return
        for start in range(0, size, AT_ONCE):
            part = slice(start, min(start + AT_ONCE, size))
            yield Chunk(self.group, self.first + start, self.stored.columns(graph, part))


@dataclass(frozen=True)
class Vocabulary:
    """A matrix [K, vocabulary] in groups of consecutive tokens, each cut into chunks; tied embeddings and output matrix
    are one."""

    name: str
    groups: list[Matrix]
    chunks: list[Chunk]

    @classmethod
    def of(cls, graph: Graph, name: str, groups: list[Matrix]) -> Vocabulary:
        chunks: list[Chunk] = []
        first = 0
        for group, matrix in enumerate(groups):
            for start in range(0, outputs(matrix), CHUNK):
                part = columns(matrix, slice(start, start + CHUNK))
                stored = Stored.of(graph, f"{name}.{len(chunks)}", part)
                chunks.append(Chunk(group, first + start, stored))
            first += outputs(matrix)
        return cls(name, groups, chunks)

    @property
    def size(self) -> int:
        return sum(map(outputs, self.groups))


def add_lookup(graph: Graph, vocabulary: Vocabulary, ids: str) -> str:
    """[M, K]: the columns of `ids` [M], as rows. Each chunk is asked for all of them, and answers for its own."""
    found: dict[int, dict[str, str]] = {}
    for chunk in vocabulary.chunks:
        last = graph.scalar(outputs(chunk.stored.matrix) - 1, np.int64)
        places = graph.op("Sub", ids, graph.scalar(chunk.first, np.int64))
        inside = graph.op("Clip", places, graph.scalar(0, np.int64), last)
        parts = {name: graph.op("Gather", part, inside, axis=1) for name, part in chunk.stored.parts.items()}
        for name in parts:
            if name.startswith(("scales", "kept")):  # Where knows no fp16
                parts[name] = graph.op("Cast", parts[name], to=FLOAT)
        if chunk.group in found:  # of an earlier chunk those that are before this one
            own = graph.op("GreaterOrEqual", places, graph.scalar(0, np.int64))
            others = found[chunk.group]
            parts = {name: graph.op("Where", own, part, others[name]) for name, part in parts.items()}
        found[chunk.group] = parts
    result = rows(graph, vocabulary.groups[0], found[0])
    for group, parts in found.items():
        if group > 0:
            first = next(chunk.first for chunk in vocabulary.chunks if chunk.group == group)
            own = graph.op("GreaterOrEqual", ids, graph.scalar(first, np.int64))
            own = graph.op("Unsqueeze", own, graph.integers(1))
            result = graph.op("Where", own, rows(graph, vocabulary.groups[group], parts), result)
    return result


def add_logprobs(graph: Graph, vocabulary: Vocabulary, states: str, columns: str) -> None:
    """The outputs `logprobs` [n] of the tokens whose columns are given, [n, K], and of the likeliest tokens after each
    state [n, K]: `top_logprobs` and `top_ids`, the likeliest first, of equals the lowest id."""
    last = graph.integers(1)
    inputs = [
        shared_out(graph, states, f"{vocabulary.name}.order_{group}", matrix)
        for group, matrix in enumerate(vocabulary.groups)
    ]
    sums, values, ids = [], [], []
    for part in (part for chunk in vocabulary.chunks for part in chunk.parts(graph)):
        logits = product(graph, inputs[part.group], part.stored)
        most = graph.integers(min(LIKELIEST, outputs(part.stored.matrix)))
        best, places = graph.ops("TopK", logits, most, names=2, axis=1)
        # By the largest the sum, which is computed first since it is the last that stands here, waits for TopK: so the
        # runtime is done with these logits before the next.
        largest = graph.op("ReduceMax", best, last)
        rest = graph.op("ReduceLogSumExp", graph.op("Sub", logits, largest), last)
        sums.append(graph.op("Add", rest, largest))
        values.append(best)
        ids.append(graph.op("Add", places, graph.scalar(part.first, np.int64)))
    total = graph.op("ReduceLogSumExp", graph.op("Concat", *sums, axis=1), last)
    most = graph.integers(min(LIKELIEST, vocabulary.size))
    best, places = graph.ops("TopK", graph.op("Concat", *values, axis=1), most, names=2, axis=1)
    graph.op("Sub", best, total, name="top_logprobs")
    graph.op("GatherElements", graph.op("Concat", *ids, axis=1), places, name="top_ids", axis=1)
    logit = graph.op("ReduceSum", graph.op("Mul", states, columns), last)
    graph.op("Squeeze", graph.op("Sub", logit, total), last, name="logprobs")
