"""Completions of several callers with one model at one time: a prompt joins whenever it comes, is read in one row with
those that came with it, and each of its samples leaves as soon as it is finished, so that a short answer does not wait
for a long one.

Shape suffixes: L states of a row, A running sequences, V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor

from understudy_worker.completion import Completion, Prompt, Sample
from understudy_worker.decoding import ROW_TOKENS, Decoder
from understudy_worker.memory import is_out_of_memory
from understudy_worker.models import LoadedModel
from understudy_worker.prefixes import shared
from understudy_worker.sampling import next_tokens
from understudy_worker.token_logprobs import Asked, describe, token_logprobs

# Sequences that grow side by side; further prompts wait.
MOST_RUNNING = 128


@dataclass(eq=False)
class Completions:
    """The prompts that one model works on. `fail` is told of a request that cannot be finished."""

    loaded: LoadedModel
    fail: Callable[[Completion, Exception], None]
    _waiting: deque[Prompt] = field(default_factory=deque)
    _running: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._decoder = Decoder(self.loaded)

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._running

    def add(self, requests: Sequence[Completion]) -> None:
        """Their prompts wait for the next step, those that begin alike side by side."""
        self._waiting.extend(sorted((prompt for one in requests for prompt in one.prompts), key=lambda one: one.ids))

    @torch.no_grad()
    def step(self) -> None:
        """One more token of each running sequence; then as many of the waiting prompts as there is room for."""
        if self._running:
            try:
                self._grow(self._running, self._decoder.step([sample.written.ids[-1] for sample in self._running]))
            except Exception as error:
                self._fail(self._running, error)
            self._drop_finished()
        while row := self._next_row():
            self._read(row)

    def drop(self, request: Completion) -> None:
        """The request is wanted no more."""
        self._waiting = deque(prompt for prompt in self._waiting if prompt.request is not request)
        for prompt in request.prompts:
            prompt.end()
        self._drop_finished()

    def _next_row(self) -> list[Prompt]:
        row: list[Prompt] = []
        tokens, running = 0, len(self._running)
        while self._waiting:
            prompt = self._waiting[0]
            tokens += len(prompt.ids) - (shared(row[-1].ids, prompt.ids) if row else 0)
            running += len(prompt.samples) if prompt.grows else 0
            if (row and tokens > ROW_TOKENS) or ((row or self._running) and running > MOST_RUNNING):
                break
            row.append(self._waiting.popleft())
        return row

    def _read(self, prompts: list[Prompt]) -> None:
        """Those that grow and those that are only read, each in a row of their own. What does not fit in memory is
        tried again in halves."""
        for grows in (False, True):
            some = [prompt for prompt in prompts if prompt.grows is grows]
            if not some:
                continue
            try:
                self._read_row(some, keep=grows)
            except Exception as error:
                self._leave({sample for prompt in some for sample in prompt.samples})
                if is_out_of_memory(error) and len(some) > 1:
                    self._read(some[: len(some) // 2])
                    self._read(some[len(some) // 2 :])
                else:
                    self._fail([sample for prompt in some for sample in prompt.samples], error)
        self._drop_finished()

    def _read_row(self, prompts: list[Prompt], *, keep: bool) -> None:
        tree, states_LD = self._decoder.read([prompt.ids for prompt in prompts], keep=keep)
        places = [tree.places(number) for number in range(len(prompts))]
        if keep:
            self._join(prompts)
        self._echo(prompts, states_LD, places)
        growing = [
            (sample, path[-1])
            for prompt, path in zip(prompts, places, strict=True)
            for sample in prompt.samples
            if sample.written.room > 0
        ]
        if growing:
            rows = sorted({row for _, row in growing})
            logits_NV = self.loaded.head(states_LD[rows])
            self._grow([sample for sample, _ in growing], logits_NV[[rows.index(row) for _, row in growing]])

    def _join(self, prompts: Sequence[Prompt]) -> None:
        """The prompts have joined the decoder, one sequence each; further samples of a prompt go on from its copies."""
        first = len(self._running)
        self._running += [prompt.samples[0] for prompt in prompts]
        for place, prompt in enumerate(prompts):
            for sample in prompt.samples[1:]:
                self._decoder.fork(first + place)
                self._running.append(sample)

    def _echo(self, prompts: Sequence[Prompt], states_LD: Tensor, places: Sequence[Sequence[int]]) -> None:
        """The log-probabilities of the prompts' tokens after their first, where they are asked for; of a beginning
        that prompts share, logits are computed once."""
        echoing = [(prompt, path) for prompt, path in zip(prompts, places, strict=True) if prompt.echoes]
        asked = [
            Asked(row=row, token=token)
            for prompt, path in echoing
            for row, token in zip(path, prompt.ids[1:], strict=False)
        ]
        most = max((prompt.likeliest or 0 for prompt, _ in echoing), default=0)
        found = iter(token_logprobs(self.loaded.head, states_LD, asked, likeliest=most))
        for prompt, _ in echoing:
            prompt.echoed = [next(found).of(prompt.likeliest or 0) for _ in prompt.ids[1:]]

    def _grow(self, samples: Sequence[Sample], logits_AV: Tensor) -> None:
        tokens = _choose(samples, logits_AV)
        described = [row for row, sample in enumerate(samples) if sample.prompt.likeliest is not None]
        if described:
            counts = [samples[row].prompt.likeliest or 0 for row in described]
            chosen = [tokens[row] for row in described]
            for row, count, one in zip(
                described, counts, describe(logits_AV, described, chosen, likeliest=max(counts)), strict=True
            ):
                samples[row].logprobs.append(one.of(count))
        for sample, token in zip(samples, tokens, strict=True):
            sample.written.add(token)

    def _fail(self, samples: Sequence[Sample], error: Exception) -> None:
        for request in {sample.prompt.request: None for sample in samples}:
            self.fail(request, error)
            self.drop(request)

    def _drop_finished(self) -> None:
        self._leave({sample for sample in self._running if sample.written.finish_reason is not None})

    def _leave(self, samples: Set[Sample]) -> None:
        left = [row for row, sample in enumerate(self._running) if sample not in samples]
        if len(left) < len(self._running):
            self._running = [self._running[row] for row in self._decoder.keep(left)]


def _choose(samples: Sequence[Sample], logits_AV: Tensor) -> list[int]:
    """The next token of each: greedy ones at once, others by their own settings and numbers."""
    tokens: list[int] = logits_AV.argmax(dim=1).tolist()
    for row, sample in enumerate(samples):
        settings = sample.prompt.request.payload.settings
        if settings.temperature > 0:
            (tokens[row],) = next_tokens(logits_AV[row : row + 1], [sample.draws], generation=settings)
    return tokens
