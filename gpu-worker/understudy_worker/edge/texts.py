"""The fixed texts that every export is rounded for and measured on: short instructions and answers of many kinds,
written for this project. No text serves both, so that what is measured is not what was fitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from itertools import takewhile
from typing import Literal

from understudy_worker.forward import Tokens
from understudy_worker.generation import Answer, generate
from understudy_worker.models import LoadedModel
from understudy_worker.sampling import Draws
from understudy_worker.tokens import Template, encode_prompt, encode_response, join
from understudy_worker.wire import Generation

FILE = "texts.jsonl"
Use = Literal["rounding", "measuring"]
# Prompts and answers that the model writes, for each fixed text.
SAMPLES = 4
# Tokens of a fixed prompt that one of the model's begins with.
BEGUN = 3
PROMPT_TOKENS = 64
# Of a response that is measured: no long one shall outweigh the others.
MEASURED_TOKENS = 8
ANSWER_TOKENS = 32


def texts(loaded: LoadedModel, use: Use, *, context: int) -> list[Tokens]:
    """Prompts and responses as the model reads them; a prompt is cut to half of a short context."""
    template = template_of(loaded)
    return [
        join(
            encode_prompt(loaded, row["prompt"], template=template)[: context // 2],
            encode_response(loaded, row["response"], template=template)[
                : MEASURED_TOKENS if use == "measuring" else None
            ],
            max_length=context,
        )
        for row in _rows(use)
    ]


def _rows(use: Use) -> list[dict[str, str]]:
    lines = files("understudy_worker.edge").joinpath(FILE).read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["use"] == use]


def template_of(loaded: LoadedModel) -> Template:
    """The one that the model was most likely trained with."""
    if loaded.tokenizer.chat_template is not None:
        return "chat"
    return "raw" if loaded.end_id is None else "alpaca"


def sampled(loaded: LoadedModel, *, context: int, tick: Callable[[], None]) -> list[Tokens]:
    """What the model itself writes: prompts that begin as the fixed ones do, and its answers to them. The same model
    writes the same."""
    template = template_of(loaded)
    fixed = [encode_prompt(loaded, row["prompt"], template=template) for row in _rows("rounding")]
    shared = sum(1 for _ in takewhile(lambda ids: len(set(ids)) == 1, zip(*fixed, strict=False)))
    begun = [ids[: min(shared + BEGUN, context // 2)] for ids in fixed for _ in range(SAMPLES)]
    written = _continued(loaded, begun, most=PROMPT_TOKENS, context=context, tick=tick)
    prompts = [
        encode_prompt(loaded, str(loaded.tokenizer.decode(ids[shared:])) + answer.response, template=template)
        for ids, answer in zip(begun, written, strict=True)
    ]
    prompts = [ids[: context // 2] for ids in prompts]
    answers = _continued(loaded, prompts, most=ANSWER_TOKENS, context=context, tick=tick)
    return [
        Tokens(ids=(*ids, *answer.ids), prompt_length=len(ids)) for ids, answer in zip(prompts, answers, strict=True)
    ]


def _continued(
    loaded: LoadedModel, prompts: list[list[int]], *, most: int, context: int, tick: Callable[[], None]
) -> list[Answer]:
    """Each prompt continued at temperature 1, by draws that its place in the list decides."""
    draws = [Draws.of_prompt(place, ids) for place, ids in enumerate(prompts)]
    how = Generation(max_new_tokens=most, temperature=1.0)
    return generate(loaded, prompts, draws=draws, generation=how, max_length=context, tick=tick)
