"""Two ranks do what one does: the same losses, gradients, samples and states, and each reads what the other wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from group import Driven, Scenario, Site, drive, drive_group
from precision import FLOOR_NATS, FullPrecision, distance, gradient_distance, widen
from safetensors.torch import load
from test_step import OBJECTIVES, begun, flat_gradient, spec_of
from transformers import AutoModelForCausalLM

from understudy_worker import checkpoints
from understudy_worker.digests import weights_digest
from understudy_worker.distill import Trainer
from understudy_worker.layout import count, deal, micro_batches, works
from understudy_worker.step import _batch, _means, _plain, _Step
from understudy_worker.stopwatch import Stopwatch
from understudy_worker.wire import PlanEntry, RunSpec, StoredState

STEPS = 20
# Clipping that never clips: the first moment is the gradient, times `1 - beta_1`.
PLAIN = {"learning_rate": 1e-3, "total_steps": STEPS, "warmup_steps": 2, "grad_clip": 1e6}
SMALL_PLAN = [{**runs.PLAN, "micro_batch_tokens": 100, "head_chunk": 7}]
WHOLE_PLAN = PlanEntry.model_validate({**runs.PLAN, "head_chunk": 4096, "share_prefixes": False})


def scenarios(server: BlobServer) -> dict[str, Scenario]:
    def of(name: str, *, plan: list[dict[str, Any]] | None = None, **changes: Any) -> Scenario:
        spec = spec_of(server, name, optimizer=PLAIN, **changes)
        return Scenario(spec, [1, STEPS], {"plan": plan} if plan else {})

    return {
        **{name: of(name) for name in ("dpkd", "dpkd sequence", "minillm", "sft")},
        # the long rows of a batch are alone in theirs: ranks have unequal numbers of micro-batches
        "micro-batches": of("dpkd", plan=SMALL_PLAN, batch_size=7),
        "a batch smaller than the group": Scenario({**of("dpkd", batch_size=1).spec, "plain_text": None}, [1, STEPS]),
        "lora": of("jsd", lora={"rank": 4, "alpha": 8, "targets": ["all-linear"]}, gradient_checkpointing=True),
    }


@pytest.fixture(scope="module")
def server() -> Iterator[BlobServer]:
    result = BlobServer()
    yield result
    result.close()


@pytest.fixture(scope="module")
def asked(server: BlobServer) -> dict[str, Scenario]:
    return scenarios(server)


@pytest.fixture(scope="module")
def site(server: BlobServer, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Site:
    models = {name: str(path) for name, path in folders.items()}
    return Site(server.port, models, str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def two(site: Site, asked: dict[str, Scenario], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Driven]:
    return drive_group(site, asked, tmp_path_factory.mktemp("group"))


@pytest.fixture(scope="module")
def one(site: Site, asked: dict[str, Scenario]) -> Iterator[dict[str, Driven]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "RESUME_EVERY_S", 0.0)
        patch.setattr(checkpoints, "UPLOAD_SHARE", 0.0)
        engine = site.engine(alone=True)
        yield {name: drive(Trainer(engine), scenario) for name, scenario in asked.items()}


def tensors(server: BlobServer, stored: StoredState, name: str = "state.safetensors") -> dict[str, torch.Tensor]:
    (file,) = [file for file in stored.files if file.name == name]
    return load(b"".join(server.content(part.key) for part in file.parts))


def gradient(server: BlobServer, driven: Driven, scenario: Scenario) -> torch.Tensor:
    """Of the first step: what AdamW's first moment holds after it, over `1 - beta_1`."""
    state = tensors(server, driven.journal.resumes[0].state)
    assert driven.journal.resumes[0].state.step == 1
    first, _ = RunSpec.model_validate(scenario.spec).optimizer.betas
    moments = [state[key].flatten() for key in sorted(state) if key.startswith("exp_avg/")]
    return torch.cat(moments).double() / (1 - first)


def exact_first_step(site: Site, scenario: Scenario) -> tuple[float, torch.Tensor]:
    """Loss and gradient of the first step in fp64, in one process and one micro-batch, nothing computed twice."""
    spec = {**scenario.spec, "gradient_checkpointing": False}
    state = begun(Trainer(site.engine(alone=True)), runs.payload(spec))
    widen(state.student.model)
    rows = works(
        state.spec, _batch(state.examples.kept, state.spec, 1), _plain(state, 1), n=1, answers=state.drawn.answers
    )
    step = _Step(state, n=1, counts=count(rows), plan=WHOLE_PLAN, watch=Stopwatch())
    with FullPrecision():
        sums = step.accumulate([micro_batches(share, tokens=None) for share in deal(rows, 1)])
    return _means(sums, count(rows), state.spec)["loss"], flat_gradient(state)


NAMES = ["dpkd", "dpkd sequence", "minillm", "sft", "micro-batches", "a batch smaller than the group", "lora"]


@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_equal_one(
    server: BlobServer,
    site: Site,
    asked: dict[str, Scenario],
    one: dict[str, Driven],
    two: dict[str, Driven],
    name: str,
) -> None:
    alone, group = one[name], two[name]
    loss, exact = exact_first_step(site, asked[name])
    ours, theirs = (gradient(server, driven, asked[name]) for driven in (group, alone))
    gradient_distance(ours, theirs, exact).check("gradient of the first step, relative")
    first, second = group.losses(), alone.losses()
    losses = (torch.tensor([value], dtype=torch.float64) for value in (first[0], second[0], loss))
    distance(*losses, floor=FLOOR_NATS).check("loss of the first step, nats")
    # Rounding grows as AdamW divides by small second moments; another batch would be another loss, in the first digits.
    assert len(first) == STEPS and first == pytest.approx(second, rel=1e-3)
    for n in range(1, STEPS + 1):
        here, there = group.journal.steps[n].metrics, alone.journal.steps[n].metrics
        assert here.tokens == there.tokens
        assert here.grad_norm == pytest.approx(there.grad_norm, rel=1e-2)


@pytest.mark.parametrize("name", ["dpkd sequence", "lora", "micro-batches"])
def test_a_group_reads_what_one_process_wrote_and_the_other_way_round(
    site: Site,
    asked: dict[str, Scenario],
    one: dict[str, Driven],
    handed: dict[str, Driven],
    two: dict[str, Driven],
    name: str,
) -> None:
    """From the resume state after step 1 with the journal at step 1 (hashes hold within one number of ranks)."""
    group = handed[name]
    assert not group.journal.of("mismatch") and len(group.losses()) == STEPS
    assert group.losses() == pytest.approx(one[name].losses(), rel=1e-3)
    alone = drive(Trainer(site.engine(alone=True)), after_first(asked[name], two[name]))
    assert alone.losses() == pytest.approx(two[name].losses(), rel=1e-3)
    # from its own state the very bits
    assert handed[f"{name} again"].journal.hashes(1, STEPS) == two[name].journal.hashes(1, STEPS)
    assert handed[f"{name} again"].output == two[name].output


def after_first(scenario: Scenario, driven: Driven, *, to: int = 1) -> Scenario:
    """Go on from that run's state after step 1, its journal at step `to`."""
    return Scenario(scenario.spec, [STEPS], {**scenario.changes, "checkpoint_at": [STEPS]}, driven.frames(to=to))


@pytest.fixture(scope="module")
def handed(
    site: Site,
    asked: dict[str, Scenario],
    one: dict[str, Driven],
    two: dict[str, Driven],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Driven]:
    """A new group: goes on from one process's states, and replays the other group's run from step 2 to 9."""
    names = ["dpkd sequence", "lora", "micro-batches"]
    given = {name: after_first(asked[name], one[name]) for name in names}
    given |= {f"{name} again": after_first(asked[name], two[name], to=9) for name in names}
    return drive_group(site, given, tmp_path_factory.mktemp("group"))


def test_a_groups_checkpoint_is_an_ordinary_model(
    server: BlobServer, handed: dict[str, Driven], tmp_path: Path
) -> None:
    """Merged weights and the whole adapter, as transformers and peft read them."""
    (stored,) = [frame.state for frame in handed["lora again"].journal.checkpoints]
    for file in stored.files:
        (tmp_path / file.name).write_bytes(b"".join(server.content(part.key) for part in file.parts))
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert weights_digest(model) == stored.sha256
    final = tensors(server, handed["lora again"].journal.checkpoints[-1].state, "lora.safetensors")
    shapes = {name.rpartition("self_attn.")[2]: tuple(tensor.shape) for name, tensor in final.items()}
    assert shapes["q_proj.lora_A.weight"] == (4, 32) and shapes["q_proj.lora_B.weight"] == (32, 4)
    assert all(bool(tensor.abs().max() > 0) for tensor in final.values())


def test_the_cases_are_what_they_say(asked: dict[str, Scenario]) -> None:
    assert list(asked) == NAMES
    assert {"dpkd", "dpkd sequence", "minillm"} <= set(OBJECTIVES)
