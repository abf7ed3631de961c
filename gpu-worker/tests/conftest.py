from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
from blob_server import BlobServer
from fake_pool import FakePool
from journal import Journal
from precision import Oracle
from smollm2 import GGUF
from threads import THREADS

from understudy_worker.address import Address
from understudy_worker.backend import Backend, configure
from understudy_worker.blobs import Blobs
from understudy_worker.distill import Trainer
from understudy_worker.engine import Engine
from understudy_worker.models import LoadedModel, Models
from understudy_worker.ranks import Ranks
from understudy_worker.requests import Requests
from understudy_worker.scoring import Known
from understudy_worker.sources import Sources
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.wire import ModelRef

# Files that take longest: they begin first, so that no core waits for the last of them.
LONG = ["test_ranks", "test_ranks_process", "test_export", "test_step", "test_process", "test_smollm2"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def backend() -> Backend:
    return configure(THREADS)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny.write_all(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def smol_models(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Models with SmolLM2 among them, whose GGUF is converted once in a session."""
    assert GGUF is not None
    blobs = Blobs(Address(http="http://127.0.0.1:9", socket="", loopback=True), key="k")
    return Models(
        Sources(declared={"smol": GGUF}, cache_dir=tmp_path_factory.mktemp("smol"), blobs=blobs), backend=backend
    )


@pytest.fixture(scope="session")
def smol(smol_models: Models) -> LoadedModel:
    return smol_models.get(ref("smol"), tick=lambda: None)


@pytest.fixture(scope="session")
def smol_oracle(smol: LoadedModel) -> Oracle:
    """Made once in a session: it is 1.6 GB, and fp64 gives each sequence its numbers once."""
    return Oracle.of(smol)


@pytest.fixture
def blob_server() -> Iterator[BlobServer]:
    server = BlobServer()
    yield server
    server.close()


@pytest.fixture
def pool(journal: Journal) -> Iterator[FakePool]:
    result = FakePool(journal)
    yield result
    result.close()


@dataclass
class Room:
    """What one worker process has: its own cache, its own loaded models."""

    backend: Backend
    blobs: Blobs
    models: Models
    cache: Path

    @property
    def teachers(self) -> TeacherCache:
        return TeacherCache(self.cache / "teacher", most_bytes=2**30)

    def trainer(self) -> Trainer:
        engine = Engine(models=self.models, blobs=self.blobs, cache=self.teachers, fingerprint="f" * 64, ranks=Ranks())
        return Trainer(engine)

    def requests(self) -> Requests:
        return Requests(
            backend=self.backend, models=self.models, blobs=self.blobs, cache=self.teachers, fingerprint="f" * 64
        )

    def known(self) -> Known:
        """What this worker's teachers have computed for the project of the tests."""
        return Known(self.teachers.of("proj_1"), "f" * 64)


@pytest.fixture
def blobs(blob_server: BlobServer) -> Iterator[Blobs]:
    client = Blobs(Address(http=f"http://127.0.0.1:{blob_server.port}", socket="", loopback=True), key="k")
    yield client
    client.close()


@pytest.fixture
def new_room(backend: Backend, folders: dict[str, Path], blobs: Blobs, tmp_path: Path) -> Any:
    count = iter(range(100))

    def make(**more: Path) -> Room:
        cache = tmp_path / f"cache-{next(count)}"
        sources = Sources(declared={**folders, **more}, cache_dir=cache, blobs=blobs)
        return Room(backend=backend, blobs=blobs, models=Models(sources, backend=backend), cache=cache)

    return make


@pytest.fixture
def room(new_room: Any) -> Room:
    result: Room = new_room()
    return result


@pytest.fixture
def journal() -> Journal:
    return Journal()


def ref(name: str, *, layers: list[int] | None = None, digest: str | None = None) -> ModelRef:
    return ModelRef.model_validate(
        {
            "model": f"model_{name}",
            "base": {"type": "local", "name": name},
            "layer_indices": layers,
            "weights_digest": digest,
        }
    )


@pytest.fixture
def teacher(room: Room) -> LoadedModel:
    return room.models.get(ref("teacher"), tick=lambda: None)


@pytest.fixture
def student(room: Room) -> LoadedModel:
    return room.models.get(ref("student"), tick=lambda: None)
