"""Responses from a model: batched, with a KV cache. A batch's composition fixes its shapes, so the same batch run again
gives the same bits.

Shape suffixes: B sequences still running, T padded prompt length, L tokens so far, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache

from understudy_worker.errors import WorkerError
from understudy_worker.jobs import Job, Pipeline
from understudy_worker.models import LoadedModel, Models
from understudy_worker.sampling import Draws, next_tokens
from understudy_worker.scoring import score_tokens, shared_context
from understudy_worker.tokens import Prompt, check_room, encode_prompt, tokens_of
from understudy_worker.wire import (
    ComparedAnswer,
    ComparedPair,
    CompareOutput,
    ComparePayload,
    FinishReason,
    GenerateBatch,
    GeneratedItem,
    GenerateOutput,
    GeneratePayload,
    Generation,
    Items,
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
    room: int
    draws: Draws
    ids: list[int] = field(default_factory=list)
    answer: Answer | None = None

    def add(self, token: int, loaded: LoadedModel, *, stop: Sequence[str]) -> None:
        """Append a token and see whether the response is finished."""
        self.ids.append(token)
        if token in loaded.stop_ids:
            self._finish(self._text(loaded, self.ids[:-1]), "stop")
            return
        if stop:
            text = self._text(loaded, self.ids)
            ends = [at for at in (text.find(mark) for mark in stop) if at >= 0]
            if ends:
                self._finish(text[: min(ends)], "stop")
                return
        if len(self.ids) >= self.room:
            self._finish(self._text(loaded, self.ids), "length")

    def _text(self, loaded: LoadedModel, ids: list[int]) -> str:
        return str(loaded.tokenizer.decode(ids, skip_special_tokens=True))

    def _finish(self, text: str, reason: FinishReason) -> None:
        self.answer = Answer(response=text, finish_reason=reason, ids=tuple(self.ids))


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
            room=min(generation.max_new_tokens, limit - len(prompt_ids)),
            draws=drawn,
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
    """Prefill once, then a token at a time; finished sequences leave the batch, which depends on the batch alone."""
    finished: dict[int, Answer] = {}
    ids_BT, mask_BL = _pad_left([sequence.prompt_ids for sequence in running], device=loaded.model.device)
    cache = DynamicCache(config=loaded.model.config)
    while running:
        logits_BV = _last_logits(loaded, ids_BT, mask_BL, cache)
        tokens = next_tokens(logits_BV, [sequence.draws for sequence in running], generation=generation)
        for sequence, token in zip(running, tokens, strict=True):
            sequence.add(token, loaded, stop=generation.stop)
        finished |= {sequence.place: sequence.answer for sequence in running if sequence.answer is not None}
        left = [row for row, sequence in enumerate(running) if sequence.answer is None]
        if 0 < len(left) < len(running):
            index_B = torch.tensor(left, device=mask_BL.device)
            cache.batch_select_indices(index_B)
            mask_BL = mask_BL[index_B]
        running = [running[row] for row in left]
        ids_BT = torch.tensor([[sequence.ids[-1]] for sequence in running], device=mask_BL.device)
        mask_BL = torch.cat([mask_BL, mask_BL.new_ones(len(mask_BL), 1)], dim=1)
        tick()
    return finished


def _pad_left(prompts: Sequence[list[int]], *, device: torch.device) -> tuple[Tensor, Tensor]:
    """ids_BT and mask_BT (1 where a token is)."""
    length = max(map(len, prompts))
    ids = [[0] * (length - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _last_logits(loaded: LoadedModel, ids_BT: Tensor, mask_BL: Tensor, cache: DynamicCache) -> Tensor:
    """logits_BV that predict the next token; the cache grows by the tokens of `ids_BT`."""
    positions_BL = (mask_BL.cumsum(dim=1) - 1).clamp(min=0)
    states_BTD = loaded.model.base_model(
        input_ids=ids_BT,
        attention_mask=mask_BL,
        position_ids=positions_BL[:, -ids_BT.shape[1] :],
        cache=cache,
        use_cache=True,
    ).last_hidden_state
    return loaded.head(states_BTD[:, -1])


def run(payload: GeneratePayload, job: Job, models: Models) -> GenerateOutput:
    """Generate the batches of an evaluation; each goes ahead in an `items` frame, whole."""
    loaded = models.get(payload.model, tick=job.advance)
    job.advance("working", done=0, total=len(payload.batches))
    sent = Pipeline(job)
    for done, batch in enumerate(payload.batches, start=1):
        items = _generate_batch(batch, payload, job, loaded)
        sent.send(
            lambda seq, batch=batch, items=items: Items(  # type: ignore[misc]
                type="items", seq=seq, job=job.lease.job, fence=job.fence, batch=batch.batch, items=items
            )
        )
        job.advance(done=done)
    sent.drain()
    return GenerateOutput(kind="generate", batches=len(payload.batches))


def _generate_batch(
    batch: GenerateBatch, payload: GeneratePayload, job: Job, loaded: LoadedModel
) -> list[GeneratedItem]:
    prompts = [encode_prompt(loaded, item.prompt, template=payload.template) for item in batch.items]
    for item, prompt_ids in zip(batch.items, prompts, strict=True):
        if len(prompt_ids) >= loaded.context_length:
            raise WorkerError(
                "prompt_too_long",
                f"item {item.item} has {len(prompt_ids)} prompt tokens; the model reads {loaded.context_length}",
            )
    draws = [Draws.of_prompt(item.seed, prompt) for item, prompt in zip(batch.items, prompts, strict=True)]
    answers = generate(loaded, prompts, draws=draws, generation=payload.generation, tick=job.advance)
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
    sequences = [
        tokens_of(student, prompt, answer.response, template=payload.template, max_length=limit)
        for name in ("teacher", "student")
        for prompt, answer in zip(payload.prompts, answers[name], strict=True)
    ]
    scored = iter(score_tokens(teacher, student, sequences, job=job))
    compared = {
        name: [
            ComparedAnswer(response=answer.response, finish_reason=answer.finish_reason, scored=next(scored))
            for answer in answers[name]
        ]
        for name in ("teacher", "student")
    }
    items = [
        ComparedPair(teacher=by_teacher, student=by_student)
        for by_teacher, by_student in zip(compared["teacher"], compared["student"], strict=True)
    ]
    return CompareOutput(kind="compare", items=items, tokens=sum(len(tokens.response) for tokens in sequences))


def _answer_all(loaded: LoadedModel, prompts: Sequence[Prompt], payload: ComparePayload, job: Job) -> list[Answer]:
    encoded = [encode_prompt(loaded, prompt, template=payload.template) for prompt in prompts]
    draws = [Draws.of_prompt(payload.generation.seeds[0], prompt) for prompt in encoded]
    return generate(loaded, encoded, draws=draws, generation=payload.generation, tick=job.advance)
