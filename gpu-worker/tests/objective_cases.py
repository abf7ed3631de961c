"""What the tests of objectives share: specifications, adversarial logits, and probabilities in plain Python floats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor

from understudy_worker.objectives import REGISTRY
from understudy_worker.objectives.terms import DenseTeacher, Terms
from understudy_worker.wire import Objective

_OBJECTIVES: TypeAdapter[Any] = TypeAdapter(Objective)


def objective(type_: str, **fields: Any) -> Any:
    """The specification as the wire would give it."""
    return _OBJECTIVES.validate_python({"type": type_, **fields})


@dataclass(frozen=True)
class Case:
    """N positions of logits over V tokens, and a token of the data at each."""

    student: list[list[float]]
    teacher: list[list[float]]
    targets: list[int]
    vocabulary: int

    def tensors(self, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
        """student_NV (a leaf with a gradient), teacher_NV, targets_N."""

        def matrix(rows: list[list[float]]) -> Tensor:
            return torch.tensor(rows, dtype=dtype).reshape(len(rows), self.vocabulary)

        return (
            matrix(self.student).requires_grad_(),
            matrix(self.teacher),
            torch.tensor(self.targets, dtype=torch.long),
        )


# Ties are common, some logits are huge, some exclude a token altogether.
ADVERSARIAL = (0.0, 0.0, 1.0, -1.0, 0.5, 2.0, -30.0, 30.0, 1000.0, -1000.0, -math.inf)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """From no position at all (0) to 4, over 1 to 7 tokens; each distribution gives some token a probability."""
    positions, vocabulary = draw(st.integers(0, 4)), draw(st.integers(1, 7))
    value = st.one_of(st.sampled_from(ADVERSARIAL), st.floats(-20, 20, width=32))
    row = st.lists(value, min_size=vocabulary, max_size=vocabulary).filter(lambda row: max(row) > -math.inf)
    rows = st.lists(row, min_size=positions, max_size=positions)
    targets = st.lists(st.integers(0, vocabulary - 1), min_size=positions, max_size=positions)
    return Case(student=draw(rows), teacher=draw(rows), targets=draw(targets), vocabulary=vocabulary)


def token_terms(spec: Any, student_NV: Tensor, teacher_NV: Tensor, targets_N: Tensor) -> Terms:
    result: Terms = REGISTRY[spec.type].token_terms(student_NV, DenseTeacher(teacher_NV), targets_N, spec=spec)
    return result


def log_probs(logits: list[float], temperature: float = 1.0) -> list[float]:
    """log softmax(z / T) of one position."""
    scaled = [value / temperature for value in logits]
    most = max(scaled)
    total = math.fsum(math.exp(value - most) for value in scaled)
    return [value - most - math.log(total) for value in scaled]


def first_best(values: list[float]) -> int:
    """The place of the largest; ties: the first."""
    return values.index(max(values))


def minus_log_sigmoid(z: float) -> float:
    return math.log1p(math.exp(-z)) if z > 0 else -z + math.log1p(math.exp(z))


def randn(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    """Normal numbers in fp64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def gradient(loss: Tensor, leaf: Tensor) -> Tensor:
    (result,) = torch.autograd.grad(loss, leaf)
    return result
