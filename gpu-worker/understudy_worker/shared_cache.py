"""Entries of the teacher cache that the workers of one project share through the pool's store.

It is a cache: a read that fails is a miss, a write that fails is counted and logged, and neither holds up or fails a
run.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from understudy_worker.blobs import Blobs
from understudy_worker.errors import WorkerError

log = logging.getLogger("understudy")

# Writes that may wait; more are dropped, and computed again by whoever needs them.
WAITING = 64


class SharedCache:
    """As `owner` (a run or job that this worker holds at `fence`) may read and write it. `lost` counts the writes that
    were dropped or failed."""

    def __init__(self, blobs: Blobs, *, owner: str, fence: int) -> None:
        self._blobs = blobs
        self.owner = owner
        self.fence = fence
        self.lost = 0
        self._room = BoundedSemaphore(WAITING)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="teacher-cache-put")

    def get(self, key: str) -> bytes | None:
        """The bytes stored under the key, unverified."""
        try:
            return self._blobs.get_cached(key, owner=self.owner, fence=self.fence)
        except WorkerError as error:
            log.warning("teacher cache: reading failed (%s)", error.code)
            return None

    def put(self, key: str, data: bytes) -> None:
        """Store in the background, if there is room to wait."""
        if self._room.acquire(blocking=False):
            self._thread.submit(self._store, key, data)
        else:
            self.lost += 1

    def _store(self, key: str, data: bytes) -> None:
        try:
            self._blobs.put_cached(key, data, owner=self.owner, fence=self.fence)
        except WorkerError as error:
            self.lost += 1
            log.warning("teacher cache: storing failed (%s), %d not shared so far", error.code, self.lost)
        finally:
            self._room.release()
