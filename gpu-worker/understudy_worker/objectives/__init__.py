"""What a step minimises, by the objective's `type`. A new one is a module here and its line in MODULES.

A module has `TYPE`, `NEEDS_TEACHER` and `token_terms(student_NV, teacher_NV, targets_N, spec=...)`: a pure function
from fp32 logits at N response positions to the loss summed over them and a dictionary of summed metrics. The caller
divides by the step's own count of response tokens, so accumulation and parallelism change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from understudy_worker.objectives import dpkd, sft


class Objective(Protocol):
    """One module of this folder."""

    TYPE: str
    NEEDS_TEACHER: bool

    @property
    def token_terms(self) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]: ...


MODULES = (dpkd, sft)
REGISTRY: dict[str, Objective] = {module.TYPE: module for module in MODULES}
