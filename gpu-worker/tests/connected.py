"""A connection to a pool, with an engine that the test is."""

from __future__ import annotations

import asyncio
import threading

from fake_pool import FakePool

from understudy_worker.address import Address
from understudy_worker.backend import Backend, fingerprint
from understudy_worker.connection import Connection
from understudy_worker.identity import Identity
from understudy_worker.jobs import Job
from understudy_worker.wire import Capabilities, HeldRun


class Worker:
    """In a thread of its own; leases are taken and left to the test."""

    def __init__(self, pool: FakePool, backend: Backend, *, key: str = "k", slots: int = 1) -> None:
        self.jobs: list[Job] = []
        self.taken = threading.Condition()
        self.ended: BaseException | str | None = "running"
        self.connection = Connection(
            Address(http="", socket=f"ws://127.0.0.1:{pool.port}/v1/workers/connect", loopback=True),
            key=key,
            identity=Identity(
                worker="w1",
                boot="0" * 32,
                capabilities=Capabilities(kinds=["score"], models=["teacher"], device="cpu"),
                fingerprint=fingerprint(backend),
                slots=slots,
                requests=1,
            ),
            accept=self._accept,
            held_runs=lambda: [HeldRun(run="run_1", lineage=0, head=3, hash="a" * 64)],
        )
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._task = self._loop.create_task(self.connection.run())
            self._loop.run_until_complete(self._task)
            self.ended = None
        except asyncio.CancelledError:
            self.ended = "stopped"
        except BaseException as error:
            self.ended = error

    def _accept(self, job: Job) -> None:
        with self.taken:
            self.jobs.append(job)
            self.taken.notify_all()

    def job(self, index: int = 0) -> Job:
        with self.taken:
            assert self.taken.wait_for(lambda: len(self.jobs) > index, timeout=60)
        return self.jobs[index]

    def leave(self) -> None:
        self._loop.call_soon_threadsafe(self.connection.leave)

    def stop(self) -> None:
        if self._task is not None and self.thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self.thread.join(60)
