"""Adapters, precision and recomputation: what a student trains, in what, and that none of it costs exactness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal, local_job
from peft import PeftModel
from precision import FullPrecision, assert_close, widen
from safetensors.torch import load_file
from test_step import spec_of
from transformers import AutoModelForCausalLM

from understudy_worker import checkpoints
from understudy_worker.digests import own_tensors
from understudy_worker.distill import Trainer
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens, response_states
from understudy_worker.step import RunState
from understudy_worker.student import prepare_student
from understudy_worker.wire import Lora, RunSpec, TrainOutput

LORA = {"rank": 4, "alpha": 8, "targets": ["all-linear"]}
# A learning rate that moves adapters in a few steps.
FAST = {"learning_rate": 0.02, "total_steps": 12, "warmup_steps": 2}
OPTIONS: dict[str, dict[str, Any]] = {
    "lora": {"lora": LORA},
    "bfloat16": {"dtype": "bfloat16"},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "8-bit": {"optimizer": {**FAST, "type": "adamw_8bit"}},
    "all": {
        "lora": LORA,
        "dtype": "bfloat16",
        "gradient_checkpointing": True,
        "optimizer": {**FAST, "type": "adamw_8bit"},
    },
}


def train(trainer: Trainer, journal: Journal, spec: dict[str, Any], *, to: int, **changes: Any) -> TrainOutput:
    payload = runs.continuing(spec, journal, to=to, **changes)
    return trainer.run(payload, local_job(journal, payload, lineage=0))


def state_of(trainer: Trainer) -> RunState:
    return trainer.runs._states[("run_1", 0)]


def losses(journal: Journal) -> list[float]:
    return [journal.steps[n].metrics.loss for n in sorted(journal.steps)]


def student_ref(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ref(name).model_dump_json())
    return found


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("student", ["student", "gpt2"])
def test_an_interrupted_run_ends_in_the_same_bits(
    new_room: Any, blob_server: BlobServer, monkeypatch: pytest.MonkeyPatch, name: str, student: str
) -> None:
    changes = {"optimizer": FAST, "student": student_ref(student), **OPTIONS[name]}
    spec = spec_of(blob_server, "jsd", **changes)
    straight, killed = Journal(), Journal()
    undisturbed = train(new_room().trainer(), straight, spec, to=12)

    monkeypatch.setattr(checkpoints, "RESUME_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "UPLOAD_SHARE", 0.0)
    first = new_room().trainer()
    train(first, killed, spec, to=5)
    train(first, killed, spec, to=8)
    killed.resumes = [frame for frame in killed.resumes if frame.state.step <= 5][-1:]
    resumed = train(new_room().trainer(), killed, spec, to=12)
    assert killed.hashes(1, 12) == straight.hashes(1, 12) and not killed.of("mismatch")
    assert resumed.state_sha256 == undisturbed.state_sha256


@pytest.mark.parametrize("student", ["student", "gpt2"])
def test_only_adapters_train(room: Room, journal: Journal, blob_server: BlobServer, student: str) -> None:
    before = {name: tensor.clone() for name, tensor in own_tensors(room.models.get(_ref(student), tick=_quiet).model)}
    trainer = room.trainer()
    spec = spec_of(blob_server, "dpkd", lora=LORA, optimizer=FAST, student=student_ref(student))
    train(trainer, journal, spec, to=6)
    state = state_of(trainer)
    moved = 0
    for name, tensor in own_tensors(state.student.model):
        plain = name.replace(".base_layer", "")
        if ".lora_" in name:
            assert tensor.requires_grad
            moved += ".lora_B." in name and bool(tensor.abs().max() > 0)
        else:
            assert torch.equal(tensor, before.pop(plain)) and not tensor.requires_grad, name
    assert not before and moved == len(state.student.trainable()) // 2 > 0
    held = {name for name, _ in checkpoints.state_tensors(state)}
    assert held == {
        f"{kind}/{name}" for kind in ("weights", "exp_avg", "exp_avg_sq") for name, _ in state.student.trainable()
    }


def _ref(name: str) -> Any:
    return ref(name)


def _quiet() -> None:
    pass


def files_of(room: Room, journal: Journal, folder: Path) -> Path:
    folder.mkdir()
    for file in journal.checkpoints[-1].state.files:
        room.blobs.get_file(file, folder / file.name, on_part=lambda _: None)
    return folder


@pytest.mark.parametrize("student", ["student", "gpt2"])
def test_a_checkpoint_is_the_merged_model_and_the_adapter_in_pefts_format(
    room: Room, journal: Journal, blob_server: BlobServer, folders: dict[str, Path], tmp_path: Path, student: str
) -> None:
    trainer = room.trainer()
    spec = spec_of(blob_server, "dpkd", lora=LORA, optimizer=FAST, student=student_ref(student))
    train(trainer, journal, spec, to=6, checkpoint_at=[6])
    folder = files_of(room, journal, tmp_path / "checkpoint")
    ids = torch.tensor([[5, 9, 17, 33, 2, 8]])
    with torch.no_grad():
        ours = state_of(trainer).student.model(input_ids=ids, use_cache=False).logits
        untrained = AutoModelForCausalLM.from_pretrained(folders[student])
        assert float((untrained(ids).logits - ours).abs().max()) > 1e-2, "the adapters do something"

        merged = AutoModelForCausalLM.from_pretrained(folder)(ids).logits

        (folder / "lora.safetensors").rename(folder / "adapter_model.safetensors")
        (folder / "lora.json").rename(folder / "adapter_config.json")
        adapted = PeftModel.from_pretrained(untrained, folder)
        theirs = adapted(ids).logits
        widen(adapted)
        with FullPrecision():
            exact = adapted(ids).logits
    assert_close(ours, theirs, exact, what="logits of the run's student")
    assert_close(merged, theirs, exact, what="logits of the merged model")
    assert len(load_file(folder / "adapter_model.safetensors")) == len(state_of(trainer).student.trainable())


@pytest.mark.parametrize("targets", [["nonsense"], ["q_proj", "nonsense"], ["lm_head"], ["embed_tokens"]])
def test_an_unknown_target_is_told_with_those_that_exist(
    room: Room, targets: list[str], blob_server: BlobServer
) -> None:
    spec = spec_of(blob_server, "dpkd", lora={**LORA, "targets": targets})
    with pytest.raises(WorkerError, match=r"down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj$") as error:
        train(room.trainer(), Journal(), spec, to=1)
    assert error.value.code == "invalid_lora" and targets[-1] in str(error.value)


def test_targets_choose_the_modules(room: Room, blob_server: BlobServer) -> None:
    loaded = room.models.load(ref("student"), tick=_quiet)
    body = spec_of(blob_server, "dpkd", lora={**LORA, "targets": ["q_proj", "layers.1.mlp.up_proj"]})
    student = prepare_student(loaded, spec=RunSpec.model_validate_json(json.dumps(body)))
    owners = sorted({name.partition(".lora_")[0] for name, _ in student.trainable()})
    assert owners == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
        "model.layers.1.self_attn.q_proj",
    ]
    assert student.lora == Lora.model_validate(body["lora"])


def test_adapters_begin_at_a_function_of_the_seed_and_change_nothing_yet(room: Room, blob_server: BlobServer) -> None:
    tokens = [Tokens((5, 9, 17, 33, 2, 8), 1)]
    plain = room.models.get(ref("student"), tick=_quiet)
    expected = response_states(plain.model.base_model, tokens)

    def begun(seed: int) -> dict[str, torch.Tensor]:
        loaded = room.models.load(ref("student"), tick=_quiet)
        body = spec_of(blob_server, "dpkd", lora=LORA, seed=seed)
        student = prepare_student(loaded, spec=RunSpec.model_validate_json(json.dumps(body)))
        assert torch.equal(response_states(student.body, tokens), expected)
        return dict(student.trainable())

    one, again, other = begun(1), begun(1), begun(2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_bfloat16_computes_low_and_keeps_high(new_room: Any, blob_server: BlobServer) -> None:
    """Losses of 20 steps within 2% of fp32's; weights, moments and log-probabilities are fp32 throughout, the teacher's
    stored states bfloat16."""
    optimizer = {"learning_rate": 1e-3, "total_steps": 20, "warmup_steps": 2}
    low, high = Journal(), Journal()
    trainer = new_room().trainer()
    train(trainer, low, spec_of(blob_server, "jsd", optimizer=optimizer, dtype="bfloat16"), to=20)
    train(new_room().trainer(), high, spec_of(blob_server, "jsd", optimizer=optimizer), to=20)
    assert losses(low) == pytest.approx(losses(high), rel=0.02)
    assert losses(low) != pytest.approx(losses(high), rel=1e-6), "it did compute in bfloat16"
    state = state_of(trainer)
    assert {tensor.dtype for _, tensor in checkpoints.state_tensors(state)} == {torch.float32}
    assert state.teacher is not None
    entries, hits = state.teacher.entries([example.tokens for example in state.examples.kept[:2]])
    assert hits.misses == 0, "what training reads"
    assert all(entry.states_ND.dtype == torch.bfloat16 for entry in entries)
    assert all(entry.logsumexp_N.dtype == torch.float32 for entry in entries)


@pytest.mark.parametrize("more", [{}, {"dtype": "bfloat16"}, {"lora": LORA}, {"lora": LORA, "dtype": "bfloat16"}])
@pytest.mark.parametrize("student", ["student", "gpt2"])
def test_recomputing_layers_changes_no_bit(
    new_room: Any, blob_server: BlobServer, more: dict[str, Any], student: str
) -> None:
    """gpt2 has dropout: the recomputed layer drops the same."""
    told, passes = [], []
    for checkpointing in (False, True):
        options = {"optimizer": FAST, "student": student_ref(student), "gradient_checkpointing": checkpointing, **more}
        spec, journal, trainer = spec_of(blob_server, "dpkd", **options), Journal(), new_room().trainer()
        train(trainer, journal, spec, to=1)
        counted: list[int] = []
        (mlp,) = [part for name, part in state_of(trainer).student.model.named_modules() if name.endswith(".0.mlp")]
        mlp.register_forward_pre_hook(lambda *_, counted=counted: counted.append(1))  # recomputing ends within it
        output = train(trainer, journal, spec, to=12)
        told.append((losses(journal), [journal.steps[n].metrics.grad_norm for n in range(1, 13)], output.state_sha256))
        passes.append(len(counted))
    assert told[0] == told[1]
    assert passes == [11, 22]
