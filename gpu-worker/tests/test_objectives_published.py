"""Divergences against formulas that others publish, written as they write them."""

from __future__ import annotations

import math

import pytest
import torch
from objective_cases import objective, randn, token_terms
from torch import Tensor
from torch.nn.functional import kl_div

N, V = 6, 40


def rows(seed: int) -> tuple[Tensor, Tensor]:
    return randn(N, V, seed=seed, scale=3.0), randn(N, V, seed=seed + 100, scale=3.0)


def loss(student: Tensor, teacher: Tensor, kind: str, **fields: float) -> float:
    targets = torch.zeros(len(student), dtype=torch.long)
    return token_terms(objective(kind, **fields), student, teacher, targets)[0].item()


@pytest.mark.parametrize("w", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_jsd_is_that_of_trainers_of_gkd(w: float, temperature: float) -> None:
    """In log-space, from kl_div of log-probabilities, without the factor T^2 (arXiv 2306.13649 has T = 1)."""
    student, teacher = rows(1)
    log_q, log_p = ((logits / temperature).log_softmax(dim=1) for logits in (student, teacher))

    def kl(first: Tensor, second: Tensor) -> Tensor:
        return kl_div(second, first, reduction="sum", log_target=True)

    if w in (0, 1):
        theirs = kl(log_q, log_p) if w else kl(log_p, log_q)
    else:
        middle = torch.logsumexp(torch.stack([log_q + math.log(1 - w), log_p + math.log(w)]), dim=0)
        theirs = w * kl(log_p, middle) + (1 - w) * kl(log_q, middle)
    ours = loss(student, teacher, "jsd", interpolation=w, temperature=temperature)
    assert ours == pytest.approx(theirs.item() * temperature**2, rel=1e-12)


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl"])
def test_a_high_temperature_compares_logits(kind: str) -> None:
    """T^2 KL tends to half the variance over V of the logits' difference (arXiv 1503.02531, section 2.1)."""
    student, teacher = rows(2)
    expected = (student - teacher).var(dim=1, correction=0).sum().item() / 2
    near, far = (abs(loss(student, teacher, kind, temperature=T) / expected - 1) for T in (10.0, 100.0))
    assert far < 0.02 and far < near / 5


def test_bounds_of_distances() -> None:
    """Pinsker's inequality; Jensen-Shannon at most log 2; both symmetric. Skew at most -log a (arXiv 2402.03898)."""
    for q, p in zip(*(logits.split(1) for logits in rows(3)), strict=True):
        distance, shannon = loss(q, p, "tvd"), loss(q, p, "jsd")
        assert distance == pytest.approx(loss(p, q, "tvd")) and shannon == pytest.approx(loss(p, q, "jsd"))
        assert 2 * distance**2 <= min(loss(q, p, "forward_kl"), loss(q, p, "reverse_kl"))
        assert 0 <= distance <= 1 and 0 <= shannon <= math.log(2)
        for kind in ("skew_forward_kl", "skew_reverse_kl"):
            assert 0 <= loss(q, p, kind, skew=0.1) <= -math.log(0.1)
