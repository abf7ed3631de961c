"""Log-probabilities of given responses under teacher and student, token by token, in nats and fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from understudy_worker.decoding import ROW_TOKENS, read
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel, Models
from understudy_worker.prefixes import Tree
from understudy_worker.token_logprobs import Asked, token_logprobs
from understudy_worker.tokens import tokens_of
from understudy_worker.turns import TURN
from understudy_worker.wire import ScoredResponse, ScoreOutput, ScorePayload


@torch.inference_mode()
def logprobs(
    loaded: LoadedModel, groups: Sequence[Sequence[Tokens]], *, tick: Callable[[], None]
) -> list[list[list[float]]]:
    """log p(y_t | x, y_<t) for each response token of each sequence of each group.

    What the sequences of a group begin with is read once, and groups are read side by side, without padding. A
    sequence that is read alone has the very numbers of transformers' own forward in fp32; in company they differ by
    rounding, at most 2.5e-5 nats a token on SmolLM2, where fp32 itself is 3.1e-5 from fp64 (measured on 48 responses).
    """
    found: list[list[list[float]]] = []
    for row in _rows(groups):
        with TURN:
            tree = Tree.of(*([tokens.ids for tokens in group] for group in row))
            states_LD = read(loaded, tree)
            sequences = [tokens for group in row for tokens in group]
            asked = [
                Asked(row=place, token=token)
                for number, tokens in enumerate(sequences)
                for place, token in zip(tree.places(number)[tokens.prompt_length - 1 :], tokens.response, strict=False)
            ]
            values = iter(token_logprobs(loaded.head, states_LD, asked, likeliest=0))
        found += [[[next(values).logprob for _ in tokens.response] for tokens in group] for group in row]
        tick()
    return found


def _rows(groups: Sequence[Sequence[Tokens]]) -> Iterator[list[Sequence[Tokens]]]:
    """The groups of each row; a longer one goes alone."""
    row: list[Sequence[Tokens]] = []
    length = 0
    for group in groups:
        tokens = len(Tree.of([one.ids for one in group]).ids)
        if row and length + tokens > ROW_TOKENS:
            yield row
            row, length = [], 0
        row.append(group)
        length += tokens
    if row:
        yield row


def score_tokens(
    teacher: LoadedModel, student: LoadedModel, groups: Sequence[Sequence[Tokens]], *, tick: Callable[[], None]
) -> list[list[ScoredResponse]]:
    """Both models' log-probabilities of the same tokens."""
    by_teacher = logprobs(teacher, groups, tick=tick)
    by_student = by_teacher if student is teacher else logprobs(student, groups, tick=tick)
    return [
        [
            ScoredResponse(
                token_ids=list(tokens.response),
                token_texts=[str(student.tokenizer.decode([token])) for token in tokens.response],
                teacher_logprobs=teacher_values,
                student_logprobs=student_values,
            )
            for tokens, teacher_values, student_values in zip(group, *values, strict=True)
        ]
        for group, *values in zip(groups, by_teacher, by_student, strict=True)
    ]


class Reader(Protocol):
    """What a model reads with."""

    @property
    def tokenizer_digest(self) -> str: ...

    @property
    def context_length(self) -> int: ...


def shared_context(teacher: Reader, student: Reader) -> int:
    """Tokens that both models can read, and a check that they read them alike."""
    if teacher.tokenizer_digest != student.tokenizer_digest:
        raise WorkerError(
            "tokenizer_mismatch", "teacher and student have different tokenizers; scores would not compare"
        )
    return min(teacher.context_length, student.context_length)


@dataclass(frozen=True, eq=False)
class Scoring:
    """One caller's request for scores; a group of sequences is the responses to one prompt."""

    teacher: LoadedModel
    student: LoadedModel
    groups: tuple[tuple[Tokens, ...], ...]

    @classmethod
    def of(cls, payload: ScorePayload, job: Job, models: Models) -> Scoring:
        """Raises WorkerError for what cannot be scored."""
        job.advance("loading", total=2)
        teacher = models.get(payload.teacher, tick=job.advance)
        job.advance(done=1)
        student = models.get(payload.student, tick=job.advance)
        limit = shared_context(teacher, student)
        groups = tuple(
            tuple(
                tokens_of(student, item.prompt, response, template=payload.template, max_length=limit)
                for response in item.responses
            )
            for item in payload.items
        )
        job.advance("working")
        return cls(teacher=teacher, student=student, groups=groups)


def score(asked: Sequence[Scoring], *, tick: Callable[[], None]) -> list[ScoreOutput]:
    """The answers to requests of the same two models, computed together."""
    groups = [group for one in asked for group in one.groups]
    scored = iter(score_tokens(asked[0].teacher, asked[0].student, groups, tick=tick))
    return [
        ScoreOutput(
            kind="score",
            items=[next(scored) for _ in one.groups],
            tokens=sum(len(tokens.response) for group in one.groups for tokens in group),
        )
        for one in asked
    ]
