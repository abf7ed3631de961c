"""Cross entropy of given tokens: nll.token_nll, and seqkd, which is its sum."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from objective_cases import Case, cases, gradient, log_probs, objective, randn, token_terms
from torch.nn.functional import cross_entropy

from understudy_worker.nll import token_nll
from understudy_worker.objectives import REGISTRY


def test_by_hand() -> None:
    # softmax(log 1, log 3, log 4) = (1/8, 3/8, 1/2): -log(3/8), and its slope is the probabilities less the one asked.
    logits = torch.tensor([[1.0, 3.0, 4.0]], dtype=torch.float64).log().requires_grad_()
    loss = token_nll(logits, torch.tensor([1]))
    assert loss.tolist() == pytest.approx([math.log(8 / 3)])
    assert gradient(loss.sum(), logits).tolist()[0] == pytest.approx([1 / 8, 3 / 8 - 1, 1 / 2])


def test_gradients_are_those_of_finite_differences() -> None:
    logits, targets = randn(5, 7, seed=1, scale=3.0).requires_grad_(), torch.tensor([0, 6, 2, 2, 3])
    assert torch.autograd.gradcheck(lambda z: token_nll(z, targets), logits)


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_equals_cross_entropy_and_its_gradient(case: Case) -> None:
    student, _, targets = case.tensors()
    weights = torch.arange(1, len(targets) + 1).double()
    ours = token_nll(student, targets)
    theirs = cross_entropy(student, targets, reduction="none")
    assert torch.equal(torch.isinf(ours), torch.isinf(theirs))
    finite = torch.isfinite(theirs)
    assert torch.allclose(ours[finite], theirs[finite], rtol=1e-12, atol=1e-12)
    slope, expected_slope = (gradient((loss * weights)[finite].sum(), student) for loss in (ours, theirs))
    assert torch.allclose(slope, expected_slope, rtol=1e-12, atol=1e-12)
    expected = [-log_probs(row)[target] for row, target in zip(case.student, case.targets, strict=True)]
    assert ours.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_logits_are_left_as_they_were() -> None:
    """The backward pass works in place, on a matrix of its own."""
    logits = randn(3, 4, seed=2).requires_grad_()
    before = logits.detach().clone()
    loss = token_nll(logits, torch.tensor([0, 1, 2])).sum()
    gradient(loss, logits)
    assert torch.equal(logits, before)


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_seqkd_is_the_cross_entropy_of_the_answer(case: Case) -> None:
    """And it is given no teacher: the answer's tokens are the teacher's."""
    student, _, targets = case.tensors()
    loss, metrics = REGISTRY["seqkd"].token_terms(student, None, targets, spec=objective("seqkd"))
    expected = sum(-log_probs(row)[target] for row, target in zip(case.student, case.targets, strict=True))
    assert loss.item() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert metrics.keys() == {"loss/distill"} and metrics["loss/distill"].item() == loss.item()


def test_seqkd_by_hand() -> None:
    # Two tokens of probability 1/2 and 1/8 after (1/8, 3/8, 1/2): log 2 + log 8 = 4 log 2.
    logits = torch.tensor([[1.0, 3.0, 4.0]] * 2, dtype=torch.float64).log()
    loss, _ = token_terms(objective("seqkd"), logits, logits, torch.tensor([2, 0]))
    assert loss.item() == pytest.approx(4 * math.log(2))
