"""Blobs over HTTP: immutable objects of at most 32 MiB, verified by SHA-256 in both directions."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2

from understudy_worker.address import Address
from understudy_worker.errors import WorkerError
from understudy_worker.pulse import beat
from understudy_worker.wire import BlobRef, BlobStored, FileRef

log = logging.getLogger("understudy")

PART_BYTES = 33_554_432
TRIES = 6
# What the teacher cache lacks is computed: that may take less time than asking on.
CACHE_TRIES = 2
FIRST_WAIT_S = 0.25
MOST_WAIT_S = 8.0
# Half of what the pool grants a stuck engine.
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)

# Called after each part, so that a long transfer is seen to advance and can be stopped (by raising).
OnPart = Callable[[int], None]


class Blobs:
    """A client for one pool. Safe to use from several threads."""

    def __init__(self, address: Address, *, key: str) -> None:
        self._http = httpx2.Client(
            base_url=address.http,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            trust_env=not address.loopback,
        )
        self._stopped = threading.Event()

    def close(self) -> None:
        self._stopped.set()
        self._http.close()

    def put(self, data: bytes, *, owner: str, fence: int) -> BlobRef:
        """Store one object of at most 32 MiB; storing the same bytes again is a success."""
        digest = hashlib.sha256(data).hexdigest()
        response = self._send("PUT", f"/v1/blobs/{owner}/{digest}", params={"fence": fence}, content=data)
        stored = BlobStored.model_validate_json(response.content)
        if stored.sha256 != digest or stored.bytes != len(data):
            raise WorkerError("blob_corrupt", f"the store kept other bytes than were sent for {digest}", retryable=True)
        return BlobRef(key=stored.key, bytes=stored.bytes, sha256=stored.sha256)

    def get(self, ref: BlobRef) -> bytes:
        """The verified bytes of one object."""
        data = self._send("GET", f"/v1/blobs/{ref.key}").content
        if len(data) != ref.bytes or hashlib.sha256(data).hexdigest() != ref.sha256:
            raise WorkerError(
                "blob_corrupt", f"{ref.key}: the stored bytes are not those that were named", retryable=True
            )
        return data

    def get_cached(self, key: str, *, owner: str, fence: int) -> bytes | None:
        """The bytes that a worker of the project stored under a key of the teacher cache, unverified."""
        response = self._send(
            "GET",
            f"/v1/teacher-cache/{key}",
            params={"owner": owner, "fence": fence},
            absent=404,
            tries=CACHE_TRIES,
        )
        return None if response.status_code == 404 else response.content

    def put_cached(self, key: str, data: bytes, *, owner: str, fence: int) -> None:
        """Store under a key of the teacher cache; what is there already stays."""
        self._send(
            "PUT",
            f"/v1/teacher-cache/{key}",
            params={"owner": owner, "fence": fence},
            content=data,
            headers={"x-content-sha256": hashlib.sha256(data).hexdigest()},
            tries=CACHE_TRIES,
        )

    def put_file(self, path: Path, *, owner: str, fence: int, on_part: OnPart) -> FileRef:
        """Store a file of any size in parts of 32 MiB, in order."""
        whole = hashlib.sha256()
        parts = []
        for part in _parts(path):
            whole.update(part)
            parts.append(self.put(part, owner=owner, fence=fence))
            on_part(len(part))
        return FileRef(name=path.name, bytes=path.stat().st_size, sha256=whole.hexdigest(), parts=parts)

    def get_file(self, ref: FileRef, path: Path, *, on_part: OnPart) -> None:
        """Write the verified file to `path`, whose folder exists."""
        whole = hashlib.sha256()
        with path.open("wb") as file:
            for part in ref.parts:
                data = self.get(part)
                whole.update(data)
                file.write(data)
                on_part(len(data))
        if whole.hexdigest() != ref.sha256 or path.stat().st_size != ref.bytes:
            raise WorkerError(
                "blob_corrupt", f"{ref.name}: its parts do not make the file that was named", retryable=True
            )

    def _send(
        self,
        method: str,
        url: str,
        *,
        params: dict[str, str | int] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        absent: int | None = None,
        tries: int = TRIES,
    ) -> httpx2.Response:
        """`absent` is a status that is an answer too."""
        wait_s = FIRST_WAIT_S
        for attempt in range(1, tries + 1):
            # a try ends in time, and there are so many: what waits for the store is no stuck engine
            beat()
            try:
                response = self._http.request(method, url, params=params, content=content, headers=headers)
            except httpx2.TransportError as error:
                problem = type(error).__name__
            else:
                if response.is_success or response.status_code == absent:
                    return response
                problem = f"HTTP {response.status_code}"
                if response.status_code != 429 and response.status_code < 500:
                    raise WorkerError("blob_refused", f"{method} of a blob: {problem}")
            if attempt < tries:
                log.warning("%s of a blob: %s; try %d of %d", method, problem, attempt + 1, tries)
                if self._stopped.wait(wait_s * random.uniform(0.5, 1.0)):
                    break
                wait_s = min(wait_s * 2, MOST_WAIT_S)
        raise WorkerError("blob_unavailable", f"{method} of a blob: {problem} after {tries} tries", retryable=True)


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        part = file.read(PART_BYTES)
        yield part  # an empty file has one empty part
        while part := file.read(PART_BYTES):
            yield part
