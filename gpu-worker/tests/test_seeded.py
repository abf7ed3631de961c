"""Jobs side by side on one worker: none of them disturbs what another draws."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal
from test_init import model_ref, source
from test_step import spec_of
from test_student import FAST, LORA, student_ref, train

from understudy_worker.seeded import seeded

# gpt2 has dropout.
RUNS: list[dict[str, Any]] = [
    {"student": student_ref("gpt2")},
    {"student": student_ref("gpt2"), "lora": LORA, "gradient_checkpointing": True, "seed": 2},
]


def run(room: Any, server: BlobServer, changes: dict[str, Any]) -> list[str]:
    journal = Journal()
    train(room.trainer(), journal, spec_of(server, "dpkd", optimizer=FAST, **changes), to=12)
    return journal.hashes(1, 12)


def test_runs_side_by_side_take_the_steps_they_take_alone(new_room: Any, blob_server: BlobServer) -> None:
    alone = [run(new_room(), blob_server, changes) for changes in RUNS]
    room = new_room()
    with ThreadPoolExecutor(3) as threads:
        begun = [threads.submit(run, room, blob_server, changes) for changes in RUNS]
        while not all(future.done() for future in begun):
            room.models.load(model_ref(source()), tick=lambda: None)
    assert [future.result() for future in begun] == alone


def test_models_loaded_side_by_side_are_whole(room: Room) -> None:
    """transformers patches its own classes as it loads; two loads at once left tied output matrices out."""
    names = ["teacher", "gpt2", "student"]
    expected = {name: room.models.load(ref(name), tick=lambda: None).weights_digest for name in names}
    with ThreadPoolExecutor(4) as threads:
        loads = [(name, threads.submit(room.models.load, ref(name), tick=lambda: None)) for name in names * 8]
    assert all(future.result().weights_digest == expected[name] for name, future in loads)


def test_numbers_are_a_function_of_the_label() -> None:
    def drawn(label: str) -> list[float]:
        with seeded(label):
            result: list[float] = torch.rand(4).tolist()
        return result

    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = drawn("dropout:1:1:row-1")
    assert torch.equal(torch.get_rng_state(), before), "and go on behind it"
    torch.rand(3)
    assert drawn("dropout:1:1:row-1") == one != drawn("dropout:1:2:row-1")
