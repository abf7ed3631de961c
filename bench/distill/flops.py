"""Floating-point operations of matrix products, from shapes alone: what a ratio of times should be read against.

Body linears and the output matrix; the products inside attention are left out on every side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Forward, gradient of the input, gradient of the weight: three products of the same size.
TRAINED = 3
FORWARD = 1


@dataclass(frozen=True)
class Shapes:
    """(inputs, outputs, how often) of a Llama-like body's linears, and of its output matrix."""

    body: list[tuple[int, int, int]]
    head: tuple[int, int]

    @classmethod
    def of(cls, config: Any) -> Shapes:
        hidden, layers = config.hidden_size, config.num_hidden_layers
        size = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
        queries, keys = config.num_attention_heads * size, config.num_key_value_heads * size
        body = [
            (hidden, queries, layers),
            (hidden, keys, 2 * layers),
            (queries, hidden, layers),
            (hidden, config.intermediate_size, 2 * layers),
            (config.intermediate_size, hidden, layers),
        ]
        return cls(body=body, head=(hidden, config.vocab_size))

    def flops(self, *, body_tokens: int, head_tokens: int) -> int:
        """Of one forward: a multiplication and an addition for each weight and token."""
        body = sum(inputs * outputs * count for inputs, outputs, count in self.body)
        return 2 * (body_tokens * body + head_tokens * self.head[0] * self.head[1])


@dataclass(frozen=True)
class Lengths:
    """Tokens of a batch: all, those left when what rows begin with is counted once, those of responses, and those of
    rows padded to the longest."""

    real: int
    once: int
    responses: int
    padded: int

    @classmethod
    def of(cls, batch: list[dict[str, Any]]) -> Lengths:
        rows = [(*row["prompt"], *row["response"]) for row in batch]
        return cls(
            real=sum(map(len, rows)),
            once=len({row[:end] for row in rows for end in range(1, len(row) + 1)}),
            responses=sum(len(row["response"]) for row in batch),
            padded=len(rows) * max(map(len, rows)),
        )
