"""Sequence-level knowledge distillation: cross entropy of the teacher's own answers.

Source: Kim and Rush, arXiv 1606.07947, with one answer a prompt.
Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from understudy_worker.nll import token_nll
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import SeqKdObjective

TYPES = ("seqkd",)


def level(spec: SeqKdObjective) -> Literal["token"]:
    return "token"


def needs_teacher(spec: SeqKdObjective) -> bool:
    """Its answers are read, its probabilities are not."""
    return False


def token_terms(student_NV: Tensor, teacher: TeacherRows | None, targets_N: Tensor, *, spec: SeqKdObjective) -> Terms:
    """`-sum_t log q(y_t | x, y_<t)` in nats, y the teacher's answer."""
    loss = token_nll(student_NV, targets_N).sum()
    return loss, {"loss/distill": loss.detach()}
