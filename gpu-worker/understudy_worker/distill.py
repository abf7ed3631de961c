"""Spans of distillation steps: reach the pool's head from memory or by replay, then take the steps it asks for."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict

from understudy_worker.blobs import Blobs
from understudy_worker.checkpoints import Uploads, expected_upload_s, restore, state_sha256
from understudy_worker.data import Examples, read_rows, tokenise
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.jobs import Job, Pipeline
from understudy_worker.models import Models
from understudy_worker.objectives import REGISTRY
from understudy_worker.optimizer import adamw
from understudy_worker.scoring import shared_context
from understudy_worker.step import OutOfMemory, RunState, StepOutcome, genesis_hash, plan_at, take_step
from understudy_worker.wire import (
    HeldRun,
    Mismatch,
    Rows,
    StepDone,
    TrainOutput,
    TrainPayload,
)
from understudy_worker.wire import OutOfMemory as OutOfMemoryFrame

log = logging.getLogger("understudy")

# Runs held in memory between their leases: each is 16 bytes a parameter, and its teacher.
RUNS_KEPT = 2


class Runs:
    """Runs in memory, the last ones used. A cache: the pool's journal can rebuild each of them to the bit."""

    def __init__(self) -> None:
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

    def put(self, state: RunState) -> None:
        with self._lock:
            self._states[(state.run, state.lineage)] = state
            while len(self._states) > RUNS_KEPT:
                self._states.popitem(last=False)


class Trainer:
    """Runs `train` leases."""

    def __init__(self, *, models: Models, blobs: Blobs) -> None:
        self.runs = Runs()
        self._models = models
        self._blobs = blobs

    def run(self, payload: TrainPayload, job: Job) -> TrainOutput:
        """Take the steps of one span; they go ahead in `step` frames."""
        lineage = job.lease.lineage
        if lineage is None:
            raise WorkerError("invalid_payload", "a train lease names its lineage")
        state = self.runs.take(payload.run, lineage)
        if state is None or not _continues(state, payload):
            del state
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
        steps = Pipeline(job)
        with Uploads(
            job, run=state.run, lineage=state.lineage, blobs=self._blobs, sources=self._models.sources
        ) as uploads:
            if state.head in payload.checkpoint_at:
                uploads.checkpoint(state)
            while state.head < payload.to:
                try:
                    outcome = take_step(state, plan=plan_at(payload.plan, state.head + 1))
                except OutOfMemory as shape:
                    steps.drain()
                    self._report_memory(state, shape, job)
                    break
                job.advance(done=outcome.n - payload.from_ + 1)
                if steps.send(lambda seq, outcome=outcome: _step_frame(seq, job, state, outcome)):  # type: ignore[misc]
                    return None
                if outcome.n in payload.checkpoint_at:
                    uploads.checkpoint(state)
                uploads.resume_state_if_due(state)
            if steps.drain():
                return None
            job.advance("uploading")
            uploads.wait()
        finished = state.head == state.spec.optimizer.total_steps
        digest = state_sha256(state, job=job) if finished else None
        return TrainOutput(kind="train", head=state.head, state_sha256=digest)

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
        state = self._load(payload, job, lineage=lineage)
        first = state.head + 1
        job.advance("replaying", done=0, total=payload.from_ - first)
        for n, expected in zip(range(first, payload.from_), payload.hashes, strict=True):
            outcome = take_step(state, plan=plan_at(payload.plan, n))
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

    def _load(self, payload: TrainPayload, job: Job, *, lineage: int) -> RunState:
        spec = payload.spec
        job.advance("loading", done=0, total=3)
        student = self._models.load(spec.student, tick=job.advance)
        job.advance(done=1)
        teacher = None
        if REGISTRY[spec.objective.type].NEEDS_TEACHER:
            if spec.teacher is None:
                raise WorkerError("teacher_missing", f"the objective {spec.objective.type} needs a teacher")
            teacher = self._models.get(spec.teacher, tick=job.advance)
            shared_context(teacher, student)
        job.advance(done=2)
        examples = tokenise(read_rows(self._blobs.get(spec.data.blob)), student, spec=spec, job=job)
        _report_rows(payload, examples, job, lineage=lineage)
        genesis = genesis_hash(spec, examples.report.digest)
        state = RunState(
            run=payload.run, lineage=lineage, spec=spec, student=student, teacher=teacher,
            optimizer=adamw(student.model, spec.optimizer), examples=examples, head=0, head_hash=genesis,
            resume_at=time.monotonic(), upload_s=expected_upload_s(student.parameters),
        )  # fmt: skip
        if payload.resume is not None:
            restore(state, payload.resume, blobs=self._blobs, job=job)
        return state


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
