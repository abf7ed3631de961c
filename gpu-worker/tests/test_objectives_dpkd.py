"""DPKD at token level: cases by hand, an oracle in Python floats, known limits."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_cases import (
    Case,
    cases,
    first_best,
    gradient,
    log_probs,
    minus_log_sigmoid,
    objective,
    randn,
    token_terms,
)

# One position, three tokens: y_t = 0, y_s = 1.
TEACHER = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()
STUDENT = torch.tensor([[0.3, 0.6, 0.1]], dtype=torch.float64).log()
TARGET = torch.tensor([2])


def distill(**fields: Any) -> tuple[float, dict[str, float]]:
    loss, metrics = token_terms(objective("dpkd", **fields), STUDENT, TEACHER, TARGET)
    return loss.item(), {name: value.item() for name, value in metrics.items()}


def test_sigmoid_by_hand() -> None:
    # m = log(0.3/0.6) - log(0.7/0.2) = log 0.5 - log 3.5 = -log 7
    # beta 0.5: -log sigmoid(-log(7) / 2) = log(1 + sqrt 7)
    loss, metrics = distill(beta=0.5)
    assert loss == pytest.approx(math.log(1 + math.sqrt(7)), rel=1e-12)
    assert metrics["margin/token_mean"] == pytest.approx(-math.log(7), rel=1e-12)
    assert metrics["argmax_agreement"] == 0


def test_label_smoothing_by_hand() -> None:
    # -log sigmoid(-beta m) = log(1 + 1 / sqrt 7)
    loss, _ = distill(beta=0.5, label_smoothing=0.1)
    root = math.sqrt(7)
    assert loss == pytest.approx(0.9 * math.log(1 + root) + 0.1 * math.log(1 + 1 / root), rel=1e-12)


def test_reference_free_by_hand() -> None:
    # m = log(0.3/0.6) = -log 2; beta 1: -log sigmoid(-log 2) = log 3
    loss, metrics = distill(beta=1, reference_free=True)
    assert loss == pytest.approx(math.log(3), rel=1e-12)
    assert metrics["margin/token_mean"] == pytest.approx(-math.log(2), rel=1e-12)


def test_dpop_by_hand() -> None:
    # Penalty 2 max(0, log 0.7 - log 0.3) = 2 log(7/3); m - penalty = -log 7 - log(49/9) = -log(343/9)
    # beta 1: log(1 + 343/9) = log(352/9). The margin is reported without the penalty.
    loss, metrics = distill(beta=1, variant="dpop", **{"lambda": 2})
    assert loss == pytest.approx(math.log(352 / 9), rel=1e-12)
    assert metrics["margin/token_mean"] == pytest.approx(-math.log(7), rel=1e-12)


def test_beta_is_a_tenth_where_none_is_given() -> None:
    assert distill()[0] == distill(beta=0.1)[0] != distill(beta=0.2)[0]


def position(spec: Any, p_logits: list[float], q_logits: list[float]) -> tuple[float, float]:
    """Loss and margin of one position."""
    p, q = log_probs(p_logits), log_probs(q_logits)
    chosen, rejected = first_best(p_logits), first_best(q_logits)
    margin = q[chosen] - q[rejected]
    if not spec.reference_free:
        margin -= p[chosen] - p[rejected]
    penalty = spec.lambda_ * max(0.0, p[chosen] - q[chosen]) if spec.variant == "dpop" else 0.0
    z = spec.beta * (margin - penalty)
    smooth = spec.label_smoothing
    return minus_log_sigmoid(z) * (1 - smooth) + (minus_log_sigmoid(-z) * smooth if smooth else 0.0), margin


@settings(max_examples=300, deadline=None)
@given(
    case=cases(),
    beta=st.sampled_from([0.01, 0.1, 1.0, 20.0]),
    smooth=st.sampled_from([0.0, 0.1, 0.49]),
    variant=st.sampled_from(["sigmoid", "dpop"]),
    weight=st.sampled_from([0.5, 50.0]),
    free=st.booleans(),
)
def test_equals_the_oracle(case: Case, beta: float, smooth: float, variant: str, weight: float, free: bool) -> None:
    fields: dict[str, Any] = {"variant": variant, "lambda": weight, "reference_free": free}
    spec = objective("dpkd", beta=beta, label_smoothing=smooth, **fields)
    student, teacher, targets = case.tensors()
    loss, metrics = token_terms(spec, student, teacher, targets)
    rows = list(zip(case.teacher, case.student, strict=True))
    expected = [position(spec, p, q) for p, q in rows]
    assert metrics["argmax_agreement"].item() == sum(first_best(p) == first_best(q) for p, q in rows)
    if math.isinf(sum(value for value, _ in expected)):
        assert not torch.isfinite(loss)
        return
    assert loss.item() == pytest.approx(sum(value for value, _ in expected), rel=1e-9, abs=1e-9)
    assert metrics["loss/distill"].item() == loss.item()
    margin = metrics["margin/token_mean"].item()
    assert margin <= 0
    assert margin == pytest.approx(sum(margin for _, margin in expected), rel=1e-9, abs=1e-9)


def test_ties_go_to_the_lowest_id() -> None:
    teacher = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64)
    student = torch.tensor([[0.0, 2.0, 2.0]], dtype=torch.float64)
    _, metrics = token_terms(objective("dpkd"), student, teacher, TARGET)
    # y_t = 0, y_s = 1: m = (0 - 2) - (1 - 1)
    assert metrics["margin/token_mean"].item() == -2


@pytest.mark.parametrize(
    "fields", [{}, {"reference_free": True}, {"variant": "dpop"}, {"label_smoothing": 0.3}], ids=str
)
def test_a_perfect_student_has_margin_zero_log_two_and_no_gradient(fields: dict[str, Any]) -> None:
    logits = randn(5, 7, seed=0)
    student = logits.clone().requires_grad_()
    spec = objective("dpkd", **fields)
    loss, metrics = token_terms(spec, student, logits, torch.zeros(5, dtype=torch.long))
    assert metrics["margin/token_mean"].item() == 0
    assert metrics["argmax_agreement"].item() == 5
    assert loss.item() == pytest.approx(5 * math.log(2), rel=1e-12)
    assert gradient(loss, student).abs().max().item() == 0


def test_the_target_of_the_data_is_not_read() -> None:
    other, _ = token_terms(objective("dpkd"), STUDENT, TEACHER, torch.tensor([0]))
    assert other.item() == distill()[0]


def test_dpop_penalises_only_a_choice_that_became_less_likely() -> None:
    """Where q(y_t) >= p(y_t) it is sigmoid; where lambda is 0 it is too."""
    surer = torch.tensor([[0.8, 0.1, 0.1]], dtype=torch.float64).log()
    for student in (surer, STUDENT):
        plain, _ = token_terms(objective("dpkd"), student, TEACHER, TARGET)
        dpop, _ = token_terms(objective("dpkd", variant="dpop"), student, TEACHER, TARGET)
        none, _ = token_terms(objective("dpkd", variant="dpop", **{"lambda": 0}), student, TEACHER, TARGET)
        assert none.item() == plain.item()
        assert (dpop.item() == plain.item()) == (student is surer)


def test_the_gradient_moves_the_two_choices_by_beta() -> None:
    """d loss / d z = -beta sigmoid(-beta m) at y_t, its opposite at y_s, 0 elsewhere."""
    student = STUDENT.clone().requires_grad_()
    loss, _ = token_terms(objective("dpkd", beta=0.5), student, TEACHER, TARGET)
    slope = 0.5 / (1 + math.exp(-0.5 * math.log(7)))
    assert gradient(loss, student).tolist()[0] == pytest.approx([-slope, slope, 0], rel=1e-12)
