"""The divergences of next-token distributions: cases by hand, an oracle in Python floats, known limits."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from objective_cases import Case, cases, gradient, log_probs, objective, randn, token_terms
from torch import Tensor

from understudy_worker.objectives.diagnostics import divergences

NO_TARGETS = torch.zeros(1, dtype=torch.long)
# p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2), in multiples of log 2 below.
P, Q = (
    torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log(),
    torch.tensor([[0.25, 0.25, 0.5]], dtype=torch.float64).log(),
)
LOG2 = math.log(2)


def value(spec: Any, student: Tensor, teacher: Tensor) -> float:
    return token_terms(spec, student, teacher, torch.zeros(len(student), dtype=torch.long))[0].item()


# forward KL: 1/2 log 2 + 0 + 1/4 log(1/2) = 1/4 log 2; the two distributions mirror each other, so reverse KL is equal.
# jsd at 1/2: M = (3/8, 1/4, 3/8); KL(p || M) = 1/2 log(4/3) + 1/4 log(2/3) = KL(q || M).
# jsd at 1/4: M = p/4 + 3q/4 = (5/16, 1/4, 7/16);
#   1/4 (1/2 log(8/5) + 1/4 log(4/7)) + 3/4 (1/4 log(4/5) + 1/2 log(8/7)).
# skew 1/2: KL(p || M) and KL(q || M) with M = (3/8, 1/4, 3/8).
# tvd: (1/4 + 0 + 1/4) / 2. adaptive: by symmetry any weights give 1/4 log 2.
HALF = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3)
BY_HAND: list[tuple[str, dict[str, Any], float]] = [
    ("forward_kl", {}, LOG2 / 4),
    ("reverse_kl", {}, LOG2 / 4),
    ("jsd", {"interpolation": 0.5}, HALF),
    (
        "jsd",
        {"interpolation": 0.25},
        0.25 * (0.5 * math.log(8 / 5) + 0.25 * math.log(4 / 7))
        + 0.75 * (0.25 * math.log(4 / 5) + 0.5 * math.log(8 / 7)),
    ),
    ("skew_forward_kl", {"skew": 0.5}, HALF),
    ("skew_reverse_kl", {"skew": 0.5}, HALF),
    ("tvd", {}, 0.25),
    ("adaptive_kl", {}, LOG2 / 4),
]


@pytest.mark.parametrize(("kind", "fields", "expected"), BY_HAND)
def test_by_hand(kind: str, fields: dict[str, Any], expected: float) -> None:
    assert value(objective(kind, **fields), Q, P) == pytest.approx(expected, rel=1e-12)


def test_skew_by_hand() -> None:
    # p = (1, 0), q = (1/2, 1/2). Forward at 1/4: M = (5/8, 3/8); KL(p || M) = log(8/5).
    # Reverse at 1/4: M = 3p/4 + q/4 = (7/8, 1/8); KL(q || M) = 1/2 log(4/7) + 1/2 log 4.
    student, teacher = torch.zeros(1, 2).double(), torch.tensor([[0.0, -math.inf]], dtype=torch.float64)
    assert value(objective("skew_forward_kl", skew=0.25), student, teacher) == pytest.approx(math.log(8 / 5))
    expected = (math.log(4 / 7) + math.log(4)) / 2
    assert value(objective("skew_reverse_kl", skew=0.25), student, teacher) == pytest.approx(expected)


def test_adaptive_kl_by_hand() -> None:
    # p = (1/2, 3/8, 1/8), q = (1/4, 1/8, 5/8): the gaps are 1/4, 1/4, 1/2.
    # Head mass 0.4: the first token reaches it, weights 1/4 and 3/4. 0.6: two tokens, 1/2 and 1/2. 0.9: all three.
    teacher = torch.tensor([[0.5, 0.375, 0.125]], dtype=torch.float64).log()
    student = torch.tensor([[0.25, 0.125, 0.625]], dtype=torch.float64).log()
    forward = 0.5 * LOG2 + 0.375 * math.log(3) + 0.125 * math.log(0.2)
    reverse = 0.25 * math.log(0.5) + 0.125 * math.log(1 / 3) + 0.625 * math.log(5)
    for head_mass, share in ((0.4, 0.25), (0.6, 0.5), (0.9, 1.0)):
        spec = objective("adaptive_kl", head_mass=head_mass)
        assert value(spec, student, teacher) == pytest.approx(share * forward + (1 - share) * reverse, rel=1e-12)
    # Of p = (1/2, 1/4, 1/4) at 0.6 both of the equally probable tokens are in the head: forward KL alone.
    assert value(objective("adaptive_kl", head_mass=0.6), Q, P) == pytest.approx(LOG2 / 4, rel=1e-12)
    uneven = torch.tensor([[0.125, 0.375, 0.5]], dtype=torch.float64).log()
    expected = value(objective("forward_kl"), uneven, P)
    assert value(objective("adaptive_kl", head_mass=0.6), uneven, P) == pytest.approx(expected, rel=1e-12)


def test_the_head_may_be_most_of_a_vocabulary() -> None:
    """A flat teacher over 2000 tokens, of which 1800 reach 0.9."""
    student, teacher = randn(2, 2000, seed=13), randn(2, 2000, seed=14, scale=1e-3)
    spec = objective("adaptive_kl", head_mass=0.9)
    rows = zip(teacher.tolist(), student.tolist(), strict=True)
    expected = sum(position(spec, log_probs(p), log_probs(q)) for p, q in rows)
    assert value(spec, student, teacher) == pytest.approx(expected, rel=1e-9)


def kl(log_a: list[float], log_b: list[float]) -> float:
    """KL(a || b), a token without probability under a counting nothing."""
    return math.fsum(math.exp(a) * (a - b) for a, b in zip(log_a, log_b, strict=True) if math.exp(a) > 0)


def mixed(log_a: list[float], log_b: list[float], share: float) -> list[float]:
    """log(share a + (1 - share) b)."""

    def one(first: float, second: float) -> float:
        low, high = sorted((first, second))
        return high if low == -math.inf else high + math.log1p(math.exp(low - high))

    return [one(a + math.log(share), b + math.log(1 - share)) for a, b in zip(log_a, log_b, strict=True)]


def masses(log_p: list[float]) -> list[float]:
    """What the 0, 1, 2 ... most probable tokens sum to."""
    order = sorted((math.exp(value) for value in log_p), reverse=True)
    return [math.fsum(order[:count]) for count in range(len(order))]


def gaps(log_p: list[float], log_q: list[float], head_mass: float) -> tuple[float, float]:
    """g_head and g_tail, the head taken token by token in order of probability, equals together."""
    p, q = [math.exp(value) for value in log_p], [math.exp(value) for value in log_q]
    least = sorted(p, reverse=True)[sum(mass < head_mass for mass in masses(log_p)) - 1]
    both = list(zip(p, q, strict=True))
    return (
        math.fsum(abs(first - second) for first, second in both if first >= least),
        math.fsum(abs(first - second) for first, second in both if first < least),
    )


def position(spec: Any, log_p: list[float], log_q: list[float]) -> float:
    """The formula of one position, from log-probabilities."""
    match spec.type:
        case "forward_kl":
            return kl(log_p, log_q)
        case "reverse_kl":
            return kl(log_q, log_p)
        case "jsd" if spec.interpolation in (0, 1):
            return kl(log_p, log_q) if spec.interpolation == 0 else kl(log_q, log_p)
        case "jsd":
            share: float = spec.interpolation
            middle = mixed(log_p, log_q, share)
            return share * kl(log_p, middle) + (1 - share) * kl(log_q, middle)
        case "skew_forward_kl":
            return kl(log_p, mixed(log_p, log_q, spec.skew) if spec.skew else log_q)
        case "skew_reverse_kl":
            return kl(log_q, mixed(log_q, log_p, spec.skew) if spec.skew else log_p)
        case "tvd":
            return math.fsum(abs(math.exp(p) - math.exp(q)) for p, q in zip(log_p, log_q, strict=True)) / 2
        case _:
            head, tail = gaps(log_p, log_q, spec.head_mass)
            # A weight of 0 counts nothing, even beside an infinite divergence; without a gap both divergences are 0.
            parts = ((head, kl(log_p, log_q)), (tail, kl(log_q, log_p)))
            return math.fsum(gap / (head + tail) * way for gap, way in parts if gap)


def oracle(spec: Any, case: Case) -> float:
    temperature: float = spec.temperature
    rows = zip(case.teacher, case.student, strict=True)
    parts = [position(spec, log_probs(p, temperature), log_probs(q, temperature)) for p, q in rows]
    return temperature * temperature * math.fsum(parts)


SPECS = st.sampled_from(
    [
        {"type_": "forward_kl"},
        {"type_": "reverse_kl"},
        *({"type_": "jsd", "interpolation": share} for share in (0.0, 0.01, 0.3, 0.5, 0.9, 1.0)),
        *({"type_": f"skew_{way}_kl", "skew": share} for way in ("forward", "reverse") for share in (0.0, 0.1, 0.99)),
        {"type_": "tvd"},
        *({"type_": "adaptive_kl", "head_mass": mass} for mass in (0.05, 0.5, 0.93)),
    ]
)


@settings(max_examples=400, deadline=None)
@given(case=cases(), fields=SPECS, temperature=st.sampled_from([0.5, 1.0, 1.0, 3.0]))
def test_equals_the_oracle(case: Case, fields: dict[str, Any], temperature: float) -> None:
    spec = objective(**fields, temperature=temperature)
    if spec.type == "adaptive_kl":  # at the very edge of the head rounding decides
        edges = [mass - spec.head_mass for p in case.teacher for mass in masses(log_probs(p, temperature))]
        assume(all(abs(edge) > 1e-9 for edge in edges))
    student, teacher, targets = case.tensors()
    loss, metrics = token_terms(spec, student, teacher, targets)
    expected = oracle(spec, case)
    if math.isinf(expected):
        assert not torch.isfinite(loss)
    else:
        assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert metrics["loss/distill"].item() == loss.item()


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_diagnostics_equal_the_oracle(case: Case) -> None:
    student, teacher, _ = case.tensors()
    sums = divergences(student, teacher)
    rows = [(log_probs(p), log_probs(q)) for p, q in zip(case.teacher, case.student, strict=True)]
    nothing = [0.0] * case.vocabulary
    expected = {
        "kl/forward": sum(kl(p, q) for p, q in rows),
        "kl/reverse": sum(kl(q, p) for p, q in rows),
        "entropy/teacher": sum(-kl(p, nothing) for p, _ in rows),
        "entropy/student": sum(-kl(q, nothing) for _, q in rows),
    }
    assert sums.keys() == expected.keys()
    for key, number in expected.items():
        assert sums[key].item() == pytest.approx(number, rel=1e-9, abs=1e-9)
        assert not sums[key].requires_grad


def test_diagnostics_by_hand() -> None:
    # Both entropies: 1/2 log 2 + 2/4 log 4 = 3/2 log 2.
    assert {key: number.item() / LOG2 for key, number in divergences(Q, P).items()} == pytest.approx(
        {"kl/forward": 0.25, "kl/reverse": 0.25, "entropy/teacher": 1.5, "entropy/student": 1.5}
    )


def test_the_ends_of_jsd_and_skew_are_the_plain_divergences() -> None:
    student, teacher = randn(6, 9, seed=1), randn(6, 9, seed=2)
    forward, reverse = (value(objective(f"{way}_kl"), student, teacher) for way in ("forward", "reverse"))
    assert value(objective("jsd", interpolation=0), student, teacher) == forward
    assert value(objective("jsd", interpolation=1), student, teacher) == reverse
    assert value(objective("skew_forward_kl", skew=0), student, teacher) == forward
    assert value(objective("skew_reverse_kl", skew=0), student, teacher) == reverse
    # Near its ends jsd over its weight tends to them, its error in proportion to the weight.
    for weight in (1e-3, 1e-5):
        near = [value(objective("jsd", interpolation=share), student, teacher) for share in (weight, 1 - weight)]
        assert near[0] / weight == pytest.approx(forward, rel=10 * weight)
        assert near[1] / weight == pytest.approx(reverse, rel=10 * weight)
        for way, plain in (("forward", forward), ("reverse", reverse)):
            skewed = value(objective(f"skew_{way}_kl", skew=weight), student, teacher)
            assert skewed == pytest.approx(plain, rel=100 * weight)


def test_jsd_of_swapped_models_is_that_of_the_other_weight() -> None:
    student, teacher = randn(6, 9, seed=3), randn(6, 9, seed=4)
    for share in (0.2, 0.5):
        swapped = value(objective("jsd", interpolation=1 - share), teacher, student)
        assert value(objective("jsd", interpolation=share), student, teacher) == pytest.approx(swapped, rel=1e-12)


def test_distributions_without_a_common_token() -> None:
    """The bounded divergences are at their bounds, the others infinite."""
    student, teacher = (
        torch.tensor([[0.0, -math.inf]], dtype=torch.float64),
        torch.tensor([[-math.inf, 0.0]], dtype=torch.float64),
    )
    assert value(objective("tvd"), student, teacher) == 1
    assert value(objective("jsd"), student, teacher) == pytest.approx(LOG2)
    for kind in ("skew_forward_kl", "skew_reverse_kl"):
        assert value(objective(kind, skew=0.1), student, teacher) == pytest.approx(-math.log(0.1))
    for kind in ("forward_kl", "reverse_kl"):
        assert value(objective(kind), student, teacher) == math.inf


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd", "skew_forward_kl", "tvd", "adaptive_kl"])
def test_temperature_divides_the_logits_and_its_square_multiplies_the_loss(kind: str) -> None:
    student, teacher = randn(6, 9, seed=5, scale=3), randn(6, 9, seed=6, scale=3)
    scaled = 6.25 * value(objective(kind), student / 2.5, teacher / 2.5)
    assert value(objective(kind, temperature=2.5), student, teacher) == pytest.approx(scaled, rel=1e-12)


def test_at_high_temperature_forward_kl_compares_logits() -> None:
    """Its gradient tends to (z_q - z_p) / V, both centred (arXiv 1503.02531, equation 4)."""
    student, teacher = randn(3, 8, seed=7).requires_grad_(), randn(3, 8, seed=8)
    loss, _ = token_terms(objective("forward_kl", temperature=100), student, teacher, torch.zeros(3, dtype=torch.long))
    gap = student.detach() - teacher
    expected = (gap - gap.mean(dim=1, keepdim=True)) / 8
    assert torch.allclose(gradient(loss, student), expected, atol=5e-3)
    assert not torch.allclose(gap / 8, expected, atol=5e-3)


def test_gradients_in_closed_form() -> None:
    """d/dz_q of the sums: forward q - p; reverse q (log q/p - KL)."""
    student, teacher = randn(4, 6, seed=9).requires_grad_(), randn(4, 6, seed=10)
    targets = torch.zeros(4, dtype=torch.long)
    q, p = student.detach().softmax(dim=1), teacher.softmax(dim=1)
    ratio = (q / p).log()
    forward, _ = token_terms(objective("forward_kl"), student, teacher, targets)
    assert torch.allclose(gradient(forward, student), q - p, atol=1e-12)
    reverse, _ = token_terms(objective("reverse_kl"), student, teacher, targets)
    assert torch.allclose(gradient(reverse, student), q * (ratio - (q * ratio).sum(1, keepdim=True)), atol=1e-12)


@pytest.mark.parametrize("head_mass", [0.2, 0.5, 0.9])
def test_no_gradient_flows_through_adaptive_weights(head_mass: float) -> None:
    """So the gradient is that of the two divergences, weighted by the oracle's weights."""
    student, teacher = randn(1, 9, seed=11, scale=2).requires_grad_(), randn(1, 9, seed=12, scale=2)
    head, tail = gaps(log_probs(teacher[0].tolist()), log_probs(student[0].tolist()), head_mass)
    share = head / (head + tail)
    assert 0 < share < 1
    forward, reverse = (
        gradient(token_terms(objective(kind), student, teacher, NO_TARGETS)[0], student)
        for kind in ("forward_kl", "reverse_kl")
    )
    adaptive, _ = token_terms(objective("adaptive_kl", head_mass=head_mass), student, teacher, NO_TARGETS)
    assert torch.allclose(gradient(adaptive, student), share * forward + (1 - share) * reverse, atol=1e-12)
