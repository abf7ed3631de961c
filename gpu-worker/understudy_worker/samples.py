"""Answers that a run trains on and a model draws: each block of steps at once, stored and acknowledged before the first
step that reads them. A replay reads what is stored and draws nothing.

The numbers behind an answer are a function of (seed, step, row); the answers themselves also of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from understudy_worker.blobs import Blobs
from understudy_worker.data import Example, Examples, batch_indices
from understudy_worker.digests import canonical_json, json_digest
from understudy_worker.errors import WorkerError
from understudy_worker.generation import generate
from understudy_worker.jobs import Job
from understudy_worker.layout import Answers, sampling_of, wants_sample, wants_teacher_answer
from understudy_worker.models import LoadedModel
from understudy_worker.sampling import Draws
from understudy_worker.wire import (
    Generation,
    RunSpec,
    SampledRow,
    SampledRows,
    Samples,
    SamplesRef,
    SamplesSource,
    Sampling,
    TeacherSampling,
)

Tick = Callable[[], None]

# Steps for whose rows the teacher answers at once: enough prompts for full batches.
TEACHER_BLOCK = 16
SOURCES: tuple[SamplesSource, ...] = ("teacher", "student")
# Prompts that are answered together.
DRAW_BATCH = 32


@dataclass(frozen=True)
class Wanted:
    """One answer to draw."""

    step: int
    place: int
    example: Example
    key: str


class Drawn:
    """The drawn answers of one run and lineage: `answers` are at hand, of others only the blob is known."""

    def __init__(self, spec: RunSpec, examples: Examples) -> None:
        self._spec = spec
        self._examples = examples.kept
        self._row_ids = tuple(example.row for example in examples.kept)
        self._student: dict[int, tuple[int, ...]] = {}
        self._teacher: dict[str, tuple[int, ...]] = {}
        self._unread: dict[tuple[str, int], SamplesRef] = {}
        self._read: set[tuple[str, int]] = set()
        self.answers = Answers(student=self._student, teacher=self._teacher)

    def learn(self, refs: Iterable[SamplesRef]) -> None:
        """What the pool has journaled."""
        for ref in refs:
            if (ref.source, ref.n) not in self._read:
                self._unread[ref.source, ref.n] = ref

    def read(self, n: int, *, blobs: Blobs) -> None:
        """Fetch what step n reads, as far as it is journaled."""
        block = self._student_block(n)
        for ref in list(self._unread.values()):
            if ref.n in block if ref.source == "student" else ref.n <= n:
                self.take(ref, SampledRows.model_validate_json(blobs.get(ref.blob)))
        done = (n - 1) * self._spec.batch_size
        for place in [place for place in self._student if place < done]:
            del self._student[place]

    def take(self, ref: SamplesRef, sampled: SampledRows) -> None:
        for row in sampled.rows:
            if ref.source == "student":
                self._student[row.place] = tuple(row.ids)
            else:
                self._teacher[row.row] = tuple(row.ids)
        self._unread.pop((ref.source, ref.n), None)
        self._read.add((ref.source, ref.n))

    def _student_block(self, n: int) -> range:
        """The steps whose samples are drawn together with step n's."""
        sampling = sampling_of(self._spec)
        return self._block(n, sampling.refresh_every if sampling else 1)

    def _block(self, n: int, every: int) -> range:
        first = n - (n - 1) % every
        return range(first, min(first + every - 1, self._spec.optimizer.total_steps) + 1)

    def missing(self, n: int, source: SamplesSource) -> list[Wanted]:
        """Answers that the rest of step n's block reads and that are not at hand: the student's for each place, the
        teacher's once a row."""
        if source == "student":
            batch = [wanted for step in self._student_block(n) if step >= n for wanted in self._batch(step)]
            return [
                wanted
                for wanted in batch
                if wants_sample(self._spec, n=wanted.step, row=wanted.example.row) and wanted.place not in self._student
            ]
        if not wants_teacher_answer(self._spec):
            return []
        first: dict[str, Wanted] = {}
        for step in self._block(n, TEACHER_BLOCK):
            for wanted in self._batch(step) if step >= n else ():
                key = f"teacher:{self._spec.seed}:{wanted.example.row}"
                first.setdefault(wanted.example.row, Wanted(step, 0, wanted.example, key))
        return [wanted for row, wanted in first.items() if row not in self._teacher]

    def require(self, n: int, *, blobs: Blobs) -> None:
        """Have step n's answers at hand for a replay, which draws nothing."""
        self.read(n, blobs=blobs)
        if any(wanted.step == n for source in SOURCES for wanted in self.missing(n, source)):
            raise WorkerError("samples_missing", f"the lease does not name the samples of step {n}", retryable=True)

    def _batch(self, step: int) -> list[Wanted]:
        spec = self._spec
        indices = batch_indices(self._row_ids, seed=spec.seed, n=step, batch_size=spec.batch_size)
        first = (step - 1) * spec.batch_size
        return [
            Wanted(step, first + index, self._examples[row], f"student:{spec.seed}:{step}:{index}:{self._row_ids[row]}")
            for index, row in enumerate(indices)
        ]

    def digest(self, n: int) -> str:
        """SHA-256 over the drawn answers that step n reads."""
        read = [
            [
                self._student.get(wanted.place) if wants_sample(self._spec, n=n, row=wanted.example.row) else None,
                self._teacher.get(wanted.example.row) if wants_teacher_answer(self._spec) else None,
            ]
            for wanted in self._batch(n)
        ]
        return json_digest(read)


def answer(
    wanted: Sequence[Wanted], loaded: LoadedModel, *, how: Sampling | TeacherSampling, max_length: int, tick: Tick
) -> list[SampledRow]:
    """The model's answers to the wanted prompts; with its prompt an answer stays within `max_length` tokens."""
    generation = Generation(max_new_tokens=how.max_new_tokens, temperature=how.temperature, top_p=how.top_p, seeds=[0])
    rows = []
    for batch in _batches(wanted):
        answers = generate(
            loaded,
            [list(entry.example.prompt) for entry in batch],
            draws=[Draws(entry.key) for entry in batch],
            generation=generation,
            max_length=max_length,
            tick=tick,
        )
        rows += [
            SampledRow(place=entry.place, row=entry.example.row, ids=list(drawn.ids))
            for entry, drawn in zip(batch, answers, strict=True)
        ]
    return rows


def store(
    rows: Sequence[SampledRow], run: str, *, n: int, source: SamplesSource, lineage: int, blobs: Blobs, job: Job
) -> tuple[SamplesRef, SampledRows] | None:
    """Store answers and have them acknowledged, before step n reads them. None: the pool has journaled others for this
    block, or is past it; its next lease will say."""
    sampled = SampledRows(rows=list(rows))
    blob = blobs.put(canonical_json(sampled.model_dump(mode="json")), owner=run, fence=job.fence)
    ref = SamplesRef(source=source, n=n, blob=blob)
    ack = job.ask(
        lambda seq: Samples(
            type="samples", seq=seq, job=job.lease.job, run=run, fence=job.fence, lineage=lineage, samples=ref
        )
    )
    return None if ack.status == "gap" else (ref, sampled)


def _batches(wanted: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    """Prompts of like lengths together."""
    ordered = sorted(wanted, key=lambda entry: (len(entry.example.prompt), entry.key))
    for first in range(0, len(ordered), DRAW_BATCH):
        yield ordered[first : first + DRAW_BATCH]
