"""The one final frame of a lease: its result, or why there is none."""

from __future__ import annotations

import logging

import torch

from understudy_worker.blobs import Blobs
from understudy_worker.errors import Abandoned, Refused, WorkerError
from understudy_worker.frames import failure, refusal
from understudy_worker.jobs import FrameMaker, Job
from understudy_worker.memory import OutOfMemory, is_out_of_memory
from understudy_worker.wire import (
    BlobRef,
    CompareOutput,
    CompleteOutput,
    ExportOutput,
    GenerateOutput,
    PreferOutput,
    PrepareOutput,
    Result,
    ScoreOutput,
    TokenizeOutput,
    TrainOutput,
)

log = logging.getLogger("understudy")

AnyOutput = (
    PrepareOutput
    | ScoreOutput
    | CompleteOutput
    | TokenizeOutput
    | CompareOutput
    | GenerateOutput
    | PreferOutput
    | TrainOutput
    | ExportOutput
)

# A larger result goes to the store and the frame carries its name.
INLINE_BYTES = 96 * 1024


def result(job: Job, output: AnyOutput, *, blobs: Blobs) -> FrameMaker:
    """A `result` frame; a large output is stored before."""
    data = output.model_dump_json(by_alias=True).encode()
    artifact: BlobRef | None = None
    if len(data) > INLINE_BYTES:
        job.advance("uploading")
        artifact = blobs.put(data, owner=job.lease.job, fence=job.fence)
    return lambda seq: Result(
        type="result",
        seq=seq,
        job=job.lease.job,
        fence=job.fence,
        lineage=job.lease.lineage,
        output=None if artifact else output,
        artifact=artifact,
    )


def ending(job: Job, error: Exception) -> tuple[FrameMaker | None, str]:
    """What an error makes of a lease, and in words for the log. No frame: the lease is no longer ours."""
    match error:
        case Abandoned():
            return None, f"abandoned ({error})"
        case Refused():
            return refusal(job.lease, str(error), retryable=error.retryable), f"refused: {error}"
        case WorkerError():
            return failure(job.lease, error), f"failed: {error.code}"
        case OutOfMemory():
            short = WorkerError("out_of_memory", f"a micro-batch of {error} does not fit in memory", retryable=True)
            return failure(job.lease, short), "failed: out_of_memory"
        case _:
            return failure(job.lease, _translate(error)), f"failed: {type(error).__name__}"


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
