"""The training split as token ids, and which rows a step takes: pure functions of the seed, the step and the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from understudy_worker.digests import canonical_json
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel
from understudy_worker.tokens import encode_prompt, encode_response, join
from understudy_worker.wire import Row, RowsReport, RunSpec, SkippedExample

SKIPPED_EXAMPLES = 20


@dataclass(frozen=True)
class Example:
    """One row as the student reads it."""

    row: str
    tokens: Tokens


@dataclass(frozen=True)
class Examples:
    """The kept rows in the order of the upload, and the report on all of them."""

    kept: tuple[Example, ...]
    report: RowsReport


def read_rows(data: bytes) -> list[Row]:
    """JSON Lines of `Row`."""
    return [Row.model_validate_json(line) for line in data.splitlines() if line]


def tokenise(rows: Sequence[Row], loaded: LoadedModel, *, spec: RunSpec, job: Job) -> Examples:
    """Encode every row; rows that cannot be trained on are counted and named, never dropped in silence."""
    limit = min(spec.max_length, loaded.context_length)
    kept, skipped = [], []
    job.advance("loading", done=0, total=len(rows))
    for number, row in enumerate(rows, start=1):
        prompt_ids = encode_prompt(loaded, row.prompt, template=spec.template)
        reason = _why_skipped(row, len(prompt_ids), max_prompt_length=spec.max_prompt_length, limit=limit)
        response_ids = [] if reason else encode_response(loaded, row.response, template=spec.template)
        if reason or not response_ids:
            skipped.append(SkippedExample(row=row.id, reason=reason or "the response has no tokens"))
        else:
            kept.append(Example(row=row.id, tokens=join(prompt_ids, response_ids, max_length=limit)))
        job.advance(done=number)
    if not kept:
        first = f"; {skipped[0].row}: {skipped[0].reason}" if skipped else ""
        raise WorkerError("no_rows", f"none of the {len(rows)} rows can be trained on{first}")
    report = RowsReport(
        kept=len(kept), skipped=len(skipped), skipped_examples=skipped[:SKIPPED_EXAMPLES], digest=_digest(kept)
    )
    return Examples(kept=tuple(kept), report=report)


def _why_skipped(row: Row, prompt_tokens: int, *, max_prompt_length: int, limit: int) -> str | None:
    if row.response == "":
        return "the response is empty"
    if prompt_tokens > max_prompt_length:
        return f"the prompt has {prompt_tokens} tokens, more than max_prompt_length {max_prompt_length}"
    if prompt_tokens >= limit:
        return f"the prompt has {prompt_tokens} tokens and leaves no room for a response within {limit}"
    return None


def _digest(kept: Sequence[Example]) -> str:
    """Over the kept rows' ids and token ids, in order."""
    digest = hashlib.sha256()
    for example in kept:
        line = [example.row, example.tokens.prompt_length, list(example.tokens.ids)]
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


def pack(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Indices in batches of like lengths whose padded size stays within `budget` tokens (one may exceed it alone)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def micro_batches(batch: Sequence[Example], *, tokens: int | None) -> list[list[Example]]:
    """A step's rows, by length, in micro-batches whose padded size stays within `tokens` (null: one micro-batch)."""
    lengths = [len(example.tokens) for example in batch]
    budget = sum(lengths) * len(lengths) if tokens is None else tokens
    return [[batch[index] for index in indices] for indices in pack(lengths, budget=budget)]
