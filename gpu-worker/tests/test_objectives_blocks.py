"""Positions by the block: any size of block gives the same sums and gradients, and few matrices of logits' size exist.

Shape suffixes: N positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from objective_cases import gradient, objective, randn, token_terms
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from understudy_worker.objectives import adaptive_kl
from understudy_worker.objectives.diagnostics import divergences
from understudy_worker.objectives.policy import policy_terms
from understudy_worker.objectives.terms import DenseTeacher

DIVERGENCES = ["forward_kl", "reverse_kl", "jsd", "skew_forward_kl", "skew_reverse_kl", "tvd", "adaptive_kl"]
N, V = 7, 30
TARGETS_N = torch.arange(N)
Loss = Callable[[Tensor, Tensor], Tensor]


def of_divergence(kind: str) -> Loss:
    return lambda student, teacher: token_terms(objective(kind, temperature=2.0), student, teacher, TARGETS_N)[0]


def of_policy(student_NV: Tensor, teacher_NV: Tensor) -> Tensor:
    advantages_N = randn(N, seed=3)
    return policy_terms(student_NV, DenseTeacher(teacher_NV), TARGETS_N, advantages_N, spec=objective("minillm"))[0]


LOSSES = {**{kind: of_divergence(kind) for kind in DIVERGENCES}, "minillm": of_policy}


@pytest.mark.parametrize("size", [1, V, 3 * V + 1])
@pytest.mark.parametrize("name", LOSSES)
def test_the_size_of_a_block_changes_nothing(name: str, size: int) -> None:
    student, teacher = randn(N, V, seed=1).requires_grad_(), randn(N, V, seed=2)
    whole = LOSSES[name](student, teacher)
    with patch("understudy_worker.blocks.CPU_BLOCK", size):
        blocks = LOSSES[name](student, teacher)
    assert blocks.item() == pytest.approx(whole.item(), rel=1e-14)
    assert torch.allclose(gradient(blocks * 3, student), gradient(whole, student) * 3, rtol=1e-14, atol=0)


@pytest.mark.parametrize("size", [1, V, 3 * V + 1])
def test_diagnostics_by_the_block(size: int) -> None:
    student, teacher = randn(N, V, seed=1), randn(N, V, seed=2)
    whole = divergences(student, teacher)
    with patch("understudy_worker.blocks.CPU_BLOCK", size):
        blocks = divergences(student, teacher)
    assert {key: value.item() for key, value in blocks.items()} == pytest.approx(
        {key: value.item() for key, value in whole.items()}, rel=1e-13
    )


@pytest.mark.parametrize("name", LOSSES)
def test_without_a_gradient_the_value_is_the_same(name: str) -> None:
    student, teacher = randn(N, V, seed=1), randn(N, V, seed=2)
    alone = LOSSES[name](student, teacher)
    assert not alone.requires_grad
    assert alone.equal(LOSSES[name](student.requires_grad_(), teacher).detach())


@pytest.mark.parametrize("likely", [1, 2, 5])
@pytest.mark.parametrize("head_mass", [0.05, 0.5, 0.95])
def test_a_head_longer_than_what_is_looked_at_first_is_found(likely: int, head_mass: float) -> None:
    student, teacher = randn(N, V, seed=4), randn(N, V, seed=5)
    teacher[0] = 0.0
    teacher[1] = teacher[1].round()
    spec = objective("adaptive_kl", head_mass=head_mass)
    with patch.object(adaptive_kl, "LIKELY_HEAD", V):
        sorted_all = token_terms(spec, student, teacher, TARGETS_N)[0]
    with patch.object(adaptive_kl, "LIKELY_HEAD", likely):
        assert token_terms(spec, student, teacher, TARGETS_N)[0].item() == pytest.approx(sorted_all.item(), rel=1e-14)


class Large(TorchDispatchMode):
    """Counts the tensors that operations make of `least` elements or more; a view makes none."""

    def __init__(self, least: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.least = least
        self.made: list[str] = []
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, Tensor)}
        result = func(*args, **(kwargs or {}))
        for made in result if isinstance(result, (tuple, list)) else (result,):
            large = isinstance(made, Tensor) and made.untyped_storage().nbytes() >= self.least * made.element_size()
            if large and made.untyped_storage().data_ptr() not in given:
                self.made.append(str(func))
        return result


@pytest.mark.parametrize("name", LOSSES)
def test_two_matrices_of_logits_size_are_made(name: str) -> None:
    """The gradient, and its multiple by the weight that the loss is given."""
    student, teacher = randn(N, V, seed=1).requires_grad_(), randn(N, V, seed=2)
    with patch("understudy_worker.blocks.CPU_BLOCK", V), Large(N * V) as large:
        gradient(LOSSES[name](student, teacher) * 0.5, student)
    assert len(large.made) == 2, large.made
