"""A leased job as the engine sees it: what to do, how far it is, and a way to talk to the pool about it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from understudy_worker.errors import Abandoned
from understudy_worker.pulse import Pulse
from understudy_worker.wire import Ack, HeldLease, JobTick, Lease
from understudy_worker.wire_base import WireModel

Phase = Literal["loading", "replaying", "working", "uploading"]
# Makes a frame from the sequence number that the connection gives it.
FrameMaker = Callable[[int], WireModel]
Submit = Callable[["Job", FrameMaker], "Future[Ack]"]


@dataclass(eq=False)
class Job:
    """One lease. The engine thread and the connection's event loop share it; a lock guards the progress.

    The tick moves in `advance`, which the engine calls after real progress, and with the pulse of the thread that the
    job waits for: it is what the pool's deadline for a stuck engine looks at.
    """

    lease: Lease
    submit: Submit
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _dropped: threading.Event = field(default_factory=threading.Event)
    _tick: int = 0
    _phase: Phase = "loading"
    _done: int = 0
    _total: int = 0
    _pulse: Pulse | None = None
    _mark: tuple[int, int, int] = (0, 0, 0)

    def follow(self, pulse: Pulse) -> None:
        """Whose turn the job waits for, or who works on it: while that thread gets on, so does the job."""
        with self._lock:
            self._pulse, self._mark = pulse, pulse.mark()

    @property
    def held(self) -> HeldLease:
        return HeldLease(job=self.lease.job, fence=self.lease.fence)

    @property
    def fence(self) -> int:
        return self.lease.fence

    def drop(self) -> None:
        """Called by the connection: the lease is gone. The engine notices at its next `advance`, `check` or `ask`."""
        self._dropped.set()

    @property
    def dropped(self) -> bool:
        return self._dropped.is_set()

    def check(self) -> None:
        """Raise Abandoned if the lease is gone."""
        if self._dropped.is_set():
            raise Abandoned(self.lease.job)

    def advance(self, phase: Phase | None = None, *, done: int | None = None, total: int | None = None) -> None:
        """Record real progress; raise Abandoned if the lease is gone. `done` of `total` is in the phase's own unit."""
        self.check()
        with self._lock:
            self._tick += 1
            if phase is not None and phase != self._phase:
                self._phase, self._done, self._total = phase, 0, 0
            self._done = self._done if done is None else done
            self._total = self._total if total is None else total

    def progress(self) -> JobTick:
        with self._lock:
            if self._pulse is not None and (mark := self._pulse.mark()) != self._mark:
                self._mark = mark
                self._tick += 1
            return JobTick(
                job=self.lease.job,
                fence=self.lease.fence,
                tick=self._tick,
                phase=self._phase,
                done=self._done,
                total=self._total,
            )

    def send(self, make: FrameMaker) -> Future[Ack]:
        """Send a frame without waiting; the future has the pool's ack, or raises Abandoned when the lease goes."""
        self.check()
        return self.submit(self, make)

    def ask(self, make: FrameMaker) -> Ack:
        """Send a frame and wait for its ack: `ok`, `duplicate` or `gap`; the other states raise Abandoned."""
        return settled(self.send(make))


def settled(future: Future[Ack]) -> Ack:
    """The ack that a frame got; raises Abandoned when it says that the lease is no longer ours."""
    ack = future.result()
    if ack.status in ("stale_fence", "cancelled", "diverged"):
        raise Abandoned(ack.status)
    return ack


class Pipeline:
    """Frames sent ahead of their acks, so that the engine computes while the pool decides; a few at the most.

    A frame's own ack may say `gap`: then `send` or `drain` returns True, and the caller reloads.
    """

    DEPTH = 4

    def __init__(self, job: Job) -> None:
        self._job = job
        self._waiting: deque[Future[Ack]] = deque()

    def send(self, make: FrameMaker) -> bool:
        self._waiting.append(self._job.send(make))
        return self._settle(self.DEPTH)

    def drain(self) -> bool:
        return self._settle(0)

    def _settle(self, depth: int) -> bool:
        gap = False
        while self._waiting and (len(self._waiting) > depth or self._waiting[0].done()):
            gap |= settled(self._waiting.popleft()).status == "gap"
        return gap


Batch = TypeVar("Batch")


def send_batches(job: Job, batches: Sequence[Batch], work: Callable[[Batch], FrameMaker]) -> None:
    """Work on the batches of a lease in turn; what each came to goes ahead in a frame of its own."""
    job.advance("working", done=0, total=len(batches))
    sent = Pipeline(job)
    for done, batch in enumerate(batches, start=1):
        sent.send(work(batch))
        job.advance(done=done)
    sent.drain()
