"""The pairs of a preference evaluation: both responses of each item under teacher and student."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.generation import answer_items
from understudy_worker.jobs import FrameMaker, Job, send_batches
from understudy_worker.models import LoadedModel, Models
from understudy_worker.scoring import score_tokens, shared_context
from understudy_worker.tokens import tokens_of
from understudy_worker.wire import (
    FinishReason,
    Pairs,
    PairSide,
    PreferBatch,
    PreferItem,
    PreferOutput,
    PreferPayload,
    ScoredPair,
    ScoredResponse,
)


@dataclass(frozen=True)
class _Response:
    """One side of a pair; `finish_reason` is None where it was given."""

    text: str
    finish_reason: FinishReason | None


_Pair = tuple[_Response, _Response]


@dataclass(frozen=True, eq=False)
class _Judges:
    teacher: LoadedModel
    student: LoadedModel
    max_length: int


def run(payload: PreferPayload, job: Job, models: Models) -> PreferOutput:
    """Score the batches of a preference evaluation; each goes ahead in a `pairs` frame, whole."""
    teacher = models.get(payload.teacher, tick=job.advance)
    student = models.get(payload.student, tick=job.advance)
    judges = _Judges(teacher=teacher, student=student, max_length=shared_context(teacher, student))

    def work(batch: PreferBatch) -> FrameMaker:
        items = _score_batch(batch, payload, job, judges)
        return lambda seq: Pairs(
            type="pairs", seq=seq, job=job.lease.job, fence=job.fence, batch=batch.batch, items=items
        )

    send_batches(job, payload.batches, work)
    return PreferOutput(kind="prefer", batches=len(payload.batches))


def _score_batch(batch: PreferBatch, payload: PreferPayload, job: Job, judges: _Judges) -> list[ScoredPair]:
    """Responses to one prompt are one group, which reads the prompt once; the batch alone decides what is read beside
    what, so the same batch run again gives the same bits."""
    pairs = _pairs(batch, payload, job, judges)
    groups = [
        [_tokens(item, response.text, payload, judges) for response in pair]
        for item, pair in zip(batch.items, pairs, strict=True)
    ]
    # Not with what a cache may know: whether it does is no property of the batch, and its bits are others.
    scored, _ = score_tokens(judges.teacher, judges.student, groups, tick=job.advance)
    return [
        ScoredPair(
            item=item.item,
            seed=item.seed,
            chosen=_side(chosen, by_chosen),
            rejected=_side(rejected, by_rejected),
        )
        for item, (chosen, rejected), (by_chosen, by_rejected) in zip(batch.items, pairs, scored, strict=True)
    ]


def _pairs(batch: PreferBatch, payload: PreferPayload, job: Job, judges: _Judges) -> list[_Pair]:
    if payload.generation is None:
        return [_given(item) for item in batch.items]
    by_teacher, by_student = (
        answer_items(loaded, batch.items, template=payload.template, generation=payload.generation, tick=job.advance)
        for loaded in (judges.teacher, judges.student)
    )
    return [
        (_Response(ours.response, ours.finish_reason), _Response(theirs.response, theirs.finish_reason))
        for ours, theirs in zip(by_teacher, by_student, strict=True)
    ]


def _given(item: PreferItem) -> _Pair:
    if item.pair is None:
        raise WorkerError("invalid_payload", f"item {item.item} has no pair, and nothing is to be generated")
    return _Response(item.pair.chosen, None), _Response(item.pair.rejected, None)


def _tokens(item: PreferItem, response: str, payload: PreferPayload, judges: _Judges) -> Tokens:
    try:
        return tokens_of(judges.student, item.prompt, response, template=payload.template, max_length=judges.max_length)
    except WorkerError as error:
        raise WorkerError(error.code, f"item {item.item}: {error}") from error


def _side(response: _Response, scored: ScoredResponse) -> PairSide:
    given = response.finish_reason is None
    return PairSide(
        response=None if given else response.text,
        finish_reason=response.finish_reason,
        num_tokens=len(scored.token_ids),
        teacher_logprob=_total(scored.teacher_logprobs),
        student_logprob=_total(scored.student_logprobs),
    )


def _total(logprobs: Sequence[float]) -> float:
    """Exactly rounded, so that equal responses have equal sums."""
    return math.fsum(logprobs)
