"""The engine: one thread a slot for long jobs, one for what people wait for. Each ends in exactly one final frame."""

from __future__ import annotations

import logging
import queue
import threading
import time

from pydantic import TypeAdapter, ValidationError

from understudy_worker import generation, preference, pulse
from understudy_worker.backend import Backend
from understudy_worker.blobs import Blobs
from understudy_worker.distill import Trainer
from understudy_worker.edge import export
from understudy_worker.endings import AnyOutput, ending, result
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.jobs import Job
from understudy_worker.models import Models, facts
from understudy_worker.pulse import Pulse
from understudy_worker.requests import REQUESTS, RequestPayload, Requests
from understudy_worker.wire import (
    ComparePayload,
    ExportPayload,
    GeneratePayload,
    Payload,
    PreferPayload,
    PrepareOutput,
    PreparePayload,
    TrainPayload,
)

log = logging.getLogger("understudy")

LongPayload = PreparePayload | ComparePayload | GeneratePayload | PreferPayload | TrainPayload | ExportPayload
AnyPayload = LongPayload | RequestPayload
_payload: TypeAdapter[AnyPayload] = TypeAdapter(Payload)


class Runner:
    """Takes jobs from the connection and works on them, off the event loop."""

    def __init__(self, *, backend: Backend, blobs: Blobs, trainer: Trainer, requests: Requests, slots: int) -> None:
        self._backend = backend
        self._models: Models = trainer.models
        self._blobs = blobs
        self.trainer = trainer
        self._requests = requests
        self._arrived: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._long: queue.SimpleQueue[tuple[Job, LongPayload]] = queue.SimpleQueue()
        self._sorting = Pulse()
        threading.Thread(target=self._sort, name="payloads", daemon=True).start()
        for slot in range(slots):
            threading.Thread(target=self._work, name=f"engine-{slot}", daemon=True).start()

    def accept(self, job: Job) -> None:
        """Queue a job; called on the event loop."""
        job.follow(self._sorting)
        self._arrived.put(job)

    def _sort(self) -> None:
        """Read payloads, some of which are blobs, and hand each job to the thread of its kind."""
        pulse.follow(self._sorting)
        while True:
            job = self._arrived.get()
            try:
                payload = self._read_payload(job)
            except Exception as error:
                self._close(job, error)
                continue
            if isinstance(payload, REQUESTS):
                self._requests.accept(job, payload)
            else:
                self._long.put((job, payload))

    def _work(self) -> None:
        self._backend.pin_threads()
        while True:
            job, payload = self._long.get()
            job.follow(pulse.here())
            began = time.monotonic()
            try:
                job.ask(result(job, self._run(job, payload), blobs=self._blobs))
                outcome = "done"
            except Exception as error:
                outcome = self._close(job, error)
            seconds = time.monotonic() - began
            log.info("lease %s fence %d %s in %.1f s", job.lease.job, job.fence, outcome, seconds)

    def _close(self, job: Job, error: Exception) -> str:
        frame, outcome = ending(job, error)
        try:
            if frame is not None:
                job.ask(frame)
        except Abandoned as reason:
            return f"{outcome}, abandoned ({reason})"
        return outcome

    def _run(self, job: Job, payload: LongPayload) -> AnyOutput:
        match payload:
            case PreparePayload():
                loaded = self._models.get(payload.model, tick=job.advance)
                return PrepareOutput(kind="prepare", facts=facts(loaded, payload.model))
            case ComparePayload():
                return generation.run_compare(payload, job, self._models)
            case GeneratePayload():
                return generation.run(payload, job, self._models)
            case PreferPayload():
                return preference.run(payload, job, self._models)
            case TrainPayload():
                return self.trainer.run(payload, job)
            case ExportPayload():
                return export.run(payload, job, self._models, self._blobs)

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
