"""DPKD over whole responses: every variant by hand, by finite differences, against an oracle, at its known limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from objective_cases import gradient, minus_log_sigmoid, objective
from torch import Tensor

from understudy_worker.objectives.dpkd import sequence_terms
from understudy_worker.objectives.terms import Pairs, Terms


def pairs_spec(**fields: Any) -> Any:
    return objective("dpkd", granularity="sequence", **fields)


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def pairs(chosen: list[list[float]], rejected: list[list[float]]) -> Pairs:
    """From the log-probability of each token of each response."""
    sides = [column([math.fsum(tokens) for tokens in side]).requires_grad_() for side in (chosen, rejected)]
    return Pairs(*sides, *(column([len(tokens) for tokens in side]) for side in (chosen, rejected)))


# One pair. Student: y_t = 1/2 * 1/4 (two tokens), y_s = 1/2 (one token). Teacher: y_t = 1/2 * 1/2, y_s = 1/4.
# In units of log 2: log q = -3 and -1, log p = -2 and -2; means -3/2, -1 and -1, -2.
# m = (-3 + 1) - (-2 + 2) = -2; on means (-3/2 + 1) - (-1 + 2) = -3/2. Penalty of dpop: max(0, -2 + 3) = 1, means 1/2.
L = math.log(2)
POLICY = ([[-L, -2 * L]], [[-L]])
REFERENCE = ([[-L, -L]], [[-2 * L]])
# -log sigmoid(-k log 2) = log(1 + 2^k)
BY_HAND: list[tuple[dict[str, Any], float]] = [
    ({"beta": 1}, math.log(5)),
    ({"beta": 0.5}, math.log(3)),
    ({"beta": 1, "label_smoothing": 0.25}, 0.75 * math.log(5) + 0.25 * math.log(5 / 4)),
    ({"beta": 1, "length_normalize": True}, math.log(1 + 2**1.5)),
    # Without p: m = -2, on means -1/2.
    ({"beta": 1, "reference_free": True}, math.log(5)),
    ({"beta": 2, "reference_free": True, "length_normalize": True}, math.log(3)),
    # On means whatever length_normalize says: (-3/2 log 2 - 1/(2 beta))^2.
    ({"beta": 0.5, "variant": "ipo"}, (1.5 * L + 1) ** 2),
    ({"beta": 0.5, "variant": "ipo", "reference_free": True}, (0.5 * L + 1) ** 2),
    # m - 3 = -5; on means -3/2 - 3/2 = -3. (With reference_free the edge refuses it.)
    ({"beta": 1, "variant": "dpop", "lambda": 3}, math.log(33)),
    ({"beta": 1, "variant": "dpop", "lambda": 3, "length_normalize": True}, math.log(9)),
    (
        {"beta": 1, "variant": "dpop", "lambda": 3, "label_smoothing": 0.25},
        0.75 * math.log(33) + 0.25 * math.log(33 / 32),
    ),
    # beta d_q - gamma = 4 * (-1/2) log 2 - gamma; a gamma of log 2 makes it -3 log 2.
    ({"beta": 4, "variant": "simpo", "gamma": 0}, math.log(5)),
    ({"beta": 4, "variant": "simpo", "gamma": L}, math.log(9)),
    ({"variant": "simpo", "gamma": 0}, math.log(3)),  # its own beta of 2
]


@pytest.mark.parametrize(("fields", "expected"), BY_HAND, ids=str)
def test_by_hand(fields: dict[str, Any], expected: float) -> None:
    loss, metrics = sequence_terms(pairs(*POLICY), pairs(*REFERENCE), spec=pairs_spec(**fields))
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert metrics["loss/distill"].item() == loss.item()


def test_rewards_by_hand() -> None:
    _, metrics = sequence_terms(pairs(*POLICY), pairs(*REFERENCE), spec=pairs_spec(beta=0.5))
    assert {name: value.item() / L for name, value in metrics.items() if name.startswith("rewards/")} == pytest.approx(
        {"rewards/chosen": -0.5, "rewards/rejected": 0.5, "rewards/margins": -1, "rewards/accuracies": 0}
    )


@dataclass(frozen=True)
class Drawn:
    """Log-probabilities of each token, the same tokens under student and teacher."""

    policy: tuple[list[list[float]], list[list[float]]]
    reference: tuple[list[list[float]], list[list[float]]]


LOG_PROBS = st.one_of(st.sampled_from([0.0, 0.0, -1.0, -1.0, -1e-6, -300.0]), st.floats(-20, 0))


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """No pair (0) to four, responses of one to five tokens."""
    sizes = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=4))

    def side(which: int) -> list[list[float]]:
        return [draw(st.lists(LOG_PROBS, min_size=size[which], max_size=size[which])) for size in sizes]

    return Drawn(policy=(side(0), side(1)), reference=(side(0), side(1)))


def expected_terms(spec: Any, case: Drawn) -> dict[str, float]:
    """The formulas, pair by pair."""
    mean = spec.length_normalize or spec.variant in ("ipo", "simpo")
    none = spec.reference_free or spec.variant == "simpo"
    beta = spec.beta or (2.0 if spec.variant == "simpo" else 0.1)
    sums = dict.fromkeys(("loss/distill", "rewards/chosen", "rewards/rejected", "rewards/margins"), 0.0)
    for q_t, q_s, p_t, p_s in zip(*case.policy, *case.reference, strict=True):
        q, p = ([math.fsum(y) / (len(y) if mean else 1) for y in pair] for pair in ((q_t, q_s), (p_t, p_s)))
        p = [0.0, 0.0] if none else p
        margin = (q[0] - q[1]) - (p[0] - p[1])
        if spec.variant == "ipo":
            sums["loss/distill"] += (margin - 1 / (2 * beta)) ** 2
        else:
            penalty = spec.lambda_ * max(0.0, p[0] - q[0]) if spec.variant == "dpop" else 0.0
            z = beta * (margin - penalty) - (spec.gamma if spec.variant == "simpo" else 0.0)
            smooth = spec.label_smoothing
            sums["loss/distill"] += (1 - smooth) * minus_log_sigmoid(z) + smooth * minus_log_sigmoid(-z)
        rewards = [beta * (q[side] - p[side]) for side in (0, 1)]
        sums["rewards/chosen"] += rewards[0]
        sums["rewards/rejected"] += rewards[1]
        sums["rewards/margins"] += rewards[0] - rewards[1]
    return sums


VARIANTS: list[dict[str, Any]] = [
    {"variant": "sigmoid"},
    {"variant": "sigmoid", "label_smoothing": 0.3},
    {"variant": "ipo", "beta": 0.1},
    {"variant": "dpop", "lambda": 5.0, "label_smoothing": 0.1},
    {"variant": "dpop"},
    {"variant": "simpo"},
    {"variant": "simpo", "beta": 10.0, "gamma": 0.3, "label_smoothing": 0.2},
]


@settings(max_examples=300, deadline=None)
@given(case=drawn(), fields=st.sampled_from(VARIANTS), mean=st.booleans(), free=st.booleans())
def test_equals_the_oracle(case: Drawn, fields: dict[str, Any], mean: bool, free: bool) -> None:
    assume(not (free and fields["variant"] == "dpop"))
    spec = pairs_spec(**fields, length_normalize=mean, reference_free=free)
    policy, reference = pairs(*case.policy), pairs(*case.reference)
    loss, metrics = sequence_terms(policy, reference, spec=spec)
    expected = expected_terms(spec, case)
    for name, number in expected.items():
        assert metrics[name].item() == pytest.approx(number, rel=1e-9, abs=1e-9)
        assert not metrics[name].requires_grad
    slopes = torch.autograd.grad(loss, [policy.chosen_P, policy.rejected_P])
    assert all(torch.isfinite(slope).all() for slope in slopes)
    if free or spec.variant == "simpo":
        without, _ = sequence_terms(policy, None, spec=spec)
        assert without.item() == loss.item()


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_gradients_are_those_of_finite_differences(fields: dict[str, Any], mean: bool) -> None:
    spec = pairs_spec(**{"beta": 0.7, **fields}, length_normalize=mean)
    sizes = column([2, 1, 5]), column([1, 3, 4])
    reference = Pairs(column([-3.0, -1.5, -9.0]), column([-2.0, -4.0, -7.0]), *sizes)

    def loss(chosen_P: Tensor, rejected_P: Tensor) -> Tensor:
        return sequence_terms(Pairs(chosen_P, rejected_P, *sizes), reference, spec=spec)[0]

    policy = column([-4.0, -1.0, -8.0]).requires_grad_(), column([-1.0, -6.0, -7.5]).requires_grad_()
    assert torch.autograd.gradcheck(loss, policy)


def test_only_the_student_has_a_gradient() -> None:
    policy, reference = pairs(*POLICY), pairs(*REFERENCE)
    for fields in VARIANTS:
        sequence_terms(policy, reference, spec=pairs_spec(**fields))[0].backward()
    assert policy.chosen_P.grad is not None and policy.rejected_P.grad is not None
    assert reference.chosen_P.grad is None and reference.rejected_P.grad is None


def terms(student: float, other: float, teacher: float, rival: float, **fields: Any) -> Terms:
    """Of one pair of one-token responses: log q of both, log p of both."""
    return sequence_terms(pairs([[student]], [[other]]), pairs([[teacher]], [[rival]]), spec=pairs_spec(**fields))


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("fields", [{}, {"variant": "dpop"}, {"label_smoothing": 0.3}], ids=str)
def test_a_perfect_student_has_margin_zero_log_two_and_half_an_accuracy(fields: dict[str, Any], mean: bool) -> None:
    loss, metrics = terms(-1.5, -2.0, -1.5, -2.0, length_normalize=mean, **fields)
    assert loss.item() == pytest.approx(L, rel=1e-12)
    assert metrics["rewards/margins"].item() == 0
    assert metrics["rewards/accuracies"].item() == 0.5


def test_accuracies_count_a_win_as_one_and_a_tie_as_half() -> None:
    policy = pairs([[-1.0], [-1.0], [-3.0]], [[-2.0], [-1.0], [-1.0]])
    reference = pairs([[-1.0], [-1.0], [-1.0]], [[-1.0], [-1.0], [-1.0]])
    assert sequence_terms(policy, reference, spec=pairs_spec())[1]["rewards/accuracies"].item() == 1.5


def test_a_perfect_student_is_pushed_by_half_of_beta() -> None:
    """Towards y_t and away from y_s; dpop's penalty begins at 0, with a slope of 0."""
    for variant in ("sigmoid", "dpop"):
        policy = pairs([[-1.0]], [[-1.0]])
        loss, _ = sequence_terms(policy, pairs([[-1.0]], [[-1.0]]), spec=pairs_spec(variant=variant, beta=0.4))
        assert gradient(loss, policy.chosen_P).item() == pytest.approx(-0.2)


def test_ipo_is_at_its_optimum_where_the_margin_is_one_over_two_beta() -> None:
    policy = pairs([[-1.0]], [[-3.5]])
    loss, _ = sequence_terms(policy, pairs([[-1.0]], [[-1.0]]), spec=pairs_spec(variant="ipo", beta=0.2))
    assert loss.item() == 0 and gradient(loss, policy.chosen_P).item() == 0
    further, _ = terms(-1.0, -4.0, -1.0, -1.0, variant="ipo", beta=0.2)
    assert further.item() == pytest.approx(0.25)


def test_dpop_penalises_only_a_chosen_response_that_became_less_likely() -> None:
    for q_t, equal in ((-1.0, True), (-2.0, True), (-2.5, False)):
        plain, dpop = (terms(q_t, -3.0, -2.0, -2.0, variant=variant)[0].item() for variant in ("sigmoid", "dpop"))
        assert (plain == dpop) == equal


def test_one_token_responses_have_their_mean_as_their_sum() -> None:
    for variant in ("sigmoid", "dpop", "ipo", "simpo"):
        summed, mean = (terms(-1.0, -3.0, -2.0, -0.5, variant=variant, length_normalize=on)[0] for on in (False, True))
        assert summed.item() == mean.item()


def test_simpo_is_log_two_where_the_margin_is_gamma() -> None:
    assert terms(-1.0, -2.5, -7.0, -1.0, variant="simpo", beta=2, gamma=3)[0].item() == pytest.approx(L, rel=1e-12)
