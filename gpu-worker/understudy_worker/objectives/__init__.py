"""What a step minimises, by the objective's `type`. A new one is a module here and its line in MODULES.

A step minimises `(1 - kd_ratio) CE(response) + kd_ratio distillation + coef CE(plain text)`. The cross entropies are
the step's own; an objective gives the distillation term, as one of three pure functions, and `level` says which:

- token: `token_terms(student_NV, teacher, targets_N, spec=...)`, a sum over N positions under teacher forcing;
- sequence: `sequence_terms(policy, reference, spec=...)`, a sum over P pairs of whole responses (`Pairs`); `reference`
  is the teacher's, None where the objective needs none;
- policy: `policy_terms(student_NV, teacher, sampled_N, advantages_N, spec=...)`, a sum over the N positions of
  responses that the student sampled, with `advantages(student_N, teacher_N, lengths=..., rewards_S=..., spec=...)`
  before it.

Each returns `(sum, sums of metrics)`, in the dtype of its input. The caller divides by the step's own count of
positions or pairs, so accumulation and parallelism change nothing.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal

from understudy_worker.objectives import adaptive_kl, dpkd, jsd, kl, policy, seqkd, sft, skew_kl, tvd
from understudy_worker.wire import Objective

Level = Literal["none", "token", "sequence", "policy"]

MODULES: tuple[ModuleType, ...] = (sft, seqkd, dpkd, policy, kl, jsd, skew_kl, tvd, adaptive_kl)
# Any: each module has the functions of its own levels.
REGISTRY: dict[str, Any] = {name: module for module in MODULES for name in module.TYPES}


def level(objective: Objective) -> Level:
    """Which of the three functions the objective has; none for sft."""
    result: Level = REGISTRY[objective.type].level(objective)
    return result


def needs_teacher(objective: Objective) -> bool:
    """Whether the distillation term reads a teacher's probabilities."""
    return bool(REGISTRY[objective.type].needs_teacher(objective))
