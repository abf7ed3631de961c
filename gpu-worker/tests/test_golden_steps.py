"""The bits of training stay as they are, or `backend.ENGINE` is raised.

`golden_steps.json` has, of the present engine, loss and gradient norm of a few steps, and their hashes by fingerprint.
Where the fingerprint is known every bit must be the same; elsewhere the numbers, to what rounding may change.
UNDERSTUDY_GOLDEN=write adds this machine's; after ENGINE was raised it begins anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import runs
from blob_server import BlobServer
from conftest import Room
from journal import Journal, local_job
from test_step import spec_of

from understudy_worker.backend import ENGINE, fingerprint

FILE = Path(__file__).with_name("golden_steps.json")
STEPS = 3
# Rounding moves these numbers by less, and any other batch, order, seed or formula by more.
TOLERANCE = 1e-4
APART = {**runs.PLAN, "share_prefixes": False}
SMALL = {**runs.PLAN, "micro_batch_tokens": 100, "head_chunk": 7}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sft": ("sft", {}, runs.PLAN),
    "dpkd": ("dpkd", {}, runs.PLAN),
    "dpkd, nothing shared": ("dpkd", {}, APART),
    "dpkd, micro-batches": ("dpkd", {}, SMALL),
    "dpkd sequence": ("dpkd sequence", {}, runs.PLAN),
    "jsd, lora": ("jsd", {"lora": {"rank": 4, "alpha": 8, "targets": ["all-linear"]}}, runs.PLAN),
}


def written() -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"engine": None}
    return golden if golden["engine"] == ENGINE else {"engine": ENGINE, "numbers": {}, "hashes": {}}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_this_engine(room: Room, blob_server: BlobServer, name: str) -> None:
    objective, changes, plan = CASES[name]
    payload = runs.payload(spec_of(blob_server, objective, **changes), to=STEPS, plan=[plan])
    journal = Journal()
    room.trainer().run(payload, local_job(journal, payload, lineage=0))
    steps = [journal.steps[n] for n in range(1, STEPS + 1)]
    numbers = [[step.metrics.loss, step.metrics.grad_norm] for step in steps]
    hashes, digest = [step.hash for step in steps], fingerprint(room.backend).digest
    golden = written()
    if os.environ.get("UNDERSTUDY_GOLDEN") == "write":
        golden["numbers"].setdefault(name, numbers)
        golden["hashes"].setdefault(digest, {})[name] = hashes
        FILE.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    moved = (
        f"engine {ENGINE} computes other steps than it did: raise ENGINE in backend.py, then UNDERSTUDY_GOLDEN=write"
    )
    for ours, theirs in zip(numbers, golden["numbers"][name], strict=True):
        assert ours == pytest.approx(theirs, rel=TOLERANCE), moved
    if digest in golden["hashes"]:
        assert hashes == golden["hashes"][digest][name], moved
