"""Responses from a model, by the batch. A batch's composition fixes all shapes, so the same batch run again gives the
same bits.

Shape suffixes: A sequences still running, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from understudy_worker.decoding import Decoder
from understudy_worker.errors import WorkerError
from understudy_worker.jobs import FrameMaker, Job, send_batches
from understudy_worker.models import LoadedModel, Models
from understudy_worker.sampling import Draws, next_tokens
from understudy_worker.scoring import score_tokens, shared_context
from understudy_worker.text import Written
from understudy_worker.tokens import Prompt, Template, check_room, encode_prompt, tokens_of
from understudy_worker.turns import TURN
from understudy_worker.wire import (
    ComparedAnswer,
    ComparedPair,
    CompareOutput,
    ComparePayload,
    FinishReason,
    GenerateBatch,
    GeneratedItem,
    GenerateItem,
    GenerateOutput,
    GeneratePayload,
    Generation,
    Items,
    PreferItem,
)


@dataclass(frozen=True)
class Answer:
    """`ids` are what was generated, with the token that ended it."""

    response: str
    finish_reason: FinishReason
    ids: tuple[int, ...]


@dataclass(eq=False)
class _Sequence:
    """One response as it grows."""

    place: int
    prompt_ids: list[int]
    draws: Draws
    written: Written

    @property
    def answer(self) -> Answer | None:
        written = self.written
        if written.finish_reason is None:
            return None
        return Answer(response=written.text, finish_reason=written.finish_reason, ids=tuple(written.ids))


def generate(
    loaded: LoadedModel,
    prompts: Sequence[list[int]],
    *,
    draws: Sequence[Draws],
    generation: Generation,
    max_length: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> list[Answer]:
    """One answer for each prompt, in order, with which it stays within `max_length` tokens (null: the model's context).
    Raises `prompt_too_long` when a prompt leaves no room for a token."""
    limit = loaded.context_length if max_length is None else min(max_length, loaded.context_length)
    for prompt_ids in prompts:
        check_room(prompt_ids, max_length=limit)
    running = [
        _Sequence(
            place=place,
            prompt_ids=prompt_ids,
            draws=drawn,
            written=Written(loaded, stop=generation.stop, room=min(generation.max_new_tokens, limit - len(prompt_ids))),
        )
        for place, (prompt_ids, drawn) in enumerate(zip(prompts, draws, strict=True))
    ]
    finished = _decode(loaded, running, generation=generation, tick=tick)
    return [finished[place] for place in range(len(prompts))]


# Not inference_mode: a sharded student keeps the buffers that its first pass makes, and trains in them.
@torch.no_grad()
def _decode(
    loaded: LoadedModel, running: list[_Sequence], *, generation: Generation, tick: Callable[[], None]
) -> dict[int, Answer]:
    """All begin together, then a token at a time; those that are finished leave. It depends on the batch alone."""
    finished: dict[int, Answer] = {}
    decoder = Decoder(loaded)
    with TURN:
        logits_AV = decoder.begin([sequence.prompt_ids for sequence in running])
    while True:
        tokens = next_tokens(logits_AV, [sequence.draws for sequence in running], generation=generation)
        for sequence, token in zip(running, tokens, strict=True):
            sequence.written.add(token)
        finished |= {sequence.place: answer for sequence in running if (answer := sequence.answer) is not None}
        left = [row for row, sequence in enumerate(running) if sequence.place not in finished]
        tick()
        if not left:
            return finished
        running = [running[row] for row in decoder.keep(left)]
        with TURN:
            logits_AV = decoder.step([sequence.written.ids[-1] for sequence in running])


def run(payload: GeneratePayload, job: Job, models: Models) -> GenerateOutput:
    """Generate the batches of an evaluation; each goes ahead in an `items` frame, whole."""
    loaded = models.get(payload.model, tick=job.advance)

    def work(batch: GenerateBatch) -> FrameMaker:
        items = _generate_batch(batch, payload, job, loaded)
        return lambda seq: Items(
            type="items", seq=seq, job=job.lease.job, fence=job.fence, batch=batch.batch, items=items
        )

    send_batches(job, payload.batches, work)
    return GenerateOutput(kind="generate", batches=len(payload.batches))


def _generate_batch(
    batch: GenerateBatch, payload: GeneratePayload, job: Job, loaded: LoadedModel
) -> list[GeneratedItem]:
    answers = answer_items(
        loaded, batch.items, template=payload.template, generation=payload.generation, tick=job.advance
    )
    return [
        GeneratedItem(
            item=item.item,
            seed=item.seed,
            response=answer.response,
            finish_reason=answer.finish_reason,
            num_tokens=len(answer.ids),
        )
        for item, answer in zip(batch.items, answers, strict=True)
    ]


def answer_items(
    loaded: LoadedModel,
    items: Sequence[GenerateItem | PreferItem],
    *,
    template: Template,
    generation: Generation,
    tick: Callable[[], None],
) -> list[Answer]:
    """The answer to each item of a batch, drawn by its own seed. Raises `prompt_too_long` with the item's name."""
    prompts = [encode_prompt(loaded, item.prompt, template=template) for item in items]
    for item, prompt_ids in zip(items, prompts, strict=True):
        if len(prompt_ids) >= loaded.context_length:
            raise WorkerError(
                "prompt_too_long",
                f"item {item.item} has {len(prompt_ids)} prompt tokens; the model reads {loaded.context_length}",
            )
    draws = [Draws.of_prompt(item.seed, prompt) for item, prompt in zip(items, prompts, strict=True)]
    return generate(loaded, prompts, draws=draws, generation=generation, tick=tick)


def run_compare(payload: ComparePayload, job: Job, models: Models) -> CompareOutput:
    """Both models answer every prompt with the first seed; both answers are scored under both, as text, exactly as a
    score of that text would be."""
    teacher = models.get(payload.teacher, tick=job.advance)
    student = models.get(payload.student, tick=job.advance)
    limit = shared_context(teacher, student)
    job.advance("working")
    answers = {
        name: _answer_all(loaded, payload.prompts, payload, job)
        for name, loaded in (("teacher", teacher), ("student", student))
    }
    # Each by itself, as a score of its text alone would be.
    groups = [
        [tokens_of(student, prompt, answer.response, template=payload.template, max_length=limit)]
        for name in ("teacher", "student")
        for prompt, answer in zip(payload.prompts, answers[name], strict=True)
    ]
    scored = iter(score_tokens(teacher, student, groups, tick=job.advance)[0])
    compared = {
        name: [
            ComparedAnswer(response=answer.response, finish_reason=answer.finish_reason, scored=next(scored)[0])
            for answer in answers[name]
        ]
        for name in ("teacher", "student")
    }
    items = [
        ComparedPair(teacher=by_teacher, student=by_student)
        for by_teacher, by_student in zip(compared["teacher"], compared["student"], strict=True)
    ]
    return CompareOutput(kind="compare", items=items, tokens=sum(len(tokens.response) for (tokens,) in groups))


def _answer_all(loaded: LoadedModel, prompts: Sequence[Prompt], payload: ComparePayload, job: Job) -> list[Answer]:
    encoded = [encode_prompt(loaded, prompt, template=payload.template) for prompt in prompts]
    draws = [Draws.of_prompt(payload.generation.seeds[0], prompt) for prompt in encoded]
    return generate(loaded, encoded, draws=draws, generation=payload.generation, tick=job.advance)
