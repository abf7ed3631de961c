"""Skew Kullback-Leibler divergences.

Source: arXiv 2402.03898 (DistiLLM), equations 3 and 5.
Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from understudy_worker.objectives import kl
from understudy_worker.objectives.distributions import at_temperature, level, mixture, needs_teacher
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import SkewForwardKlObjective, SkewReverseKlObjective

__all__ = ["TYPES", "level", "needs_teacher", "token_terms"]
TYPES = ("skew_forward_kl", "skew_reverse_kl")


def token_terms(
    student_NV: Tensor,
    teacher: TeacherRows | None,
    targets_N: Tensor,
    *,
    spec: SkewForwardKlObjective | SkewReverseKlObjective,
) -> Terms:
    """With a the skew: skew_forward_kl `KL(p || (1 - a) q + a p)`, skew_reverse_kl `KL(q || (1 - a) p + a q)`, in nats,
    over V and N. At a = 0 they are the plain divergences."""

    def divergence(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
        if spec.type == "skew_forward_kl":
            return kl.forward(log_p_NV, _skewed(log_q_NV, log_p_NV, spec.skew))
        return kl.reverse(_skewed(log_p_NV, log_q_NV, spec.skew), log_q_NV)

    return at_temperature(student_NV, teacher, spec, divergence)


def _skewed(log_a_NV: Tensor, log_b_NV: Tensor, share: float) -> Tensor:
    """log((1 - share) a + share b), share in [0, 1)."""
    return mixture(log_a_NV, log_b_NV, share=share) if share else log_a_NV
