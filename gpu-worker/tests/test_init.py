"""A model of random weights: a function of its configuration and seed, and one that trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import runs
import tiny
import torch
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal
from test_distill import train
from transformers import LlamaConfig

from understudy_worker import checkpoints
from understudy_worker.digests import weights_digest
from understudy_worker.errors import WorkerError
from understudy_worker.init import new_model
from understudy_worker.models import facts
from understudy_worker.wire import InitSource, ModelRef

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "max_position_embeddings": 200,
}


def source(*, seed: int = 40, name: str = "teacher", **changes: Any) -> InitSource:
    return InitSource.model_validate(
        {"type": "init", "config": {**SIZES, **changes}, "tokenizer": {"type": "local", "name": name}, "seed": seed}
    )


def model_ref(base: InitSource, *, digest: str | None = None) -> ModelRef:
    said = json.loads(base.model_dump_json())
    return ModelRef.model_validate(
        {"model": "model_new", "base": said, "layer_indices": None, "weights_digest": digest}
    )


def digest_of(folder: Path, **changes: Any) -> str:
    return weights_digest(new_model(folder, source(**changes)))


PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_init import digest_of
from understudy_worker.backend import configure
configure(int(sys.argv[3]))
print(digest_of(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_in_another_process(folders: dict[str, Path], threads: int) -> None:
    command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), str(folders["teacher"]), str(threads)]
    there = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert there.stdout.strip() == digest_of(folders["teacher"])


def test_a_function_of_the_sizes_and_the_seed_alone(folders: dict[str, Path]) -> None:
    folder = folders["teacher"]
    first = digest_of(folder)
    torch.manual_seed(12345)
    torch.randn(7)
    before = torch.get_rng_state()
    assert digest_of(folder) == first, "whatever was drawn before"
    assert torch.equal(torch.get_rng_state(), before), "and what is drawn after does not depend on it"
    assert digest_of(folders["student"]) == first, "of the other model the vocabulary alone counts"
    others = [
        digest_of(folder, **change)
        for change in (
            {"seed": 41},
            {"seed": 2**32 - 1},
            {"num_hidden_layers": 2},
            {"intermediate_size": 104},
            {"tie_word_embeddings": False},
        )
    ]
    assert len({first, *others}) == 6


def test_it_has_the_sizes_asked_for_and_the_vocabulary_of_the_other(room: Room) -> None:
    loaded = room.models.load(model_ref(source()), tick=lambda: None)
    found = facts(loaded, model_ref(source()))
    vocabulary = len(tiny.tokenizer())
    assert (found.architecture, found.layers, found.vocab_size) == ("LlamaForCausalLM", 3, vocabulary)
    assert found.context_length == loaded.context_length == 200
    attention = 2 * 48 * 48 + 2 * 48 * 24
    assert found.parameters == vocabulary * 48 + 3 * (attention + 3 * 48 * 96 + 2 * 48) + 48
    other = room.models.load(ref("teacher"), tick=lambda: None)
    assert loaded.tokenizer_digest == other.tokenizer_digest and loaded.stop_ids == other.stop_ids
    assert loaded.tokenizer.chat_template == other.tokenizer.chat_template
    config = loaded.config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (0, 1, 1)
    untied = room.models.load(model_ref(source(tie_word_embeddings=False)), tick=lambda: None)
    assert untied.parameters == found.parameters + vocabulary * 48


def test_a_vocabulary_larger_than_the_tokenizers_is_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    """Models pad their output matrix: a student is compared row by row with such a teacher."""
    tiny.llama(512, layers=1, seed=1).save_pretrained(tmp_path / "wide")
    model = new_model(tmp_path / "wide", source())
    assert model.get_output_embeddings().weight.shape == (512, 48)


def test_weights_are_drawn_as_the_configuration_says(folders: dict[str, Path]) -> None:
    model = new_model(folders["teacher"], source(hidden_size=96, intermediate_size=256))
    assert not model.training
    for name, weight in model.state_dict().items():
        if weight.dim() == 1:
            assert torch.equal(weight, torch.ones_like(weight)), name
        else:
            # Normal: mean 0, the configuration's deviation, within 6 standard errors.
            deviation, count = LlamaConfig().initializer_range, weight.numel()
            rows = weight[2:] if "embed" in name else weight  # a row of padding may be zero
            assert abs(float(rows.mean())) < 6 * deviation / count**0.5, name
            assert float(rows.std()) == pytest.approx(deviation, rel=6 / (2 * count) ** 0.5), name


def test_a_registered_digest_is_verified(room: Room) -> None:
    loaded = room.models.load(model_ref(source()), tick=lambda: None)
    again = room.models.load(model_ref(source(), digest=loaded.weights_digest), tick=lambda: None)
    assert again.weights_digest == loaded.weights_digest
    with pytest.raises(WorkerError, match="register it again"):
        room.models.load(model_ref(source(seed=1), digest=loaded.weights_digest), tick=lambda: None)


@pytest.fixture
def spec(blob_server: BlobServer) -> dict[str, Any]:
    student = json.loads(model_ref(source(max_position_embeddings=256)).model_dump_json())
    return runs.spec(runs.split_ref(blob_server, runs.rows(10)), student=student)


def test_it_trains_and_resumes_to_the_bit(new_room: Any, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    straight = Journal()
    undisturbed = train(new_room(), straight, runs.payload(spec))
    losses = [straight.steps[n].metrics.loss for n in range(1, 13)]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])

    monkeypatch.setattr(checkpoints, "RESUME_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "UPLOAD_SHARE", 0.0)
    killed = Journal()
    first, second = new_room(), new_room()
    train(first, killed, runs.payload(spec, to=6))
    killed.resumes = [frame for frame in killed.resumes if frame.state.step <= 4][-1:]
    assert killed.resumes
    output = train(second, killed, runs.continuing(spec, killed, to=12), job="job_2")
    assert killed.hashes(1, 12) == straight.hashes(1, 12)
    assert output.state_sha256 == undisturbed.state_sha256
