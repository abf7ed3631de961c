"""Total variation distance of the next-token distributions.

Source: arXiv 2307.15190 (f-distill), table 1.
Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from understudy_worker.objectives.distributions import at_temperature, level, needs_teacher
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import TvdObjective

__all__ = ["TYPES", "level", "needs_teacher", "token_terms"]
TYPES = ("tvd",)


def token_terms(student_NV: Tensor, teacher: TeacherRows | None, targets_N: Tensor, *, spec: TvdObjective) -> Terms:
    """`1/2 sum |p - q|` over V and N: between 0 and 1 a position. Its gradient is 0 where p = q."""

    def divergence(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
        return (log_p_NV.exp() - log_q_NV.exp()).abs().sum() / 2

    return at_temperature(student_NV, teacher, spec, divergence)
