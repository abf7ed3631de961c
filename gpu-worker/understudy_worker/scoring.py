"""Log-probabilities of given responses under teacher and student, token by token, in nats and fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from understudy_worker.decoding import ROW_TOKENS, Decoder
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel, Models
from understudy_worker.token_logprobs import Asked, token_logprobs
from understudy_worker.tokens import tokens_of
from understudy_worker.turns import TURN
from understudy_worker.wire import ScoredResponse, ScoreOutput, ScorePayload


@torch.inference_mode()
def logprobs(loaded: LoadedModel, sequences: Sequence[Tokens], *, tick: Callable[[], None]) -> list[list[float]]:
    """log p(y_t | x, y_<t) for each response token of each sequence.

    Sequences are read in rows without padding, and what several begin with is read once. On SmolLM2 the values are
    within 1e-5 nats a token of transformers' own forward of each sequence alone, in whatever company (measured).
    """
    found: dict[int, list[float]] = {}
    for row in _rows(sequences):
        with TURN:
            tree, states_LD = Decoder(loaded).read([sequences[number].ids for number in row], keep=False)
            asked = [
                Asked(row=place, token=token)
                for index, number in enumerate(row)
                for place, token in zip(
                    tree.places(index)[sequences[number].prompt_length - 1 :], sequences[number].response, strict=False
                )
            ]
            values = iter(token_logprobs(loaded.head, states_LD, asked, likeliest=0))
        for number in row:
            found[number] = [next(values).logprob for _ in sequences[number].response]
        tick()
    return [found[number] for number in range(len(sequences))]


def _rows(sequences: Sequence[Tokens]) -> Iterator[list[int]]:
    """Numbers of the sequences of each row, those that begin alike side by side."""
    row: list[int] = []
    tokens = 0
    for number in sorted(range(len(sequences)), key=lambda number: sequences[number].ids):
        tokens += len(sequences[number])
        if row and tokens > ROW_TOKENS:
            yield row
            row, tokens = [], len(sequences[number])
        row.append(number)
    if row:
        yield row


def score_tokens(
    teacher: LoadedModel, student: LoadedModel, sequences: Sequence[Tokens], *, tick: Callable[[], None]
) -> list[ScoredResponse]:
    """Both models' log-probabilities of the same tokens."""
    by_teacher = logprobs(teacher, sequences, tick=tick)
    by_student = by_teacher if student is teacher else logprobs(student, sequences, tick=tick)
    return [
        ScoredResponse(
            token_ids=list(tokens.response),
            token_texts=[str(student.tokenizer.decode([token])) for token in tokens.response],
            teacher_logprobs=teacher_values,
            student_logprobs=student_values,
        )
        for tokens, teacher_values, student_values in zip(sequences, by_teacher, by_student, strict=True)
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
    """One caller's request for scores, with the tokens of every response of every item."""

    payload: ScorePayload
    teacher: LoadedModel
    student: LoadedModel
    sequences: tuple[Tokens, ...]

    @classmethod
    def of(cls, payload: ScorePayload, job: Job, models: Models) -> Scoring:
        """Raises WorkerError for what cannot be scored."""
        job.advance("loading", total=2)
        teacher = models.get(payload.teacher, tick=job.advance)
        job.advance(done=1)
        student = models.get(payload.student, tick=job.advance)
        limit = shared_context(teacher, student)
        sequences = tuple(
            tokens_of(student, item.prompt, response, template=payload.template, max_length=limit)
            for item in payload.items
            for response in item.responses
        )
        job.advance("working", total=len(sequences))
        return cls(payload=payload, teacher=teacher, student=student, sequences=sequences)


def score(asked: Sequence[Scoring], *, tick: Callable[[], None]) -> list[ScoreOutput]:
    """The answers to requests of the same two models, computed together."""
    sequences = [tokens for one in asked for tokens in one.sequences]
    scored = iter(score_tokens(asked[0].teacher, asked[0].student, sequences, tick=tick))
    return [
        ScoreOutput(
            kind="score",
            items=[[next(scored) for _ in item.responses] for item in one.payload.items],
            tokens=sum(len(tokens.response) for tokens in one.sequences),
        )
        for one in asked
    ]
