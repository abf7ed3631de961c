"""Runs driven by one process or by a group of ranks under torchrun: the same scenarios, the same answers to compare."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import runs
from journal import Journal, from_worker, local_job
from threads import THREADS

from understudy_worker import checkpoints
from understudy_worker.address import Address
from understudy_worker.backend import configure
from understudy_worker.blobs import Blobs
from understudy_worker.distill import Trainer
from understudy_worker.engine import Engine
from understudy_worker.models import Models
from understudy_worker.ranks import Ranks
from understudy_worker.sources import Sources
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.wire import TrainOutput

ROOT = Path(__file__).parents[1]


@dataclass
class Scenario:
    """One run, leased up to each of `stops` in turn; `frames` are what the pool's journal holds before."""

    spec: dict[str, Any]
    stops: list[int]
    changes: dict[str, Any] = field(default_factory=dict)
    frames: list[Any] = field(default_factory=list)


@dataclass
class Driven:
    journal: Journal
    output: TrainOutput

    def losses(self) -> list[float]:
        return [self.journal.steps[n].metrics.loss for n in sorted(self.journal.steps)]

    def frames(self, *, to: int) -> list[Any]:
        """The journal as if the run had reached step `to` and told no more than its first resume state."""
        first = self.journal.resumes[0]
        kept = [frame for frame in self.journal.frames if frame.type != "resume_state" and _step(frame) <= to]
        return [json.loads(frame.model_dump_json(by_alias=True)) for frame in [*kept, first]]


def _step(frame: Any) -> int:
    return int({"step": lambda: frame.n, "samples": lambda: frame.samples.n}.get(frame.type, lambda: 0)())


def drive(trainer: Trainer, scenario: Scenario) -> Driven:
    """As the pool would."""
    journal = read_journal(scenario.frames)
    for index, stop in enumerate(scenario.stops):
        payload = runs.continuing(scenario.spec, journal, to=stop, **scenario.changes)
        output = trainer.run(payload, local_job(journal, payload, job=f"job_{index}", lineage=0))
    return Driven(journal, output)


def read_journal(frames: list[Any]) -> Journal:
    journal = Journal()
    for frame in frames:
        journal.receive(from_worker.validate_json(json.dumps(frame)))
    return journal


@dataclass(frozen=True)
class Site:
    """What every rank is told: where blobs and models are."""

    port: int
    models: dict[str, str]
    cache: str

    def engine(self, *, alone: bool) -> Engine:
        backend = configure(THREADS)
        blobs = Blobs(Address(http=f"http://127.0.0.1:{self.port}", socket="", loopback=True), key="k")
        declared = {name: Path(path) for name, path in self.models.items()}
        models = Models(Sources(declared=declared, cache_dir=Path(self.cache), blobs=blobs), backend=backend)
        ranks = Ranks() if alone else Ranks.join(backend.device)
        cache = TeacherCache(Path(self.cache) / "teacher", most_bytes=2**30)
        return Engine(models=models, blobs=blobs, cache=cache, fingerprint="f" * 64, ranks=ranks)


def torchrun(*program: str, world: int = 2) -> list[str]:
    """The command that starts a group on this machine, on a free port."""
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={world}",
        *program,
    ]


def drive_group(site: Site, scenarios: dict[str, Scenario], folder: Path, *, world: int = 2) -> dict[str, Driven]:
    """Every scenario, in one group of ranks."""
    asked, answered = folder / "asked.json", folder / "answered.json"
    asked.write_text(json.dumps({"site": vars(site), "scenarios": {k: vars(v) for k, v in scenarios.items()}}))
    command = torchrun(str(Path(__file__)), str(asked), str(answered), world=world)
    with subprocess.Popen(command, cwd=ROOT) as group:
        try:
            assert group.wait(300) == 0
        finally:
            group.terminate()  # it ends its ranks
    return {
        name: Driven(read_journal(found["frames"]), TrainOutput.model_validate(found["output"]))
        for name, found in json.loads(answered.read_text()).items()
    }


def main(asked: str, answered: str) -> None:
    """One rank."""
    # every lease stores a resume state after its first step
    checkpoints.RESUME_EVERY_S = checkpoints.UPLOAD_SHARE = 0.0
    given = json.loads(Path(asked).read_text())
    engine = Site(**given["site"]).engine(alone=False)
    if engine.ranks.rank > 0:
        engine.serve()
    else:
        driven = {name: drive(Trainer(engine), Scenario(**one)) for name, one in given["scenarios"].items()}
        told = {
            name: {
                "frames": [json.loads(frame.model_dump_json(by_alias=True)) for frame in one.journal.frames],
                "output": json.loads(one.output.model_dump_json()),
            }
            for name, one in driven.items()
        }
        Path(answered).write_text(json.dumps(told))
    engine.ranks.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
