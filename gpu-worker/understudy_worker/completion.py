"""One caller's completion request: its prompts, their samples as they grow, and the answer made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from understudy_worker.errors import WorkerError
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel
from understudy_worker.sampling import Draws
from understudy_worker.text import Written
from understudy_worker.token_logprobs import TokenLogprob
from understudy_worker.tokens import encode, render
from understudy_worker.wire import (
    Choice,
    CompleteItem,
    CompleteOutput,
    CompletePayload,
    LikelyToken,
    Piece,
    ReadPrompt,
    TokenLogprobs,
)


@dataclass(eq=False)
class Sample:
    """One choice of one prompt. `logprobs` are of its tokens, if they were asked for."""

    prompt: Prompt
    number: int
    draws: Draws
    written: Written
    logprobs: list[TokenLogprob] = field(default_factory=list)
    _sent: int = 0

    def piece(self) -> Piece | None:
        """What it has grown by since the last call, if there is anything to show."""
        text, logprobs = self.written.fresh(), self.logprobs[self._sent :]
        if not text:
            return None
        self._sent = len(self.logprobs)
        return Piece(
            item=self.prompt.item,
            sample=self.number,
            text=text,
            logprobs=None if self.prompt.likeliest is None else self.prompt.request.spelled(logprobs),
        )


@dataclass(eq=False)
class Prompt:
    """`likeliest`: how many go with each token's log-probability; None where none is asked for."""

    request: Completion
    item: int
    ids: list[int]
    samples: list[Sample] = field(default_factory=list)
    echoed: list[TokenLogprob] | None = None

    @property
    def likeliest(self) -> int | None:
        return self.request.payload.logprobs

    @property
    def echoes(self) -> bool:
        return self.request.payload.echo and self.likeliest is not None

    @property
    def grows(self) -> bool:
        """Whether any sample needs more than the token that reading the prompt gives."""
        return any(sample.written.room > 1 for sample in self.samples)

    def end(self) -> None:
        for sample in self.samples:
            sample.written.end()


class Completion:
    """Raises WorkerError for a prompt that cannot be read."""

    def __init__(self, job: Job, payload: CompletePayload, loaded: LoadedModel) -> None:
        self.job = job
        self.payload = payload
        self.loaded = loaded
        self.prompts = [self._prompt(number, item) for number, item in enumerate(payload.items)]
        self.deltas = 0
        # When the last delta was sent; the first token goes at once.
        self.sent_at = -math.inf

    @property
    def finished(self) -> bool:
        return all(sample.written.finish_reason for prompt in self.prompts for sample in prompt.samples)

    def pieces(self) -> list[Piece]:
        """What is new since the last call."""
        found = (sample.piece() for prompt in self.prompts for sample in prompt.samples)
        return [piece for piece in found if piece is not None]

    def output(self) -> CompleteOutput:
        """The answer, once it is finished."""
        prompts = [self._read(prompt) for prompt in self.prompts]
        choices = [self._choice(sample) for prompt in self.prompts for sample in prompt.samples]
        tokens = sum(prompt.num_tokens for prompt in prompts) + sum(choice.num_tokens for choice in choices)
        return CompleteOutput(kind="complete", prompts=prompts, choices=choices, tokens=tokens)

    def spelled(self, logprobs: Sequence[TokenLogprob], *, first: int | None = None) -> TokenLogprobs:
        """`first`: a token before these that nothing predicts."""
        unknown = [] if first is None else [None]
        ids = [*([] if first is None else [first]), *(one.token for one in logprobs)]
        likeliest = [
            [LikelyToken(id=token, text=self._text(token), logprob=value) for token, value in one.likeliest]
            for one in logprobs
        ]
        return TokenLogprobs(
            token_ids=ids,
            token_texts=[self._text(token) for token in ids],
            logprobs=[*unknown, *(one.logprob for one in logprobs)],
            likeliest=[*unknown, *likeliest],
        )

    def _prompt(self, number: int, item: CompleteItem) -> Prompt:
        limit, wanted = self.loaded.context_length, self.payload.settings.max_new_tokens
        ids = _prompt_ids(self.loaded, item)
        if len(ids) + min(1, wanted) > limit:
            raise WorkerError(
                "prompt_too_long",
                f"prompt {number} has {len(ids)} tokens; the model's context of {limit} must hold it and an answer",
            )
        prompt = Prompt(request=self, item=number, ids=ids)
        for sample, seed in enumerate(item.seeds):
            written = Written(self.loaded, stop=self.payload.settings.stop, room=min(wanted, limit - len(ids)))
            prompt.samples.append(Sample(prompt, sample, Draws.of_prompt(seed, ids), written))
        return prompt

    def _read(self, prompt: Prompt) -> ReadPrompt:
        return ReadPrompt(
            num_tokens=len(prompt.ids),
            text=str(self.loaded.tokenizer.decode(prompt.ids)) if self.payload.echo else None,
            logprobs=None if prompt.echoed is None else self.spelled(prompt.echoed, first=prompt.ids[0]),
        )

    def _choice(self, sample: Sample) -> Choice:
        written = sample.written
        assert written.finish_reason is not None, "a request is answered when it is finished"
        return Choice(
            item=sample.prompt.item,
            sample=sample.number,
            text=written.text,
            finish_reason=written.finish_reason,
            num_tokens=len(written.ids),
            logprobs=None if sample.prompt.likeliest is None else self.spelled(sample.logprobs),
        )

    def _text(self, token: int) -> str:
        return str(self.loaded.tokenizer.decode([token]))


def _prompt_ids(loaded: LoadedModel, item: CompleteItem) -> list[int]:
    """Token ids as they are given; a text as it is, a conversation under the chat template."""
    prompt = item.prompt
    if isinstance(prompt, str):
        ids = encode(loaded.tokenizer, prompt)
    elif turns := [turn for turn in prompt if not isinstance(turn, int)]:
        ids = encode(loaded.tokenizer, render(loaded.tokenizer, turns, template="chat"))
    else:
        ids = [token for token in prompt if isinstance(token, int)]
    if not ids:
        raise WorkerError("empty_prompt", "the prompt has no tokens; give at least one")
    if max(ids) >= loaded.config.vocab_size:
        raise WorkerError("invalid_tokens", f"the model has {loaded.config.vocab_size} tokens; {max(ids)} is none")
    return ids
