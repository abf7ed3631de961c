"""The given reward of each sampled response, for DPKD's first stage.

Shape suffixes: S responses.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy_worker.forward import response_targets
from understudy_worker.layout import Part
from understudy_worker.losses import teacher_logprobs
from understudy_worker.teacher import FrozenTeacher, TeacherChunk
from understudy_worker.wire import GraderReward, RewardKlObjective, RunSpec


def rewards(
    parts: Sequence[Part],
    teacher: TeacherChunk | None,
    *,
    spec: RunSpec,
    tokenizer: PreTrainedTokenizerBase,
    model: FrozenTeacher | None,
) -> Tensor | None:
    """rewards_S, or None where the objective is given none. A grader's is 0 or 1; a frozen checkpoint q' gives its
    implicit reward, beta (log q'(y|x) - log p(y|x))."""
    objective = spec.objective
    if not isinstance(objective, RewardKlObjective):
        return None
    if isinstance(objective.reward, GraderReward):
        graded = [exact_match(_text(tokenizer, part), part.references) for part in parts]
        return torch.tensor(graded, dtype=torch.float32)
    assert model is not None and teacher is not None, "an implicit reward comes with its checkpoint and a teacher"
    tokens = [part.tokens for part in parts]
    judge = TeacherChunk.of(model.entries(tokens)[0], model.head)
    targets_N = response_targets(tokens, device=judge.states_ND.device)
    log_ratio_N = teacher_logprobs(judge, targets_N) - teacher_logprobs(teacher, targets_N)
    sums = [part.sum() for part in log_ratio_N.split([len(sequence.response) for sequence in tokens])]
    return torch.stack(sums) * objective.beta


def _text(tokenizer: PreTrainedTokenizerBase, part: Part) -> str:
    return str(tokenizer.decode(list(part.tokens.response), skip_special_tokens=True))


def exact_match(response: str, references: Sequence[str]) -> float:
    """1 where the response equals a reference after lower-casing, stripping ASCII punctuation and squeezing white
    space, else 0: the grade that evaluations give, over 100."""
    return float(_normal(response) in {_normal(reference) for reference in references})


def _normal(text: str) -> str:
    return " ".join("".join(letter for letter in text.lower() if letter not in string.punctuation).split())
