"""Forward and reverse Kullback-Leibler divergence of the next-token distributions.

Sources: arXiv 1503.02531 (forward), arXiv 2306.08543 (why reverse).
Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from understudy_worker.objectives.distributions import at_temperature, expected_log_ratio, level, needs_teacher
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import ForwardKlObjective, ReverseKlObjective

__all__ = ["TYPES", "level", "needs_teacher", "token_terms"]
TYPES = ("forward_kl", "reverse_kl")


def token_terms(
    student_NV: Tensor,
    teacher: TeacherRows | None,
    targets_N: Tensor,
    *,
    spec: ForwardKlObjective | ReverseKlObjective,
) -> Terms:
    """forward_kl `sum p (log p - log q)`, reverse_kl `sum q (log q - log p)`, over V and N, in nats."""
    return at_temperature(student_NV, teacher, spec, forward if spec.type == "forward_kl" else reverse)


def forward(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
    return expected_log_ratio(log_p_NV.exp(), log_p_NV, log_q_NV)


def reverse(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
    return expected_log_ratio(log_q_NV.exp(), log_q_NV, log_p_NV)
