"""The blob routes of the edge, in memory, over real HTTP."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from understudy_worker.wire import BlobRef, BlobStored

CACHE = "/v1/teacher-cache/"


class BlobServer:
    """`failures` are HTTP statuses to answer before behaving; `corrupt` flips a byte of what is read."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        # The teacher cache by key: create-only.
        self.cached: dict[str, bytes] = {}
        self.failures: list[int] = []
        self.corrupt = False
        self.reads = 0
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                store._put(self)

            def do_GET(self) -> None:
                store._get(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, data: bytes, *, owner: str = "ds_1") -> BlobRef:
        digest = hashlib.sha256(data).hexdigest()
        key = f"proj_1/{owner}/0/{digest}"
        self.blobs[key] = data
        return BlobRef(key=key, bytes=len(data), sha256=digest)

    def content(self, key: str) -> bytes:
        return self.blobs[key]

    def _put(self, request: BaseHTTPRequestHandler) -> None:
        data = request.rfile.read(int(request.headers["Content-Length"]))
        if self._fail(request):
            return
        url = urlsplit(request.path)
        if url.path.startswith(CACHE):
            good = hashlib.sha256(data).hexdigest() == request.headers["x-content-sha256"]
            if good:
                self.cached.setdefault(url.path.removeprefix(CACHE), data)
            _answer(request, 200 if good else 400, b"")
            return
        owner, digest = url.path.split("/")[-2:]
        if hashlib.sha256(data).hexdigest() != digest:
            _answer(request, 400, b"{}")
            return
        key = f"proj_1/{owner}/{parse_qs(url.query)['fence'][0]}/{digest}"
        status = 200 if key in self.blobs else 201
        self.blobs[key] = data
        stored = BlobStored(object="blob", key=key, bytes=len(data), sha256=digest)
        _answer(request, status, stored.model_dump_json().encode())

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        self.reads += 1
        if self._fail(request):
            return
        path = urlsplit(request.path).path
        if path.startswith(CACHE):
            data = self.cached.get(path.removeprefix(CACHE))
        else:
            data = self.blobs.get(path.removeprefix("/v1/blobs/"))
        if data is None:
            _answer(request, 404, b"{}")
            return
        _answer(request, 200, bytes([data[0] ^ 1]) + data[1:] if self.corrupt else data)

    def _fail(self, request: BaseHTTPRequestHandler) -> bool:
        if not self.failures:
            return False
        _answer(request, self.failures.pop(0), b"{}")
        return True


def _answer(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
