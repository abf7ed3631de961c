"""A pool on a real WebSocket, in a thread of its own: greets, leases, and answers from a journal."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from journal import Journal, from_worker
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from understudy_worker.wire import Ack, Hello, JobAck, Lease, Progress, Welcome


class FakePool:
    """`muted` answers nothing (a path that is open and dead); `keep` says whether leases survive a reconnect;
    `hold` takes frames of a type without acknowledging them."""

    def __init__(self, journal: Journal, *, contact_ms: int = 20_000, progress_ms: int = 50, key: str = "k") -> None:
        self.journal = journal
        self.contact_ms = contact_ms
        self.progress_ms = progress_ms
        self.key = key
        self.keep = True
        self.muted = False
        self.lost: set[str] = set()
        self.hold: set[str] = set()
        self.hellos: list[Hello] = []
        self.progress: list[Progress] = []
        self._socket: ServerConnection | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    # What tests do.

    def send(self, message: Any) -> None:
        text = message if isinstance(message, str) else message.model_dump_json(by_alias=True)
        asyncio.run_coroutine_threadsafe(self._send(text), self._loop).result(60)

    def lease(self, lease: Lease) -> None:
        self.wait(lambda: self._socket is not None)
        self.send(lease)

    def cut(self, code: int = 1012) -> None:
        """Close the socket, as a deploy does."""
        socket = self._socket
        if socket is not None:
            asyncio.run_coroutine_threadsafe(socket.close(code), self._loop).result(60)

    def wait(self, condition: Any, *, seconds: float = 60.0) -> None:
        with self.journal.changed:
            if not self.journal.changed.wait_for(condition, timeout=seconds):
                raise TimeoutError(f"not within {seconds} s; saw {[frame.type for frame in self.journal.frames]}")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(60)

    # The server.

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        server: Server
        async with serve(self._handle, "127.0.0.1", 0, process_request=self._authorise, close_timeout=1) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await self._stopping.wait()

    def _authorise(self, connection: ServerConnection, request: Any) -> Any:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return connection.respond(401, "no")
        return None

    async def _send(self, text: str) -> None:
        assert self._socket is not None
        await self._socket.send(text)

    async def _handle(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # a killed worker closes without a word
            await self._converse(socket)
        self._note(lambda: setattr(self, "_socket", None) if self._socket is socket else None)

    async def _converse(self, socket: ServerConnection) -> None:
        async for data in socket:
            frame = from_worker.validate_json(data)
            if isinstance(frame, Hello):
                self._note(lambda frame=frame: self.hellos.append(frame))
                await socket.send(self._welcome(frame).model_dump_json())
                self._note(lambda: setattr(self, "_socket", socket))
                continue
            if self.muted:
                continue
            if isinstance(frame, Progress):
                self._note(lambda frame=frame: self.progress.append(frame))
                await socket.send(self._renew(frame).model_dump_json())
                continue
            ack = self.journal.receive(frame)
            if frame.type not in self.hold:
                await socket.send(ack.model_dump_json())

    def _note(self, change: Any) -> None:
        with self.journal.changed:
            change()
            self.journal.changed.notify_all()

    def _welcome(self, hello: Hello) -> Welcome:
        action = "keep" if self.keep else "drop"
        entries = [{"job": held.job, "fence": held.fence, "action": action} for held in hello.leases]
        return Welcome.model_validate(
            {
                "type": "welcome", "re": hello.seq, "protocol": 2, "worker": "worker_1", "lease_ms": 30_000,
                "contact_ms": self.contact_ms, "progress_ms": self.progress_ms, "reconcile": entries,
            }
        )  # fmt: skip

    def _renew(self, frame: Progress) -> Ack:
        jobs = [
            JobAck(job=tick.job, status="stale_fence" if tick.job in self.lost else "ok", ttl_ms=30_000)
            for tick in frame.jobs
        ]
        return Ack(type="ack", re=frame.seq, status="ok", head=None, ttl_ms=None, jobs=jobs)
