"""Spans of distillation steps: reach the pool's head from memory or by replay, then take the steps it asks for."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict

from understudy_worker.checkpoints import Uploads
from understudy_worker.data import Examples
from understudy_worker.engine import Engine
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.jobs import Job, Pipeline
from understudy_worker.memory import OutOfMemory
from understudy_worker.models import Models
from understudy_worker.samples import SOURCES, store
from understudy_worker.step import RunState, StepOutcome, plan_at
from understudy_worker.wire import HeldRun, Mismatch, Rows, StepDone, TrainOutput, TrainPayload
from understudy_worker.wire import OutOfMemory as OutOfMemoryFrame

log = logging.getLogger("understudy")

# Runs held in memory between their leases: each is 16 bytes a parameter, and its teacher.
RUNS_KEPT = 2


class Runs:
    """Runs in memory, the last ones used. A cache: the pool's journal can rebuild each of them to the bit."""

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._states: OrderedDict[tuple[str, int], RunState] = OrderedDict()
        self._lock = threading.Lock()

    def held(self) -> list[HeldRun]:
        """For `hello`, so that the pool leases a run to the worker that holds it."""
        with self._lock:
            return [
                HeldRun(run=state.run, lineage=state.lineage, head=state.head, hash=state.head_hash)
                for state in self._states.values()
                if state.sound
            ]

    def take(self, run: str, lineage: int) -> RunState | None:
        with self._lock:
            return self._states.pop((run, lineage), None)

    def clear(self) -> None:
        with self._lock:
            self._states.clear()

    def put(self, state: RunState) -> None:
        with self._lock:
            self._states[(state.run, state.lineage)] = state
            while len(self._states) > self._keep:
                self._states.popitem(last=False)


class Trainer:
    """Runs `train` leases."""

    def __init__(self, engine: Engine) -> None:
        # A group of ranks holds one run: the others follow one state.
        self.runs = Runs(keep=RUNS_KEPT if engine.ranks.world == 1 else 1)
        self._engine = engine

    @property
    def models(self) -> Models:
        return self._engine.models

    def run(self, payload: TrainPayload, job: Job) -> TrainOutput:
        """Take the steps of one span; they go ahead in `step` frames."""
        lineage = job.lease.lineage
        if lineage is None:
            raise WorkerError("invalid_payload", "a train lease names its lineage")
        state = self.runs.take(payload.run, lineage)
        if state is None or not _continues(state, payload):
            del state
            if self._engine.ranks.world > 1:
                self.runs.clear()  # the other ranks hold one run, which loading replaces
            state = self._reach(payload, job, lineage=lineage)
        keep = True
        try:
            output = self._span(state, payload, job)
            if output is None:
                log.warning("run %s: the pool's head is elsewhere, reloading", payload.run)
                state = self._reach(payload, job, lineage=lineage)
                output = self._span(state, payload, job)
            if output is None:
                raise WorkerError("gap", "the pool's journal does not follow from this lease's payload", retryable=True)
            return output
        except Abandoned as reason:
            keep = str(reason) != "diverged"
            raise
        finally:
            if keep and state.sound:
                self.runs.put(state)

    def _span(self, state: RunState, payload: TrainPayload, job: Job) -> TrainOutput | None:
        """From `from` to `to`; None when the pool found a gap."""
        total = payload.to - payload.from_ + 1
        job.advance("working", done=0, total=total)
        self._engine.renew(state, payload.samples, fence=job.fence, tick=job.advance)
        steps = Pipeline(job)
        with Uploads(job, run=state.run, lineage=state.lineage, engine=self._engine) as uploads:
            if state.head in payload.checkpoint_at:
                uploads.checkpoint(state)
            while state.head < payload.to:
                if not self._draw(state, job):
                    steps.drain()
                    return None
                try:
                    outcome = self._engine.step(state, plan_at(payload.plan, state.head + 1))
                except OutOfMemory as shape:
                    steps.drain()
                    self._report_memory(state, shape, job)
                    break
                job.advance(done=outcome.n - payload.from_ + 1)
                if steps.send(lambda seq, outcome=outcome: _step_frame(seq, job, state, outcome)):  # type: ignore[misc]
                    return None
                began = time.monotonic()
                if outcome.n in payload.checkpoint_at:
                    uploads.checkpoint(state)
                uploads.resume_state_if_due(state)
                state.copying_s = time.monotonic() - began
            if steps.drain():
                return None
            job.advance("uploading")
            uploads.wait()
        finished = state.head == state.spec.optimizer.total_steps
        digest = self._engine.state_sha256(state, tick=job.advance) if finished else None
        return TrainOutput(kind="train", head=state.head, state_sha256=digest)

    def _draw(self, state: RunState, job: Job) -> bool:
        """Have the next step's answers at hand: read them, or draw, store and have them acknowledged. False: the pool
        has journaled others."""
        n, blobs = state.head + 1, self._engine.blobs
        state.drawn.read(n, blobs=blobs)
        for source in SOURCES:
            if not state.drawn.missing(n, source):
                continue
            rows = self._engine.answer(state, source, tick=job.advance)
            stored = store(rows, state.run, n=n, source=source, lineage=state.lineage, blobs=blobs, job=job)
            if stored is None:
                return False
            self._engine.take(state, *stored)
        return True

    def _report_memory(self, state: RunState, shape: OutOfMemory, job: Job) -> None:
        """The pool plans smaller micro-batches from this step on and leases it again."""
        log.warning("run %s step %d: out of memory with %s", state.run, state.head + 1, shape)
        job.ask(
            lambda seq: OutOfMemoryFrame(
                type="oom", seq=seq, job=job.lease.job, run=state.run, fence=job.fence, lineage=state.lineage,
                n=state.head + 1, rows=shape.rows, tokens=shape.tokens,
            )
        )  # fmt: skip

    def _reach(self, payload: TrainPayload, job: Job, *, lineage: int) -> RunState:
        """The run at step `from - 1`: loaded from the resume state or its beginning, then replayed and verified."""
        job.advance("loading", done=0, total=1)
        state = self._engine.load(
            payload, project=job.lease.project, lineage=lineage, fence=job.fence, tick=job.advance
        )
        _report_rows(payload, state.examples, job, lineage=lineage)
        first = state.head + 1
        job.advance("replaying", done=0, total=payload.from_ - first)
        for n, expected in zip(range(first, payload.from_), payload.hashes, strict=True):
            outcome = self._engine.step(state, plan_at(payload.plan, n))
            if outcome.hash != expected:
                self._report_mismatch(state, outcome, job)
            job.advance(done=n - first + 1)
        return state

    def _report_mismatch(self, state: RunState, outcome: StepOutcome, job: Job) -> None:
        job.ask(
            lambda seq: Mismatch(
                type="mismatch", seq=seq, job=job.lease.job, run=state.run, fence=job.fence, lineage=state.lineage,
                n=outcome.n, got=outcome.hash,
            )
        )  # fmt: skip
        raise WorkerError("mismatch", f"step {outcome.n} replays to another hash on this worker", retryable=True)


def _continues(state: RunState, payload: TrainPayload) -> bool:
    """Is the run in memory exactly where the pool's journal is? At step 0 the pool has no hash to compare."""
    if not state.sound or state.head != payload.from_ - 1 or state.spec != payload.spec:
        return False
    return state.head_hash == payload.head_hash or (state.head == 0 and payload.head_hash is None)


def _report_rows(payload: TrainPayload, examples: Examples, job: Job, *, lineage: int) -> None:
    report = examples.report
    if payload.rows is None:
        job.ask(
            lambda seq: Rows(
                type="rows", seq=seq, job=job.lease.job, run=payload.run, fence=job.fence, lineage=lineage, rows=report
            )
        )
    elif payload.rows.digest != report.digest:
        raise WorkerError(
            "rows_mismatch", "this worker tokenises the data set differently than the run began with", retryable=True
        )


def _step_frame(seq: int, job: Job, state: RunState, outcome: StepOutcome) -> StepDone:
    return StepDone(
        type="step", seq=seq, job=job.lease.job, run=state.run, fence=job.fence, lineage=state.lineage,
        n=outcome.n, prev=outcome.prev, hash=outcome.hash, metrics=outcome.metrics,
    )  # fmt: skip
