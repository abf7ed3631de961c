"""Losses: a case by hand, a gradient check, an oracle written apart from the code."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from understudy_worker.objectives import REGISTRY, dpkd, sft
from understudy_worker.wire import DpkdObjective, SftObjective


def spec(*, beta: float = 0.1, kd_ratio: float = 0.5, label_smoothing: float = 0.0) -> DpkdObjective:
    return DpkdObjective(type="dpkd", beta=beta, kd_ratio=kd_ratio, label_smoothing=label_smoothing)


def test_the_registry_holds_every_objective() -> None:
    assert set(REGISTRY) == {"dpkd", "sft"}
    assert {name for name, module in REGISTRY.items() if module.NEEDS_TEACHER} == {"dpkd"}


def test_dpkd_by_hand() -> None:
    # One position, three tokens. Teacher logits log(0.7, 0.2, 0.1): y_t = 0. Student log(0.3, 0.6, 0.1): y_s = 1.
    # m = log(0.3/0.6) - log(0.7/0.2) = log 0.5 - log 3.5 = -log 7 = -1.945910149
    # beta 0.5: -log sigmoid(-0.972955) = log(1 + exp(0.972955)) = log(1 + sqrt 7) = 1.293396
    # target 2: CE = -log 0.1 = 2.302585; loss = 0.25 * 2.302585 + 0.75 * 1.293396
    teacher = torch.tensor([[0.7, 0.2, 0.1]]).log()
    student = torch.tensor([[0.3, 0.6, 0.1]]).log()
    loss, metrics = dpkd.token_terms(student, teacher, torch.tensor([2]), spec=spec(beta=0.5, kd_ratio=0.75))
    distill = math.log(1 + math.sqrt(7))
    assert metrics["margin/token_mean"].item() == pytest.approx(-math.log(7), rel=1e-6)
    assert metrics["loss/distill"].item() == pytest.approx(distill, rel=1e-6)
    assert metrics["loss/lm"].item() == pytest.approx(math.log(10), rel=1e-6)
    assert loss.item() == pytest.approx(0.25 * math.log(10) + 0.75 * distill, rel=1e-6)
    assert metrics["argmax_agreement"].item() == 0


def test_label_smoothing_by_hand() -> None:
    teacher = torch.tensor([[0.7, 0.2, 0.1]]).log()
    student = torch.tensor([[0.3, 0.6, 0.1]]).log()
    _, metrics = dpkd.token_terms(student, teacher, torch.tensor([0]), spec=spec(beta=0.5, label_smoothing=0.1))
    # -log sigmoid(beta m) = log(1 + sqrt 7); -log sigmoid(-beta m) = log(1 + 1 / sqrt 7)
    root = math.sqrt(7)
    assert metrics["loss/distill"].item() == pytest.approx(
        0.9 * math.log(1 + root) + 0.1 * math.log(1 + 1 / root), rel=1e-6
    )


def test_a_perfect_student_has_margin_zero_and_log_two() -> None:
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    student = logits.clone().requires_grad_()
    loss, metrics = dpkd.token_terms(student, logits, torch.zeros(5, dtype=torch.long), spec=spec(kd_ratio=1.0))
    assert metrics["margin/token_mean"].item() == 0
    assert metrics["argmax_agreement"].item() == 5
    assert loss.item() == pytest.approx(5 * math.log(2), rel=1e-6)
    loss.backward()
    assert student.grad is not None and student.grad.abs().max() == 0


def oracle(student: Tensor, teacher: Tensor, targets: Tensor, *, beta: float, kd_ratio: float, ls: float) -> float:
    """Position by position, from probabilities, in Python floats; ties by the first maximum in a loop."""

    def log_probs(row: list[float]) -> list[float]:
        most = max(row)
        total = math.fsum(math.exp(value - most) for value in row)
        return [value - most - math.log(total) for value in row]

    def first_best(row: list[float]) -> int:
        best = 0
        for index, value in enumerate(row):
            if value > row[best]:
                best = index
        return best

    def minus_log_sigmoid(z: float) -> float:
        return math.log1p(math.exp(-z)) if z > 0 else -z + math.log1p(math.exp(z))

    total = 0.0
    for q_logits, p_logits, target in zip(student.tolist(), teacher.tolist(), targets.tolist(), strict=True):
        q, p = log_probs(q_logits), log_probs(p_logits)
        chosen, rejected = first_best(p_logits), first_best(q_logits)
        m = (q[chosen] - q[rejected]) - (p[chosen] - p[rejected])
        distill = minus_log_sigmoid(beta * m) * (1 - ls) + minus_log_sigmoid(-beta * m) * ls
        total += (1 - kd_ratio) * -q[target] + kd_ratio * distill
    return total


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    positions=st.integers(1, 6),
    vocabulary=st.integers(1, 12),
    scale=st.sampled_from([0.0, 1.0, 30.0, 80.0]),
    beta=st.sampled_from([0.01, 0.1, 1.0, 20.0]),
    kd_ratio=st.sampled_from([0.0, 0.5, 1.0]),
    ls=st.sampled_from([0.0, 0.1, 0.49]),
)
def test_dpkd_equals_the_oracle(
    seed: int, positions: int, vocabulary: int, scale: float, beta: float, kd_ratio: float, ls: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    # Rounding to halves makes ties common; scale 0 makes everything a tie.
    student = (torch.randn(positions, vocabulary, generator=random) * scale * 2).round() / 2
    teacher = (torch.randn(positions, vocabulary, generator=random) * scale * 2).round() / 2
    targets = torch.randint(vocabulary, (positions,), generator=random)
    loss, metrics = dpkd.token_terms(
        student, teacher, targets, spec=spec(beta=beta, kd_ratio=kd_ratio, label_smoothing=ls)
    )
    expected = oracle(student, teacher, targets, beta=beta, kd_ratio=kd_ratio, ls=ls)
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-4)
    assert metrics["margin/token_mean"].item() <= 0
    plain, _ = sft.token_terms(student, None, targets, spec=SftObjective(type="sft"))
    assert plain.item() == pytest.approx(
        oracle(student, teacher, targets, beta=beta, kd_ratio=0.0, ls=0.0), rel=1e-5, abs=1e-4
    )


def test_ties_go_to_the_lowest_id() -> None:
    teacher = torch.tensor([[1.0, 1.0, 0.0]])
    student = torch.tensor([[0.0, 2.0, 2.0]])
    _, metrics = dpkd.token_terms(student, teacher, torch.tensor([0]), spec=spec())
    # y_t = 0, y_s = 1: m = (0 - 2) - (1 - 1)
    assert metrics["margin/token_mean"].item() == -2


def test_gradients_are_those_of_finite_differences() -> None:
    random = torch.Generator().manual_seed(3)
    teacher = torch.randn(4, 6, generator=random, dtype=torch.float64)
    student = torch.randn(4, 6, generator=random, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 5, 2, 2])
    objective = spec(beta=0.7, label_smoothing=0.2)
    assert torch.autograd.gradcheck(lambda q: dpkd.token_terms(q, teacher, targets, spec=objective)[0], student)
    assert torch.autograd.gradcheck(
        lambda q: sft.token_terms(q, None, targets, spec=SftObjective(type="sft"))[0], student
    )


def test_only_the_student_has_a_gradient() -> None:
    teacher = torch.randn(3, 5, requires_grad=True)
    student = torch.randn(3, 5, requires_grad=True)
    loss, metrics = dpkd.token_terms(student, teacher, torch.tensor([0, 1, 2]), spec=spec())
    loss.backward()
    assert teacher.grad is None and student.grad is not None
    assert not any(value.requires_grad for value in metrics.values())
