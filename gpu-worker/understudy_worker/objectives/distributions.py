"""What the divergences of two next-token distributions share.

Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

from understudy_worker.objectives.terms import TeacherRows, Terms


class Divergence(Protocol):
    """The fields that every divergence's specification has."""

    @property
    def temperature(self) -> float: ...


def level(spec: Divergence) -> Literal["token"]:
    return "token"


def needs_teacher(spec: Divergence) -> bool:
    return True


def at_temperature(
    student_NV: Tensor,
    teacher: TeacherRows | None,
    spec: Divergence,
    divergence: Callable[[Tensor, Tensor], Tensor],
) -> Terms:
    """`T^2` times the divergence of softmax(z_p / T) and softmax(z_q / T), so that its gradient's size does not depend
    on T (arXiv 1503.02531). `divergence` takes log p and log q (NV, normalised) and gives a sum in nats."""
    assert teacher is not None, "the caller gives a teacher to an objective that needs one"
    with torch.no_grad():
        log_p_NV = (teacher.logits() / spec.temperature).log_softmax(dim=1)
    log_q_NV = (student_NV / spec.temperature).log_softmax(dim=1)
    loss = divergence(log_p_NV, log_q_NV) * spec.temperature**2
    return loss, {"loss/distill": loss.detach()}


def expected_log_ratio(weights_NV: Tensor, log_a_NV: Tensor, log_b_NV: Tensor) -> Tensor:
    """`sum weights (log a - log b)`, where a weight of 0 counts nothing even beside an infinite logarithm."""
    ratio_NV = log_a_NV - log_b_NV
    return (weights_NV * torch.where(weights_NV > 0, ratio_NV, 0.0)).sum()


def mixture(log_a_NV: Tensor, log_b_NV: Tensor, *, share: float) -> Tensor:
    """log((1 - share) a + share b), share in (0, 1)."""
    first = torch.log1p(torch.tensor(-share, dtype=log_a_NV.dtype, device=log_a_NV.device))
    second = torch.log(torch.tensor(share, dtype=log_a_NV.dtype, device=log_a_NV.device))
    return torch.logaddexp(log_a_NV + first, log_b_NV + second)
