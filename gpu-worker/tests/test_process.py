"""The worker as a process of its own: killed in the middle of a run, told to leave, badly started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import runs
from blob_server import BlobServer
from conftest import Room
from fake_pool import FakePool
from front import Front
from journal import Journal, lease, local_job
from threads import THREADS

ROOT = Path(__file__).parents[1]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(pool: FakePool, blob_server: BlobServer, folders: dict[str, Path], tmp_path: Path) -> Iterator[Start]:
    front = Front(socket_port=pool.port, http_port=blob_server.port)
    processes = []

    def begin(*, key: str = "k") -> subprocess.Popen[str]:
        models = [f"--models={name}={path}" for name, path in folders.items()]
        options = [f"--url=http://127.0.0.1:{front.port}", f"--threads={THREADS}", "--name=box"]
        cache = tmp_path / f"cache-{len(processes)}"
        process = subprocess.Popen(
            [sys.executable, "-m", "understudy_worker", *models, *options, f"--cache-dir={cache}"],
            cwd=ROOT,
            env={**os.environ, "UNDERSTUDY_WORKER_KEY": key},
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()
    front.close()


def test_kill_and_replay_to_the_same_bits(
    pool: FakePool, start: Start, journal: Journal, blob_server: BlobServer, new_room: Any
) -> None:
    spec = runs.spec(runs.split_ref(blob_server, runs.rows(10)), optimizer={"learning_rate": 0.01, "total_steps": 300})
    straight = Journal()
    room: Room = new_room()
    undisturbed = room.trainer().run((payload := runs.payload(spec, to=300)), local_job(straight, payload, lineage=0))

    first = start()
    pool.wait(lambda: pool.hellos, seconds=60)
    pool.lease(lease(runs.payload(spec, to=300), job="job_1", fence=1, lineage=0))
    pool.wait(lambda: len(journal.steps) >= 20, seconds=60)
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    pool.wait(lambda: pool._socket is None)
    reached = len(journal.steps)
    assert 20 <= reached < 300

    start()
    pool.wait(lambda: len(pool.hellos) == 2, seconds=60)
    assert pool.hellos[0].boot != pool.hellos[1].boot
    pool.lease(lease(runs.continuing(spec, journal, to=300), job="job_1", fence=2, lineage=0))
    done: Any = journal.wait_final("job_1", seconds=120)
    assert done.output.head == 300
    assert journal.hashes(1, 300) == straight.hashes(1, 300)
    assert done.output.state_sha256 == undisturbed.state_sha256


def test_sigterm_finishes_and_leaves(pool: FakePool, start: Start, blob_server: BlobServer, journal: Journal) -> None:
    process = start()
    pool.wait(lambda: pool.hellos, seconds=60)
    spec = runs.spec(runs.split_ref(blob_server, runs.rows(10)))
    pool.lease(lease(runs.payload(spec, to=12), job="job_1", lineage=0))
    pool.wait(lambda: journal.steps, seconds=60)
    process.send_signal(signal.SIGTERM)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert journal.wait_final("job_1").type == "result"
    assert "colour" not in log and "Bearer" not in log, "logs hold ids and sizes, never prompts or keys"


def test_a_refused_key_is_a_clear_exit(start: Start) -> None:
    process = start(key="wrong")
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 3
    assert "UNDERSTUDY_WORKER_KEY" in log and "wrong" not in log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "nowhere"], "--url must look like"),
        (["--url", "http://x", "--models", "smol"], "NAME=PATH"),
        (["--url", "http://x", "--models", "smol=/does/not/exist"], "neither a folder nor"),
        (["--url", "http://x", "--threads", "0"], "1 to 64"),
        (["--url", "http://x", "--name", "two words"], "letters"),
        (["--url", "http://x"], "UNDERSTUDY_WORKER_KEY"),
    ],
)
def test_bad_arguments_are_told(arguments: list[str], words: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "understudy_worker", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "UNDERSTUDY_WORKER_KEY"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 2 and words in process.stderr
