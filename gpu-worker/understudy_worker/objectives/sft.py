"""Supervised fine-tuning: cross entropy of the response.

Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from understudy_worker.wire import SftObjective

TYPE = "sft"
NEEDS_TEACHER = False


def cross_entropy_sum(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Sum over N of `log sum_v exp(z_v) - z_target`, in nats; a scalar of the logits' dtype."""
    picked_N = logits_NV.gather(1, targets_N[:, None])[:, 0]
    return (logits_NV.logsumexp(dim=1) - picked_N).sum()


def token_terms(
    student_NV: Tensor, teacher_NV: Tensor | None, targets_N: Tensor, *, spec: SftObjective
) -> tuple[Tensor, dict[str, Tensor]]:
    """`-sum_t log q(y_t | x, y_<t)` in nats. The teacher plays no part."""
    loss = cross_entropy_sum(student_NV, targets_N)
    return loss, {"loss/lm": loss.detach()}
