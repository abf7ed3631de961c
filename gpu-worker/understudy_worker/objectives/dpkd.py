"""Direct Preference Knowledge Distillation, token level, sigmoid.

Source: arXiv 2406.19774, in the form that the authors' released code trains (docs/method.md).
Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from understudy_worker.objectives.sft import cross_entropy_sum
from understudy_worker.wire import DpkdObjective

TYPE = "dpkd"
NEEDS_TEACHER = True


def token_terms(
    student_NV: Tensor, teacher_NV: Tensor | None, targets_N: Tensor, *, spec: DpkdObjective
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss summed over N response positions, in nats, and the sums of its metrics.

    At each position `y_t = argmax p`, `y_s = argmax q` (ties: the lowest id),

        m = (log q(y_t) - log q(y_s)) - (log p(y_t) - log p(y_s))
        distill = -log sigmoid(beta m) (1 - label_smoothing) - log sigmoid(-beta m) label_smoothing
        loss = (1 - kd_ratio) CE + kd_ratio distill

    The normalisers of p and q cancel in m, so it is a difference of logits. m is never positive: where both agree on
    the first choice it is 0, the distillation loss is log 2 and its gradient is 0. Only q has a gradient.
    """
    assert teacher_NV is not None, "the caller gives a teacher to an objective that needs one"
    chosen_N1 = teacher_NV.argmax(dim=1, keepdim=True)
    rejected_N1 = student_NV.argmax(dim=1, keepdim=True)
    student_gap_N = (student_NV.gather(1, chosen_N1) - student_NV.gather(1, rejected_N1))[:, 0]
    teacher_gap_N = (teacher_NV.gather(1, chosen_N1) - teacher_NV.gather(1, rejected_N1))[:, 0]
    margin_N = student_gap_N - teacher_gap_N.detach()
    # -log sigmoid(z) = softplus(-z), without overflow
    positive = softplus(-spec.beta * margin_N).sum()
    negative = softplus(spec.beta * margin_N).sum()
    distill = positive * (1 - spec.label_smoothing) + negative * spec.label_smoothing
    lm = cross_entropy_sum(student_NV, targets_N)
    loss = (1 - spec.kd_ratio) * lm + spec.kd_ratio * distill
    return loss, {
        "loss/lm": lm.detach(),
        "loss/distill": distill.detach(),
        "margin/token_mean": margin_N.detach().sum(),
        "argmax_agreement": (chosen_N1 == rejected_N1).sum().to(margin_N.dtype),
    }
