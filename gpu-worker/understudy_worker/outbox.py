"""Frames on their way to the pool: numbered, kept until acknowledged, sent again after a reconnect."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.jobs import FrameMaker, Job
from understudy_worker.wire import Ack, Fail, Refuse, Result

# The pool's cap on a frame, in bytes.
FRAME_BYTES = 1 << 20


@dataclass(eq=False)
class Pending:
    """One unacknowledged frame. `final` frames end their lease once acknowledged."""

    job: Job
    text: str
    final: bool
    future: Future[Ack]


class Outbox:
    """All of it runs on the event loop's thread; only the futures are awaited elsewhere."""

    def __init__(self) -> None:
        self._seq = 0
        self._pending: dict[int, Pending] = {}

    def next_seq(self) -> int:
        """Numbers go up for the life of the process, over every reconnect."""
        self._seq += 1
        return self._seq

    def add(self, job: Job, make: FrameMaker, future: Future[Ack]) -> str | None:
        """Number and keep a frame; returns its text, or None when its future already has the answer."""
        if job.dropped:
            future.set_exception(Abandoned(job.lease.job))
            return None
        seq = self.next_seq()
        frame = make(seq)
        text = frame.model_dump_json(by_alias=True)
        size = len(text.encode())
        if size > FRAME_BYTES:
            error = WorkerError("frame_too_large", f"a frame of {size} bytes exceeds the pool's {FRAME_BYTES}")
            future.set_exception(error)
            return None
        self._pending[seq] = Pending(job, text, isinstance(frame, Result | Fail | Refuse), future)
        return text

    def take(self, ack: Ack) -> Pending | None:
        """The frame that an ack answers; None when nothing waits for it (an answer to a frame sent twice)."""
        return self._pending.pop(ack.re, None)

    def abandon(self, job: Job) -> None:
        """Wake whoever waits for this job's acks: none will come."""
        for seq in [seq for seq, pending in self._pending.items() if pending.job is job]:
            self._pending.pop(seq).future.set_exception(Abandoned(job.lease.job))

    def texts(self) -> Iterator[str]:
        """Unacknowledged frames, oldest first."""
        for seq in sorted(self._pending):
            yield self._pending[seq].text
