"""Entries shared between workers through the store: never trusted, never waited for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from blob_server import BlobServer
from teachers import SEQUENCES, Teachers, stored, waits_for, write_more

from understudy_worker import blobs as blobs_module
from understudy_worker import shared_cache as shared_cache_module
from understudy_worker.blobs import Blobs
from understudy_worker.errors import Abandoned
from understudy_worker.models import Models
from understudy_worker.shared_cache import SharedCache
from understudy_worker.teacher import Hits


@pytest.fixture(scope="module")
def more(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {**folders, **write_more(tmp_path_factory.mktemp("more"))}


@pytest.fixture
def frozen(new_room: Any, more: dict[str, Path]) -> Teachers:
    return Teachers(new_room, more)


@pytest.fixture
def shared(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> SharedCache:
    monkeypatch.setattr(blobs_module, "FIRST_WAIT_S", 0.001)
    return SharedCache(blobs, owner="run_1", fence=1)


def test_another_worker_reads_what_was_shared(
    frozen: Teachers,
    shared: SharedCache,
    blob_server: BlobServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    frozen(cache=tmp_path / "one", shared=shared).entries(SEQUENCES)
    assert waits_for(lambda: len(blob_server.cached) == 4) and shared.lost == 0
    assert blob_server.cached == stored(tmp_path / "one")
    monkeypatch.setattr(Models, "load", None)  # its layers cannot be loaded
    other = frozen(cache=tmp_path / "two", shared=shared)
    assert other.entries(SEQUENCES)[1] == Hits(4, 0)
    assert stored(tmp_path / "two") == stored(tmp_path / "one")
    reads = blob_server.reads
    assert other.entries(SEQUENCES)[1] == Hits(4, 0) and blob_server.reads == reads, "now they are here"


def test_wrong_bytes_from_the_store_are_refused(
    frozen: Teachers, shared: SharedCache, blob_server: BlobServer, tmp_path: Path
) -> None:
    """A flipped byte, and whole entries under each other's keys."""
    frozen(cache=tmp_path / "one", shared=shared).entries(SEQUENCES)
    assert waits_for(lambda: len(blob_server.cached) == 4)
    good = stored(tmp_path / "one")
    blob_server.corrupt = True
    assert frozen(cache=tmp_path / "two", shared=shared).entries(SEQUENCES)[1] == Hits(0, 4)
    assert stored(tmp_path / "two") == good
    blob_server.corrupt = False
    keys = sorted(blob_server.cached)
    blob_server.cached = dict(zip(keys, (good[key] for key in reversed(keys)), strict=True))
    assert frozen(cache=tmp_path / "three", shared=shared).entries(SEQUENCES)[1] == Hits(0, 4)
    assert stored(tmp_path / "three") == good


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_store_that_fails_costs_only_the_sharing(
    status: int, frozen: Teachers, shared: SharedCache, blob_server: BlobServer
) -> None:
    blob_server.failures = [status] * 1000
    assert frozen(shared=shared).entries(SEQUENCES)[1] == Hits(0, 4)
    assert waits_for(lambda: shared.lost == 4)


def test_a_store_that_is_gone_costs_only_the_sharing(
    frozen: Teachers, shared: SharedCache, blob_server: BlobServer
) -> None:
    blob_server.close()
    assert frozen(shared=shared).entries(SEQUENCES)[1] == Hits(0, 4)
    assert waits_for(lambda: shared.lost == 4)


def test_a_slow_store_holds_up_no_step(
    shared: SharedCache, blobs: Blobs, blob_server: BlobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit the queue is dropped."""
    let_go = []
    put = blobs.put_cached
    monkeypatch.setattr(blobs, "put_cached", lambda *a, **k: waits_for(lambda: bool(let_go)) and put(*a, **k))
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(shared_cache_module.WAITING + 6)]
    for key in keys:
        shared.put(key, b"entry")
    assert shared.lost == 6
    let_go.append(True)
    assert waits_for(lambda: set(blob_server.cached) == set(keys[:-6]))
    shared.put(keys[-1], b"entry")
    assert waits_for(lambda: keys[-1] in blob_server.cached), "there is room again"


def test_a_new_lease_is_told_and_authorises(frozen: Teachers, shared: SharedCache) -> None:
    def gone() -> None:
        raise Abandoned("the lease that loaded the run")

    ticks: list[int] = []
    teacher = frozen(shared=shared)
    teacher._tick = gone
    teacher.renew(7, tick=lambda: ticks.append(1))
    teacher.entries(SEQUENCES)
    assert shared.fence == 7 and len(ticks) >= 4
