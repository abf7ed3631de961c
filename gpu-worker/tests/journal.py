"""The pool's decisions, in a page: acks by fence, step order and hash. Used by tests without and with a socket."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from understudy_worker.errors import Abandoned
from understudy_worker.jobs import FrameMaker, Job
from understudy_worker.wire import (
    Ack,
    AckStatus,
    CheckpointDone,
    Fail,
    FromWorker,
    Lease,
    Refuse,
    Result,
    ResumeStateDone,
    Rows,
    Samples,
    SamplesRef,
    StepDone,
)

from_worker: TypeAdapter[Any] = TypeAdapter(FromWorker)


@dataclass
class Journal:
    """What workers said, and the answers that the pool would give."""

    frames: list[Any] = field(default_factory=list)
    steps: dict[int, StepDone] = field(default_factory=dict)
    checkpoints: list[CheckpointDone] = field(default_factory=list)
    resumes: list[ResumeStateDone] = field(default_factory=list)
    rows: Rows | None = None
    samples: dict[tuple[str, int], SamplesRef] = field(default_factory=dict)
    final: dict[str, Result | Fail | Refuse] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    # Answers to give instead of deciding: one is taken for each frame of that type.
    scripted: dict[str, list[tuple[AckStatus, int | None]]] = field(default_factory=dict)

    def receive(self, frame: Any) -> Ack:
        with self.changed:
            self.frames.append(frame)
            status, head = self._decide(frame)
            self.changed.notify_all()
        return Ack(type="ack", re=frame.seq, status=status, head=head, ttl_ms=30_000, jobs=[])

    def of(self, kind: str) -> list[Any]:
        with self.changed:
            return [frame for frame in self.frames if frame.type == kind]

    def wait_final(self, job: str, *, seconds: float = 60.0) -> Result | Fail | Refuse:
        with self.changed:
            if not self.changed.wait_for(lambda: job in self.final, timeout=seconds):
                raise TimeoutError(f"no final frame for {job}; saw {[frame.type for frame in self.frames]}")
            return self.final[job]

    def hashes(self, first: int, last: int) -> list[str]:
        return [self.steps[n].hash for n in range(first, last + 1)]

    def _decide(self, frame: Any) -> tuple[AckStatus, int | None]:
        if queue := self.scripted.get(frame.type):
            return queue.pop(0)
        match frame:
            case StepDone():
                return self._step(frame)
            case Rows():
                self.rows = frame
            case Samples():
                return self._samples(frame)
            case CheckpointDone():
                self.checkpoints.append(frame)
            case ResumeStateDone():
                self.resumes.append(frame)
            case Result() | Fail() | Refuse():
                if frame.job in self.final:
                    return "duplicate", None
                self.final[frame.job] = frame
        return "ok", None

    def _samples(self, frame: Samples) -> tuple[AckStatus, int | None]:
        ref = frame.samples
        known = self.samples.setdefault((ref.source, ref.n), ref)
        if known != ref:
            return "gap", len(self.steps)
        assert ref.n == len(self.steps) + 1, "samples come before the step that reads them"
        return "ok", None

    def _step(self, frame: StepDone) -> tuple[AckStatus, int | None]:
        if known := self.steps.get(frame.n):
            return ("duplicate" if known.hash == frame.hash else "diverged"), None
        head = len(self.steps)
        if frame.n != head + 1 or (head and frame.prev != self.steps[head].hash):
            return "gap", head
        self.steps[frame.n] = frame
        return "ok", None


def local_job(journal: Journal, payload: Any, *, job: str = "job_1", fence: int = 1, lineage: int | None = None) -> Job:
    """A job whose frames reach the journal at once, through JSON as on the socket."""
    seq = iter(range(1, 1_000_000))

    def submit(job: Job, make: FrameMaker) -> Future[Ack]:
        future: Future[Ack] = Future()
        frame = from_worker.validate_json(make(next(seq)).model_dump_json(by_alias=True))
        ack = journal.receive(frame)
        if job.dropped:
            future.set_exception(Abandoned(job.lease.job))
        else:
            future.set_result(ack)
        return future

    return Job(lease=lease(payload, job=job, fence=fence, lineage=lineage), submit=submit)


def lease(payload: Any, *, job: str, fence: int = 1, lineage: int | None = None) -> Lease:
    body = payload if isinstance(payload, dict) else json.loads(payload.model_dump_json(by_alias=True))
    return Lease.model_validate_json(
        json.dumps(
            {
                "type": "lease", "job": job, "project": "proj_1", "attempt": 1, "fence": fence, "lineage": lineage,
                "ttl_ms": 30_000, "payload": body, "artifact": None,
            }
        )
    )  # fmt: skip
