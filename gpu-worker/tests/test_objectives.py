"""What holds for every objective: the registry, gradients in fp64, sums over positions."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_cases import Case, cases, gradient, objective, randn, token_terms

from understudy_worker.objectives import MODULES, REGISTRY, level, needs_teacher
from understudy_worker.objectives.diagnostics import divergences

TOKEN_LEVEL: list[dict[str, Any]] = [
    {"type_": "dpkd", "beta": 0.7},
    {"type_": "dpkd", "beta": 0.7, "label_smoothing": 0.2},
    {"type_": "dpkd", "beta": 0.7, "reference_free": True},
    {"type_": "dpkd", "beta": 0.7, "variant": "dpop", "lambda": 3.0, "label_smoothing": 0.1},
    {"type_": "seqkd"},
    {"type_": "forward_kl"},
    {"type_": "forward_kl", "temperature": 2.5},
    {"type_": "reverse_kl"},
    {"type_": "reverse_kl", "temperature": 0.5},
    *({"type_": "jsd", "interpolation": share} for share in (0.0, 0.1, 0.5, 0.9, 1.0)),
    {"type_": "jsd", "temperature": 2.0},
    *({"type_": f"skew_{way}_kl", "skew": share} for way in ("forward", "reverse") for share in (0.0, 0.1, 0.7)),
    {"type_": "skew_forward_kl", "temperature": 2.0},
    {"type_": "tvd"},
    {"type_": "tvd", "temperature": 3.0},
    {"type_": "adaptive_kl"},
    {"type_": "adaptive_kl", "temperature": 2.0, "head_mass": 0.8},
]
# Its weights are held fixed, so finite differences do not see its gradient: test_objectives_divergences.py does.
SMOOTH = [fields for fields in TOKEN_LEVEL if fields["type_"] != "adaptive_kl"]
DIVERGENCES = [fields for fields in TOKEN_LEVEL if fields["type_"] not in ("dpkd", "seqkd")]


def name(fields: dict[str, Any]) -> str:
    return ",".join(str(value) if key == "type_" else f"{key}={value}" for key, value in fields.items())


def test_the_registry_knows_each_objective_of_the_wire_once() -> None:
    assert {kind: level(objective(kind)) for kind in REGISTRY if kind != "reward_kl"} == {
        "sft": "none",
        "seqkd": "token",
        "dpkd": "token",
        "minillm": "policy",
        "forward_kl": "token",
        "reverse_kl": "token",
        "jsd": "token",
        "skew_forward_kl": "token",
        "skew_reverse_kl": "token",
        "tvd": "token",
        "adaptive_kl": "token",
    }
    assert level(objective("reward_kl", reward={"grader": "exact_match"})) == "policy"
    assert level(objective("dpkd", granularity="sequence")) == "sequence"
    assert sum(len(module.TYPES) for module in MODULES) == len(REGISTRY)


def test_who_needs_a_teacher() -> None:
    plain = [objective(kind) for kind in REGISTRY if kind != "reward_kl"]
    assert {spec.type for spec in plain if not needs_teacher(spec)} == {"sft", "seqkd"}
    assert needs_teacher(objective("reward_kl", reward={"grader": "exact_match"}))
    whole = {"granularity": "sequence"}
    assert needs_teacher(objective("dpkd", **whole))
    assert not needs_teacher(objective("dpkd", variant="simpo", **whole))
    assert not needs_teacher(objective("dpkd", reference_free=True, **whole))
    # At token level the teacher still chooses y_t.
    assert needs_teacher(objective("dpkd", reference_free=True))


def test_sft_has_no_term_of_its_own() -> None:
    """Its cross entropy is the step's, by nll.token_nll."""
    functions = {key for key, _ in inspect.getmembers(REGISTRY["sft"], inspect.isfunction)}
    assert functions == {"level", "needs_teacher"}


@pytest.mark.parametrize("fields", SMOOTH, ids=name)
def test_gradients_are_those_of_finite_differences(fields: dict[str, Any]) -> None:
    teacher, targets = randn(4, 6, seed=1, scale=2.0), torch.tensor([0, 5, 2, 2])
    student = randn(4, 6, seed=2, scale=2.0).requires_grad_()
    spec = objective(**fields)
    assert torch.autograd.gradcheck(lambda q: token_terms(spec, q, teacher, targets)[0], student)


@pytest.mark.parametrize("fields", TOKEN_LEVEL, ids=name)
def test_only_the_student_has_a_gradient(fields: dict[str, Any]) -> None:
    teacher, student = randn(3, 5, seed=3).requires_grad_(), randn(3, 5, seed=4).requires_grad_()
    loss, metrics = token_terms(objective(**fields), student, teacher, torch.tensor([0, 1, 2]))
    loss.backward()
    assert teacher.grad is None and student.grad is not None and student.grad.abs().max() > 0
    assert metrics["loss/distill"] == loss
    assert not any(value.requires_grad for value in metrics.values())


@settings(max_examples=60, deadline=None)
@given(case=cases(), fields=st.sampled_from(TOKEN_LEVEL))
def test_a_finite_loss_has_a_finite_gradient(case: Case, fields: dict[str, Any]) -> None:
    """And one that a constant added to a position's logits does not change, nor tokens that are excluded."""
    student, teacher, targets = case.tensors()
    loss, _ = token_terms(objective(**fields), student, teacher, targets)
    if not torch.isfinite(loss):
        return
    slope = gradient(loss, student)
    assert torch.isfinite(slope).all()
    assert (slope[student == -math.inf] == 0).all()
    assert slope.sum(dim=1).abs().max().item() <= 1e-9 * (1 + slope.abs().max().item()) if len(slope) else True


@pytest.mark.parametrize("fields", TOKEN_LEVEL, ids=name)
def test_a_loss_is_a_sum_over_positions(fields: dict[str, Any]) -> None:
    teacher, student, targets = randn(5, 7, seed=5), randn(5, 7, seed=6), torch.tensor([0, 1, 2, 3, 6])
    spec = objective(**fields)
    whole, metrics = token_terms(spec, student, teacher, targets)
    parts = [
        token_terms(spec, student[cut], teacher[cut], targets[cut]) for cut in (slice(2), slice(2, 2), slice(2, 5))
    ]
    assert whole.item() == pytest.approx(sum(loss.item() for loss, _ in parts), rel=1e-12)
    assert parts[1][0].item() == 0
    for key, value in metrics.items():
        assert value.item() == pytest.approx(sum(part[key].item() for _, part in parts), rel=1e-12)


@pytest.mark.parametrize("fields", DIVERGENCES, ids=name)
def test_blocks_of_positions_change_nothing(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, gradient and diagnostics of 5 positions are those of blocks of 2, of 1, and of all at once."""
    teacher, student, targets = randn(5, 7, seed=5), randn(5, 7, seed=6).requires_grad_(), torch.arange(5)
    found = []
    for block in (5 * 7, 2 * 7, 1):
        monkeypatch.setattr("understudy_worker.blocks.CPU_BLOCK", block)
        loss, _ = token_terms(objective(**fields), student, teacher, targets)
        sums = divergences(student.detach(), teacher)
        found.append(torch.cat([loss.detach()[None], gradient(loss, student).flatten(), torch.stack([*sums.values()])]))
    assert torch.allclose(found[0], found[1], rtol=1e-12, atol=1e-14)
    assert torch.allclose(found[0], found[2], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("fields", DIVERGENCES, ids=name)
def test_a_perfect_student_has_no_divergence_and_no_gradient(fields: dict[str, Any]) -> None:
    teacher = randn(5, 7, seed=7)
    teacher[0, 3] = -math.inf
    student = (teacher + 2.5).requires_grad_()
    loss, _ = token_terms(objective(**fields), student, teacher, torch.zeros(5, dtype=torch.long))
    assert loss.item() == pytest.approx(0, abs=1e-12)
    if fields["type_"] != "tvd":  # whose slope jumps there: rounding decides the sign
        assert gradient(loss, student).abs().max().item() < 1e-12


@pytest.mark.parametrize("fields", TOKEN_LEVEL, ids=name)
def test_fp32_is_within_1e_5_nats_a_position(fields: dict[str, Any]) -> None:
    teacher, student, targets = randn(64, 500, seed=8, scale=3.0), randn(64, 500, seed=9, scale=3.0), torch.arange(64)
    spec = objective(**fields)
    exact, _ = token_terms(spec, student, teacher, targets)
    single, _ = token_terms(spec, student.float(), teacher.float(), targets)
    assert single.item() == pytest.approx(exact.item(), abs=64e-5)
