"""The training split as token ids, and which rows a step takes: pure functions of the seed, the step and the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from understudy_worker.digests import canonical_json
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.models import LoadedModel
from understudy_worker.tokens import encode_prompt, encode_response, join
from understudy_worker.wire import DpkdObjective, Row, RowsReport, RunSpec, SkippedExample

SKIPPED_EXAMPLES = 20


@dataclass(frozen=True)
class Example:
    """One row as the student reads it. `rejected` is there where the run's pairs come from the data."""

    row: str
    tokens: Tokens
    rejected: Tokens | None = None
    references: tuple[str, ...] = ()

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.tokens.ids[: self.tokens.prompt_length]


@dataclass(frozen=True)
class Examples:
    """The kept rows in the order of the upload, and the report on all of them."""

    kept: tuple[Example, ...]
    report: RowsReport


def read_rows(data: bytes) -> list[Row]:
    """JSON Lines of `Row`."""
    return [Row.model_validate_json(line) for line in data.splitlines() if line]


def tokenise(rows: Sequence[Row], loaded: LoadedModel, *, spec: RunSpec, tick: Callable[[], None]) -> Examples:
    """Encode every row; rows that cannot be trained on are counted and named, never dropped in silence."""
    limit = min(spec.max_length, loaded.context_length)
    kept: list[Example] = []
    skipped: list[SkippedExample] = []
    for row in rows:
        example = _encode(row, loaded, spec=spec, limit=limit)
        if isinstance(example, str):
            skipped.append(SkippedExample(row=row.id, reason=example))
        else:
            kept.append(example)
        tick()
    if not kept:
        first = f"; {skipped[0].row}: {skipped[0].reason}" if skipped else ""
        raise WorkerError("no_rows", f"none of the {len(rows)} rows can be trained on{first}")
    report = RowsReport(
        kept=len(kept), skipped=len(skipped), skipped_examples=skipped[:SKIPPED_EXAMPLES], digest=_digest(kept)
    )
    return Examples(kept=tuple(kept), report=report)


def _encode(row: Row, loaded: LoadedModel, *, spec: RunSpec, limit: int) -> Example | str:
    """The row's tokens, or why it cannot be trained on."""
    prompt_ids = encode_prompt(loaded, row.prompt, template=spec.template)
    if len(prompt_ids) > spec.max_prompt_length:
        return f"the prompt has {len(prompt_ids)} tokens, more than max_prompt_length {spec.max_prompt_length}"
    if len(prompt_ids) >= limit:
        return f"the prompt has {len(prompt_ids)} tokens and leaves no room for a response within {limit}"
    texts = {"response": row.response}
    if wants_rejected(spec):
        if row.rejected is None:
            return "the row has no rejected response"
        texts["rejected"] = row.rejected
    tokens = {}
    for name, text in texts.items():
        response_ids = encode_response(loaded, text, template=spec.template) if text else []
        if not response_ids:
            return f"the {name} is empty" if text == "" else f"the {name} has no tokens"
        tokens[name] = join(prompt_ids, response_ids, max_length=limit)
    return Example(
        row=row.id,
        tokens=tokens["response"],
        rejected=tokens.get("rejected"),
        references=tuple(row.references),
    )


def tokenise_text(
    rows: Sequence[Row], loaded: LoadedModel, *, limit: int, tick: Callable[[], None]
) -> tuple[Example, ...]:
    """Rows of plain text: prompt and response as they are, end to end, every token after the first learnt. A row of
    fewer than two tokens holds nothing to learn and is left out; a longer one than `limit` is cut."""
    kept = []
    for row in rows:
        prompt = encode_prompt(loaded, row.prompt, template="raw") if row.prompt else []
        ids = [*prompt, *encode_response(loaded, row.response, template="raw")][:limit]
        if len(ids) > 1:
            kept.append(Example(row=row.id, tokens=Tokens(ids=tuple(ids), prompt_length=1)))
        tick()
    if not kept:
        raise WorkerError("no_rows", "none of the plain-text rows has two tokens")
    return tuple(kept)


def wants_rejected(spec: RunSpec) -> bool:
    """Whether the run's pairs are the data's own."""
    objective = spec.objective
    return isinstance(objective, DpkdObjective) and objective.granularity == "sequence" and objective.pairs == "data"


def _digest(kept: Sequence[Example]) -> str:
    """Over the kept rows' ids and token ids, in order."""
    digest = hashlib.sha256()
    for example in kept:
        line = [example.row, example.tokens.prompt_length, list(example.tokens.ids)]
        if example.rejected is not None:
            line.append(list(example.rejected.ids))
        digest.update(canonical_json(line) + b"\n")
    return digest.hexdigest()


@lru_cache(maxsize=8)
def epoch_order(row_ids: tuple[str, ...], *, seed: int, epoch: int) -> tuple[int, ...]:
    """The permutation of one epoch: rows sorted by SHA-256(seed, epoch, row id)."""

    def rank(index: int) -> tuple[bytes, int]:
        return hashlib.sha256(f"{seed}:{epoch}:{row_ids[index]}".encode()).digest(), index

    return tuple(sorted(range(len(row_ids)), key=rank))


def batch_indices(row_ids: tuple[str, ...], *, seed: int, n: int, batch_size: int) -> list[int]:
    """The rows of step n (1, 2, ...): the next `batch_size` of the epochs laid end to end."""
    first = (n - 1) * batch_size
    places = range(first, first + batch_size)
    count = len(row_ids)
    return [epoch_order(row_ids, seed=seed, epoch=place // count)[place % count] for place in places]
