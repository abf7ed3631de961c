"""reward_kl and minillm: every response of a small world enumerated, so that expectations are sums.

A student and a teacher are tables of logits: a row for each beginning of a response, over three tokens, of which 0 ends
it; three tokens end it too. Shape suffixes: C beginnings, S responses, N positions of one response, V vocabulary.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_cases import gradient, log_probs, objective, randn
from torch import Tensor

from understudy_worker.objectives.policy import advantages, policy_terms
from understudy_worker.objectives.terms import DenseTeacher

TOKENS, LONGEST = 3, 3
Response = tuple[int, ...]
BEGINNINGS: list[Response] = [
    begun for length in range(LONGEST) for begun in itertools.product(range(1, TOKENS), repeat=length)
]
RESPONSES: list[Response] = [
    (*begun, token) for begun in BEGINNINGS for token in range(TOKENS) if token == 0 or len(begun) == LONGEST - 1
]
MINILLM = objective("minillm", length_normalize=False)


def reward_kl(beta: float) -> Any:
    return objective("reward_kl", reward={"grader": "exact_match"}, beta=beta)


def contexts(response: Response) -> list[int]:
    """Which row of a table each token was drawn from."""
    return [BEGINNINGS.index(response[:place]) for place in range(len(response))]


def logprobs(table_CV: Tensor) -> Tensor:
    """logprobs_S of all responses."""
    log_CV = table_CV.log_softmax(dim=1)
    return torch.stack([log_CV[contexts(response), list(response)].sum() for response in RESPONSES])


def exact(student_CV: Tensor, teacher_CV: Tensor, rewards_S: Tensor, beta: float) -> Tensor:
    """`beta KL(q || p) - E_q[R]` over whole responses."""
    log_q_S, log_p_S = logprobs(student_CV), logprobs(teacher_CV)
    return (log_q_S.exp() * (beta * (log_q_S - log_p_S) - rewards_S)).sum()


def expected_gradient(student_CV: Tensor, teacher_CV: Tensor, rewards_S: Tensor | None, spec: Any) -> Tensor:
    """The mean over all responses that the student may sample of the gradient that the engine would compute for each.

    They are laid end to end, as in a step; each position's own gradient is weighted by the odds of its response."""
    lengths = [len(response) for response in RESPONSES]
    rows = [row for response in RESPONSES for row in contexts(response)]
    tokens = [token for response in RESPONSES for token in response]
    log_q_N, log_p_N = (table.log_softmax(dim=1)[rows, tokens] for table in (student_CV, teacher_CV))
    found_N = advantages(log_q_N, log_p_N, lengths=lengths, rewards_S=rewards_S, spec=spec)
    student_NV = student_CV.detach()[rows].requires_grad_()
    loss, _ = policy_terms(student_NV, DenseTeacher(teacher_CV[rows]), torch.tensor(tokens), found_N, spec=spec)
    odds_N = logprobs(student_CV).exp().detach().repeat_interleave(torch.tensor(lengths))
    weighted_NV = gradient(loss, student_NV) * odds_N[:, None]
    return torch.zeros_like(teacher_CV).index_add_(0, torch.tensor(rows), weighted_NV)


def tables(seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Student (a leaf with a gradient) and teacher."""
    size = (len(BEGINNINGS), TOKENS)
    return randn(*size, seed=seed, scale=scale).requires_grad_(), randn(*size, seed=seed + 1000, scale=scale)


def test_the_enumeration_is_complete() -> None:
    student_CV, _ = tables(0)
    assert len(RESPONSES) == 15
    assert logprobs(student_CV).exp().sum().item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beta", [0.1, 1.0, 7.0])
def test_reward_kl_with_a_graders_reward_is_unbiased(seed: int, beta: float) -> None:
    student_CV, teacher_CV = tables(seed, scale=2.0)
    rewards_S = torch.tensor([float(response in ((1, 0), (2, 1, 1))) for response in RESPONSES], dtype=torch.float64)
    expected_CV = gradient(exact(student_CV, teacher_CV, rewards_S, beta), student_CV)
    found_CV = expected_gradient(student_CV, teacher_CV, rewards_S, reward_kl(beta))
    assert expected_CV.abs().max().item() > 1e-3
    assert torch.allclose(found_CV, expected_CV, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_reward_kl_with_a_checkpoints_reward_is_unbiased(seed: int) -> None:
    student_CV, teacher_CV = tables(seed, scale=2.0)
    judge_CV = randn(*teacher_CV.shape, seed=seed + 2000)
    beta = 0.3
    rewards_S = beta * (logprobs(judge_CV) - logprobs(teacher_CV))
    expected_CV = gradient(exact(student_CV, teacher_CV, rewards_S, beta), student_CV)
    found_CV = expected_gradient(student_CV, teacher_CV, rewards_S, reward_kl(beta))
    assert torch.allclose(found_CV, expected_CV, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_minillm_is_reverse_kl_over_responses(seed: int) -> None:
    student_CV, teacher_CV = tables(seed, scale=2.0)
    expected_CV = gradient(exact(student_CV, teacher_CV, torch.zeros(len(RESPONSES)), 1.0), student_CV)
    assert torch.allclose(expected_gradient(student_CV, teacher_CV, None, MINILLM), expected_CV, rtol=0, atol=1e-12)


def minimised(teacher_CV: Tensor, rewards_S: Tensor | None, spec: Any, beta: float) -> Tensor:
    """From near the teacher, by the expected estimates alone; the exact objective only says how long a step may be."""
    student_CV = (teacher_CV + 0.5 * randn(*teacher_CV.shape, seed=77)).requires_grad_()
    optimizer = torch.optim.LBFGS([student_CV], max_iter=300, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure() -> Tensor:
        student_CV.grad = expected_gradient(student_CV, teacher_CV, rewards_S, spec)
        given_S = torch.zeros(len(RESPONSES)) if rewards_S is None else rewards_S
        return exact(student_CV, teacher_CV, given_S, beta).detach()

    optimizer.step(closure)
    return logprobs(student_CV).exp().detach()


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_the_optimum_of_a_checkpoints_reward_is_the_checkpoint(beta: float) -> None:
    """`beta KL(q || p) - beta E_q[log q'/p] = beta KL(q || q')`: 0 at q' and nowhere else."""
    _, teacher_CV = tables(11)
    judge_CV = randn(*teacher_CV.shape, seed=12)
    rewards_S = beta * (logprobs(judge_CV) - logprobs(teacher_CV))
    found_S, judge_S = minimised(teacher_CV, rewards_S, reward_kl(beta), beta), logprobs(judge_CV).exp()
    assert (logprobs(teacher_CV).exp() - judge_S).abs().max().item() > 0.1
    assert (found_S - judge_S).abs().max().item() < 1e-6


def test_the_optimum_of_a_graders_reward_is_the_teacher_reweighted() -> None:
    """q* = p exp(R / beta) / Z (arXiv 2305.18290, equation 4)."""
    _, teacher_CV = tables(13)
    rewards_S = torch.tensor([float(response == (2, 0)) for response in RESPONSES], dtype=torch.float64)
    found_S = minimised(teacher_CV, rewards_S, reward_kl(0.5), 0.5)
    assert torch.allclose(found_S, (logprobs(teacher_CV) + rewards_S / 0.5).softmax(dim=0), rtol=0, atol=1e-6)


def test_the_optimum_of_minillm_is_the_teacher() -> None:
    _, teacher_CV = tables(14)
    found_S = minimised(teacher_CV, None, MINILLM, 1.0)
    assert torch.allclose(found_S, logprobs(teacher_CV).exp(), rtol=0, atol=1e-6)


def test_advantages_by_hand() -> None:
    # log q - log p: 1, 2, -4 for three tokens, 5 for one. What follows: -2, -4, 0 and 0.
    student, teacher = torch.tensor([-1.0, -2.0, -5.0, -1.0]), torch.tensor([-2.0, -4.0, -1.0, -6.0])
    rewards_S = torch.tensor([1.0, 0.0])

    def found(spec: Any, given: Tensor | None) -> list[float]:
        result: list[float] = advantages(student, teacher, lengths=[3, 1], rewards_S=given, spec=spec).tolist()
        return result

    assert found(reward_kl(0.5), rewards_S) == [2, 3, 1, 0]
    assert found(MINILLM, None) == [2, 4, 0, 0]
    # Means of what follows: -1 of two tokens, -4 of one.
    assert found(objective("minillm"), None) == [1, 4, 0, 0]


def test_policy_terms_by_hand() -> None:
    # q = (1/4, 3/4), p = (1/2, 1/2): KL(q || p) = 1/4 log(1/2) + 3/4 log(3/2). Token 1 at advantage 2: -2 log(3/4).
    student = torch.tensor([[1.0, 3.0]], dtype=torch.float64).log()
    teacher = DenseTeacher(torch.zeros(1, 2, dtype=torch.float64))
    sampled, advantage = torch.tensor([1]), torch.tensor([2.0], dtype=torch.float64)
    divergence = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    for spec, beta in ((MINILLM, 1.0), (reward_kl(0.5), 0.5)):
        loss, metrics = policy_terms(student, teacher, sampled, advantage, spec=spec)
        assert loss.item() == pytest.approx(beta * divergence - 2 * math.log(0.75), rel=1e-12)
        assert metrics["loss/distill"].item() == loss.item()


FLOATS = st.floats(-30, 0)


@settings(max_examples=100, deadline=None)
@given(
    responses=st.lists(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=6), max_size=4),
    normalize=st.booleans(),
    beta=st.sampled_from([None, 0.1, 3.0]),
)
def test_advantages_equal_the_oracle(
    responses: list[list[tuple[float, float]]], normalize: bool, beta: float | None
) -> None:
    """beta None: minillm."""
    spec = objective("minillm", length_normalize=normalize) if beta is None else reward_kl(beta)
    flat = torch.tensor([pair for response in responses for pair in response], dtype=torch.float64).reshape(-1, 2)
    rewards = [0.5 * index for index in range(len(responses))]
    given_S = None if beta is None else torch.tensor(rewards, dtype=torch.float64)
    lengths = [len(response) for response in responses]
    found = advantages(flat[:, 0], flat[:, 1], lengths=lengths, rewards_S=given_S, spec=spec)
    expected = []
    for response, reward in zip(responses, rewards, strict=True):
        for place in range(len(response)):
            after = [q - p for q, p in response[place + 1 :]]
            share = math.fsum(after) / (len(after) if beta is None and normalize and after else 1)
            expected.append((0.0 if beta is None else reward) - (beta or 1.0) * share)
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert not found.requires_grad


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), positions=st.integers(0, 4), scale=st.sampled_from([0.0, 1.0, 30.0, 500.0]))
def test_policy_terms_equal_the_oracle(seed: int, positions: int, scale: float) -> None:
    student, teacher = randn(positions, 6, seed=seed, scale=scale), randn(positions, 6, seed=seed + 1, scale=scale)
    if positions:
        student[0, 5] = teacher[0, 5] = -math.inf
    sampled, advantage = torch.arange(positions) % 5, randn(positions, seed=seed + 2)
    loss, _ = policy_terms(student.requires_grad_(), DenseTeacher(teacher), sampled, advantage, spec=reward_kl(0.3))
    expected = 0.0
    for index in range(positions):
        q, p = log_probs(student[index].tolist()), log_probs(teacher[index].tolist())
        divergence = math.fsum(math.exp(a) * (a - b) for a, b in zip(q, p, strict=True) if math.exp(a) > 0)
        expected += 0.3 * divergence - advantage[index].item() * q[int(sampled[index])]
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert torch.isfinite(gradient(loss, student)).all()


def test_blocks_of_positions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = randn(5, 7, seed=27).requires_grad_(), DenseTeacher(randn(5, 7, seed=28))
    found = []
    for block in (5 * 7, 2 * 7, 1):
        monkeypatch.setattr("understudy_worker.blocks.CPU_BLOCK", block)
        loss, _ = policy_terms(student, teacher, torch.arange(5), randn(5, seed=29), spec=reward_kl(0.3))
        found.append(torch.cat([loss.detach()[None], gradient(loss, student).flatten()]))
    assert torch.allclose(found[0], found[1], rtol=1e-12, atol=1e-14)
    assert torch.allclose(found[0], found[2], rtol=1e-12, atol=1e-14)


def test_gradients_are_those_of_finite_differences() -> None:
    student, teacher = randn(4, 5, seed=21).requires_grad_(), DenseTeacher(randn(4, 5, seed=22))
    sampled, advantage = torch.tensor([0, 4, 4, 2]), randn(4, seed=23)
    for spec in (MINILLM, reward_kl(0.3)):
        assert torch.autograd.gradcheck(lambda q: policy_terms(q, teacher, sampled, advantage, spec=spec)[0], student)  # noqa: B023


def test_only_the_student_has_a_gradient() -> None:
    student, teacher = randn(2, 5, seed=24).requires_grad_(), randn(2, 5, seed=25).requires_grad_()
    advantage = randn(2, seed=26).requires_grad_()
    loss, _ = policy_terms(student, DenseTeacher(teacher), torch.tensor([1, 2]), advantage, spec=MINILLM)
    loss.backward()
    assert student.grad is not None and teacher.grad is None and advantage.grad is None
