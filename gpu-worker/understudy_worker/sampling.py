"""The next token from logits: greedy, or by temperature, top-k and top-p.

Shape suffixes: B sequences, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from understudy_worker.seeded import seed_of


class Choosing(Protocol):
    """How a token is chosen: fields of a Generation and of CompletionSettings."""

    @property
    def temperature(self) -> float: ...

    @property
    def top_k(self) -> int: ...

    @property
    def top_p(self) -> float: ...


class Draws:
    """Uniform numbers of one sequence. They depend on its key alone: neither on the batch nor on the place in it."""

    def __init__(self, key: str) -> None:
        self._generator = torch.Generator().manual_seed(seed_of(key))

    @classmethod
    def of_prompt(cls, seed: int, prompt_ids: Sequence[int]) -> Draws:
        """Of a seed and the prompt's tokens: two prompts of one seed do not share their numbers."""
        return cls(f"sample:{seed}:{','.join(map(str, prompt_ids))}")

    def next(self) -> float:
        """Uniform in [0, 1)."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))


def probabilities(logits_BV: Tensor, *, generation: Choosing) -> Tensor:
    """probs_BV in fp64 after temperature (> 0), then top-k, then top-p, each row normalised.

    Top-p keeps the most probable tokens up to and including the one at which their sum reaches `top_p`.
    """
    logits_BV = logits_BV.double() / generation.temperature
    if 0 < generation.top_k < logits_BV.shape[1]:
        least_B1 = logits_BV.topk(generation.top_k, dim=1).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < least_B1, float("-inf"))
    probs_BV = logits_BV.softmax(dim=1)
    if generation.top_p < 1:
        sorted_BV, order_BV = probs_BV.sort(dim=1, descending=True, stable=True)
        before_BV = sorted_BV.cumsum(dim=1) - sorted_BV
        kept_BV = torch.where(before_BV < generation.top_p, sorted_BV, 0.0)
        probs_BV = torch.zeros_like(probs_BV).scatter(1, order_BV, kept_BV)
        probs_BV = probs_BV / probs_BV.sum(dim=1, keepdim=True)
    return probs_BV


def next_tokens(logits_BV: Tensor, draws: Sequence[Draws], *, generation: Choosing) -> list[int]:
    """One token for each row. At temperature 0 the most probable, ties to the lowest id; no number is drawn."""
    if generation.temperature == 0:
        greedy: list[int] = logits_BV.argmax(dim=1).tolist()
        return greedy
    # On the CPU: a cumulative sum on CUDA has no deterministic order.
    total_BV = probabilities(logits_BV.cpu(), generation=generation).cumsum(dim=1)
    drawn_B1 = torch.tensor([[draw.next()] for draw in draws], dtype=torch.float64) * total_BV[:, -1:]
    chosen: list[int] = torch.searchsorted(total_BV, drawn_B1, right=True)[:, 0].tolist()
    return chosen
