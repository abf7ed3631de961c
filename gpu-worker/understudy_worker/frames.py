"""The frames that end a lease without a result."""

from __future__ import annotations

from understudy_worker.errors import WorkerError
from understudy_worker.jobs import FrameMaker
from understudy_worker.wire import Fail, Lease, Refuse


def refusal(lease: Lease, reason: str, *, retryable: bool = True) -> FrameMaker:
    """A `refuse` frame: this worker cannot take the lease (never, if not retryable); another may."""
    return lambda seq: Refuse(
        type="refuse", seq=seq, job=lease.job, fence=lease.fence, reason=reason[:1000], retryable=retryable
    )


def failure(lease: Lease, error: WorkerError) -> FrameMaker:
    """A `fail` frame."""
    return lambda seq: Fail(
        type="fail",
        seq=seq,
        job=lease.job,
        fence=lease.fence,
        lineage=lease.lineage,
        code=error.code,
        detail=str(error)[:4000],
        retryable=error.retryable,
    )
