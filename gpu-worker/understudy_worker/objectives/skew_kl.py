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
    """With a the skew: skew_forward_kl `KL(p || a p + (1 - a) q)`, skew_reverse_kl `KL(q || (1 - a) q + a p)`, in nats,
    over V and N. At a = 0 they are the plain divergences."""
    share = spec.skew

    def divergence(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
        mixed_NV = mixture(log_q_NV, log_p_NV, share=share) if share else None
        if spec.type == "skew_forward_kl":
            return kl.forward(log_p_NV, log_q_NV if mixed_NV is None else mixed_NV)
        return kl.reverse(log_p_NV if mixed_NV is None else mixed_NV, log_q_NV)

    return at_temperature(student_NV, teacher, spec, divergence)
