"""Blobs over real HTTP: verified, retried, in parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from blob_server import BlobServer

from understudy_worker import blobs as blobs_module
from understudy_worker.address import parse_address
from understudy_worker.blobs import Blobs
from understudy_worker.errors import WorkerError


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_module, "FIRST_WAIT_S", 0.001)


def test_put_then_get(blobs: Blobs, blob_server: BlobServer) -> None:
    ref = blobs.put(b"hello", owner="job_1", fence=3)
    assert ref.key.startswith("proj_1/job_1/3/")
    assert blobs.get(ref) == b"hello"
    assert blobs.put(b"hello", owner="job_1", fence=3) == ref, "the same bytes again are a success"
    assert len(blob_server.blobs) == 1


def test_passing_troubles_are_retried(blobs: Blobs, blob_server: BlobServer) -> None:
    blob_server.failures = [503, 429, 500]
    assert blobs.get(blobs.put(b"x", owner="job_1", fence=1)) == b"x"
    assert blob_server.failures == []


@pytest.mark.parametrize(
    ("status", "code", "retryable"), [(403, "blob_refused", False), (503, "blob_unavailable", True)]
)
def test_lasting_troubles_end(blobs: Blobs, blob_server: BlobServer, status: int, code: str, retryable: bool) -> None:
    blob_server.failures = [status] * blobs_module.TRIES
    with pytest.raises(WorkerError) as error:
        blobs.put(b"x", owner="job_1", fence=1)
    assert (error.value.code, error.value.retryable) == (code, retryable)


def test_a_server_that_is_gone(blobs: Blobs, blob_server: BlobServer) -> None:
    ref = blobs.put(b"x", owner="job_1", fence=1)
    blob_server.close()
    with pytest.raises(WorkerError) as error:
        blobs.get(ref)
    assert error.value.code == "blob_unavailable"


def test_corruption_is_seen(blobs: Blobs, blob_server: BlobServer) -> None:
    ref = blobs.put(b"hello", owner="job_1", fence=1)
    blob_server.corrupt = True
    with pytest.raises(WorkerError) as error:
        blobs.get(ref)
    assert error.value.code == "blob_corrupt"


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (1, 1), (10, 1), (11, 2), (35, 4)])
def test_files_go_in_parts(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, parts: int
) -> None:
    monkeypatch.setattr(blobs_module, "PART_BYTES", 10)
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(range(size)))
    seen: list[int] = []
    ref = blobs.put_file(path, owner="run_1", fence=2, on_part=seen.append)
    assert len(ref.parts) == len(seen) == parts and sum(seen) == ref.bytes == size
    blobs.get_file(ref, tmp_path / "back", on_part=lambda _: None)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    if parts > 1:
        swapped = ref.model_copy(update={"parts": ref.parts[::-1]})
        with pytest.raises(WorkerError, match="parts"):
            blobs.get_file(swapped, tmp_path / "other", on_part=lambda _: None)


@pytest.mark.parametrize(
    ("url", "socket", "loopback"),
    [
        ("http://127.0.0.1:8787", "ws://127.0.0.1:8787/v1/workers/connect", True),
        ("https://understudy.example/base/", "wss://understudy.example/base/v1/workers/connect", False),
    ],
)
def test_addresses(url: str, socket: str, loopback: bool) -> None:
    address = parse_address(url)
    assert (address.socket, address.loopback) == (socket, loopback)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8787", "ws://x", "ftp://x", "http://", "http://x?y=1"])
def test_bad_addresses_say_what_is_expected(url: str) -> None:
    with pytest.raises(ValueError, match="http://127"):
        parse_address(url)
