"""The line to the pool: dials out, keeps leases alive, survives reconnects, stops work when contact is lost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Future

from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from understudy_worker.address import Address
from understudy_worker.frames import refusal
from understudy_worker.identity import PROTOCOLS, Identity
from understudy_worker.jobs import FrameMaker, Job
from understudy_worker.outbox import FRAME_BYTES, Outbox
from understudy_worker.wire import (
    Ack,
    Cancel,
    Drain,
    HeldRun,
    Lease,
    Progress,
    ToWorker,
    Welcome,
)

log = logging.getLogger("understudy")

# Used until the first welcome says otherwise; the same figures as the pool's.
CONTACT_S = 20.0
# The pool drops the leases of a closed socket after 5 s, so the first attempts come soon; each after a random time,
# since a pool that starts again is dialled by all of its workers.
RECONNECT_FIRST_S = 1.0
RECONNECT_MOST_S = 5.0
WELCOME_S = 10.0
WATCH_S = 0.1
# Close codes for a frame that breaks the protocol: policy violation, message too big.
REJECTED = (1008, 1009)

_to_worker: TypeAdapter[Welcome | Lease | Ack | Cancel | Drain] = TypeAdapter(ToWorker)


class KeyRefused(Exception):
    """The pool answered 401 or 403: dialling again cannot help."""


class Connection:
    """Runs on one event loop. `accept` hands a job to the engine; `held_runs` tells which runs are in memory."""

    def __init__(
        self,
        address: Address,
        *,
        key: str,
        identity: Identity,
        accept: Callable[[Job], None],
        held_runs: Callable[[], list[HeldRun]],
    ) -> None:
        self._address = address
        self._key = key
        self._identity = identity
        self._accept = accept
        self._held_runs = held_runs
        self._outbox = Outbox()
        self._jobs: dict[tuple[str, int], Job] = {}
        self._probes: dict[int, float] = {}
        self._writes: asyncio.Queue[str] | None = None
        self._socket: ClientConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._contact_s = CONTACT_S
        self._contact_at = time.monotonic()
        self._leaving = False

    async def run(self) -> None:
        """Serve until drained or told to leave; raises KeyRefused when the key is not accepted."""
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self._serve())
        watching = asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (serving, watching):
                task.cancel()
            await asyncio.gather(serving, watching, return_exceptions=True)

    def leave(self) -> None:
        """Finish what is in hand, take nothing more, then return from `run`. Call on the event loop."""
        if not self._leaving:
            log.info("leaving after %d lease(s) in hand", len(self._jobs))
        self._leaving = True

    # The engine's side.

    def submit(self, job: Job, make: FrameMaker) -> Future[Ack]:
        """Queue a frame from any thread."""
        future: Future[Ack] = Future()
        assert self._loop is not None, "jobs come only from a running connection"
        self._loop.call_soon_threadsafe(self._enqueue, job, make, future)
        return future

    def _enqueue(self, job: Job, make: FrameMaker, future: Future[Ack]) -> None:
        try:
            text = self._outbox.add(job, make, future)
        except ValidationError as error:
            future.set_exception(error)
            return
        if text is not None and self._writes is not None:
            self._writes.put_nowait(text)

    # The socket's side.

    async def _serve(self) -> None:
        delay = RECONNECT_FIRST_S
        while True:
            try:
                async with self._dial() as socket:
                    await self._session(socket)
                    delay = RECONNECT_FIRST_S
            except InvalidStatus as error:
                status = error.response.status_code
                if status in (401, 403):
                    raise KeyRefused(f"the pool refused the key (HTTP {status})") from error
                log.warning("the pool answered HTTP %d; dialling again", status)
            except (OSError, TimeoutError, WebSocketException) as error:
                log.warning("no connection to the pool: %s: %s", type(error).__name__, error)
            await asyncio.sleep(random.uniform(0.0, delay))
            delay = min(delay * 2, RECONNECT_MOST_S)

    def _dial(self) -> connect:
        return connect(
            self._address.socket,
            additional_headers={"Authorization": f"Bearer {self._key}"},
            max_size=FRAME_BYTES,
            compression=None,
            proxy=None if self._address.loopback else True,
        )

    async def _session(self, socket: ClientConnection) -> None:
        welcome = await self._greet(socket)
        writes: asyncio.Queue[str] = asyncio.Queue()
        for text in self._outbox.texts():
            writes.put_nowait(text)
        self._writes, self._socket = writes, socket
        tasks = [
            asyncio.create_task(self._write(socket, writes)),
            asyncio.create_task(self._probe(writes, welcome.progress_ms / 1000)),
        ]
        log.info("connected as %s with %d lease(s) kept", welcome.worker, len(self._jobs))
        try:
            async for data in socket:
                self._receive(data)
        except ConnectionClosed:
            pass
        finally:
            self._writes = self._socket = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        log.warning("the pool closed the connection (code %s)", socket.close_code)
        if socket.close_code in REJECTED:
            # Sending the same frame again would only close the next connection too.
            for job in list(self._jobs.values()):
                self._drop(job, "the pool rejected a frame")

    async def _greet(self, socket: ClientConnection) -> Welcome:
        sent_at = time.monotonic()
        hello = self._identity.hello(
            self._outbox.next_seq(),
            runs=self._held_runs(),
            leases=[job.held for job in self._jobs.values()],
        )
        await socket.send(hello.model_dump_json(by_alias=True))
        welcome = await self._welcome(socket)
        kept = {(entry.job, entry.fence) for entry in welcome.reconcile if entry.action == "keep"}
        for name, job in list(self._jobs.items()):
            if name not in kept:
                self._drop(job, "not kept over the reconnect")
        self._contact_s = welcome.contact_ms / 1000
        self._contact_at = sent_at
        self._probes.clear()
        return welcome

    async def _welcome(self, socket: ClientConnection) -> Welcome:
        async with asyncio.timeout(WELCOME_S):
            data = await socket.recv()
        try:
            message = _to_worker.validate_json(data)
        except ValidationError as error:
            raise ConnectionError(f"the answer to hello is not one: {_where(error)}") from error
        if not isinstance(message, Welcome):
            raise ConnectionError(f"the answer to hello is {message.type}, not welcome")
        if not PROTOCOLS[0] <= message.protocol <= PROTOCOLS[1]:
            raise ConnectionError(
                f"the pool speaks protocol {message.protocol}, this worker {PROTOCOLS[0]} to {PROTOCOLS[1]}"
            )
        return message

    async def _write(self, socket: ClientConnection, writes: asyncio.Queue[str]) -> None:
        while True:
            await socket.send(await writes.get())

    async def _probe(self, writes: asyncio.Queue[str], every_s: float) -> None:
        """Renew the leases and prove contact; sent with no lease too, so that the contact is always known."""
        while True:
            seq = self._outbox.next_seq()
            progress = Progress(type="progress", seq=seq, jobs=[job.progress() for job in self._jobs.values()])
            self._probes[seq] = time.monotonic()
            writes.put_nowait(progress.model_dump_json(by_alias=True))
            await asyncio.sleep(every_s)

    def _receive(self, data: str | bytes) -> None:
        try:
            message = _to_worker.validate_json(data)
        except ValidationError as error:
            log.error("a frame of %d bytes from the pool is not one: %s", len(data), _where(error))
            return
        match message:
            case Ack():
                self._acknowledge(message)
            case Lease():
                self._take(message)
            case Cancel():
                if job := self._jobs.get((message.job, message.fence)):
                    self._drop(job, "cancelled by the pool")
            case Drain():
                self.leave()
            case Welcome():
                log.error("a second welcome on one socket is ignored")

    def _acknowledge(self, ack: Ack) -> None:
        probed_at = self._probes.pop(ack.re, None)
        if probed_at is not None:
            # The moment of asking, not of the answer: the pool's lease cannot have begun before it.
            self._contact_at = max(self._contact_at, probed_at)
            lost = {entry.job: entry.status for entry in ack.jobs if entry.status not in ("ok", "duplicate")}
            for job in [job for job in self._jobs.values() if job.lease.job in lost]:
                self._drop(job, lost[job.lease.job])
            return
        pending = self._outbox.take(ack)
        if pending is None:
            return
        if ack.status in ("stale_fence", "cancelled", "diverged"):
            self._drop(pending.job, ack.status)
        elif pending.final:
            self._jobs.pop((pending.job.lease.job, pending.job.fence), None)
        # Last, so that the engine finds its lease in the state that the ack put it in.
        pending.future.set_result(ack)

    def _take(self, lease: Lease) -> None:
        job = Job(lease=lease, submit=self.submit)
        if self._leaving or len(self._jobs) >= self._identity.slots + self._identity.requests:
            reason = "leaving" if self._leaving else "every slot is taken"
            log.warning("lease %s fence %d refused: %s", lease.job, lease.fence, reason)
            self._enqueue(job, refusal(lease, reason), Future())
            return
        log.info("lease %s fence %d attempt %d", lease.job, lease.fence, lease.attempt)
        self._jobs[(lease.job, lease.fence)] = job
        self._accept(job)

    def _drop(self, job: Job, reason: str) -> None:
        if self._jobs.pop((job.lease.job, job.fence), None) is not None:
            log.warning("lease %s fence %d dropped: %s", job.lease.job, job.fence, reason)
        job.drop()
        self._outbox.abandon(job)

    async def _watch(self) -> None:
        """Stop all work once contact is lost: the pool leases it elsewhere. Ends when nothing is left to finish."""
        while not (self._leaving and not self._jobs):
            await asyncio.sleep(WATCH_S)
            silent_s = time.monotonic() - self._contact_at
            if silent_s <= self._contact_s:
                continue
            for job in list(self._jobs.values()):
                self._drop(job, f"no contact for {silent_s:.0f} s")
            if self._socket is not None:
                log.warning("no contact for %.0f s: closing the connection", silent_s)
                self._contact_at = time.monotonic()
                await self._socket.close()


def _where(error: ValidationError) -> str:
    """Places and kinds of the faults, never the values: a frame may hold prompts."""
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors()[:3])
