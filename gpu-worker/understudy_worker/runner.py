"""The engine: one thread a slot, one job at a time, every outcome turned into exactly one final frame."""

from __future__ import annotations

import logging
import queue
import threading
import time

import torch
from pydantic import TypeAdapter, ValidationError

from understudy_worker import generation, scoring
from understudy_worker.backend import Backend
from understudy_worker.blobs import Blobs
from understudy_worker.distill import Trainer
from understudy_worker.errors import Abandoned, Refused, WorkerError
from understudy_worker.frames import failure, refusal
from understudy_worker.jobs import FrameMaker, Job
from understudy_worker.memory import OutOfMemory, is_out_of_memory
from understudy_worker.models import Models, facts
from understudy_worker.wire import (
    BlobRef,
    CompareOutput,
    ComparePayload,
    GenerateOutput,
    GeneratePayload,
    Payload,
    PrepareOutput,
    PreparePayload,
    Result,
    ScoreOutput,
    ScorePayload,
    TrainOutput,
    TrainPayload,
)

log = logging.getLogger("understudy")

# A larger result goes to the store and the frame carries its name.
INLINE_BYTES = 256 * 1024

AnyPayload = PreparePayload | ScorePayload | ComparePayload | GeneratePayload | TrainPayload
AnyOutput = PrepareOutput | ScoreOutput | CompareOutput | GenerateOutput | TrainOutput
_payload: TypeAdapter[AnyPayload] = TypeAdapter(Payload)


class Runner:
    """Takes jobs from the connection and works on them, off the event loop."""

    def __init__(self, *, backend: Backend, models: Models, blobs: Blobs, trainer: Trainer, slots: int) -> None:
        self._backend = backend
        self._models = models
        self._blobs = blobs
        self.trainer = trainer
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for slot in range(slots):
            threading.Thread(target=self._work, name=f"engine-{slot}", daemon=True).start()

    def accept(self, job: Job) -> None:
        """Queue a job; called on the event loop."""
        self._queue.put(job)

    def _work(self) -> None:
        self._backend.pin_threads()
        while True:
            job = self._queue.get()
            began = time.monotonic()
            outcome = self._finish(job)
            seconds = time.monotonic() - began
            log.info("lease %s fence %d %s in %.1f s", job.lease.job, job.fence, outcome, seconds)

    def _finish(self, job: Job) -> str:
        """Work on one job and send its final frame; what became of it, for the log. The one broad except."""
        try:
            job.ask(self._result(job, self._run(job)))
            return "done"
        except Abandoned as reason:
            return f"abandoned ({reason})"
        except Refused as error:
            return self._close(job, refusal(job.lease, str(error), retryable=error.retryable), f"refused: {error}")
        except WorkerError as error:
            return self._close(job, failure(job.lease, error), f"failed: {error.code}")
        except OutOfMemory as shape:
            short = WorkerError("out_of_memory", f"a micro-batch of {shape} does not fit in memory", retryable=True)
            return self._close(job, failure(job.lease, short), "failed: out_of_memory")
        except Exception as error:
            return self._close(job, failure(job.lease, _translate(error)), f"failed: {type(error).__name__}")

    def _close(self, job: Job, make: FrameMaker, outcome: str) -> str:
        try:
            job.ask(make)
        except Abandoned as reason:
            return f"{outcome}, abandoned ({reason})"
        return outcome

    def _run(self, job: Job) -> AnyOutput:
        payload = self._read_payload(job)
        match payload:
            case PreparePayload():
                loaded = self._models.get(payload.model, tick=job.advance)
                return PrepareOutput(kind="prepare", facts=facts(loaded, payload.model))
            case ScorePayload():
                return scoring.run(payload, job, self._models)
            case ComparePayload():
                return generation.run_compare(payload, job, self._models)
            case GeneratePayload():
                return generation.run(payload, job, self._models)
            case TrainPayload():
                return self.trainer.run(payload, job)

    def _read_payload(self, job: Job) -> AnyPayload:
        lease = job.lease
        if lease.payload is not None:
            return lease.payload
        if lease.artifact is None:
            raise WorkerError("invalid_payload", "the lease has neither payload nor artifact")
        try:
            return _payload.validate_json(self._blobs.get(lease.artifact))
        except ValidationError as error:
            kinds = ", ".join(sorted({fault["type"] for fault in error.errors()}))
            raise WorkerError("invalid_payload", f"the payload's blob is not of this protocol ({kinds})") from error

    def _result(self, job: Job, output: AnyOutput) -> FrameMaker:
        data = output.model_dump_json(by_alias=True).encode()
        artifact: BlobRef | None = None
        if len(data) > INLINE_BYTES:
            job.advance("uploading")
            artifact = self._blobs.put(data, owner=job.lease.job, fence=job.fence)
        return lambda seq: Result(
            type="result",
            seq=seq,
            job=job.lease.job,
            fence=job.fence,
            lineage=job.lease.lineage,
            output=None if artifact else output,
            artifact=artifact,
        )


def _translate(error: Exception) -> WorkerError:
    """An error that nobody raised on purpose. Its text may quote data, so only its class leaves the process."""
    if is_out_of_memory(error):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return WorkerError("out_of_memory", "the job does not fit in this worker's memory", retryable=True)
    log.error("internal error", exc_info=error)
    return WorkerError(
        "internal", f"the worker failed with {type(error).__name__}; its log has the details", retryable=True
    )
