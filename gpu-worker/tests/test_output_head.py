"""An output matrix read from a folder's files: that of the whole model, or none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from conftest import Room, ref
from safetensors.torch import load_file, save_file
from teachers import NAMES, write_more
from transformers import AutoModelForCausalLM, AutoTokenizer

from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.models import LoadedModel
from understudy_worker.output_head import OutputHead, read_output_head
from understudy_worker.wire import ModelRef

INIT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2}  # fmt: skip


@pytest.fixture(scope="module")
def more(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {**folders, **write_more(tmp_path_factory.mktemp("more"))}


@pytest.fixture
def whole(new_room: Any, more: dict[str, Path]) -> Callable[[str], LoadedModel]:
    def load(name: str) -> LoadedModel:
        loaded: LoadedModel = new_room(**more).models.load(ref(name), tick=nothing)
        return loaded

    return load


@pytest.fixture
def copy(more: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A model's folder that may be spoilt."""
    count = iter(range(1000))

    def made(name: str) -> Path:
        return Path(shutil.copytree(more[name], tmp_path / f"{name}-{next(count)}"))

    return made


def nothing() -> None:
    return None


def read(folder: Path, digest: str, *, tick: Callable[[], None] = nothing) -> OutputHead | None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return read_output_head(folder, tokenizer, digest=digest, device=torch.device("cpu"), tick=tick)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_the_whole_model_has(
    name: str, whole: Callable[[str], LoadedModel], more: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = whole(name)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)  # no weights are loaded through the model
    found = read(more[name], loaded.weights_digest)
    assert found is not None
    ours, theirs = (dict(part.head.linear.named_parameters()) for part in (found, loaded))
    assert ours.keys() == theirs.keys() and ours.keys() <= {"weight", "bias"}
    for part, tensor in ours.items():
        assert torch.equal(tensor, theirs[part]) and tensor.dtype == torch.float32, part
        assert tensor.data_ptr() % 64 == 0, "aligned as a loaded model's"
    states_ND = torch.randn(20, loaded.config.hidden_size)
    assert torch.equal(found.head(states_ND), loaded.head(states_ND)), "the output transform too"
    assert (found.weights_digest, found.tokenizer_digest, found.context_length) == (
        loaded.weights_digest,
        loaded.tokenizer_digest,
        loaded.context_length,
    )


@pytest.mark.parametrize("name", ["teacher", "bias", "gpt2", "untied"])
def test_one_changed_weight_in_any_tensor_is_refused(
    name: str, whole: Callable[[str], LoadedModel], copy: Callable[[str], Path]
) -> None:
    digest = whole(name).weights_digest
    folder = copy(name)
    assert read(folder, digest) is not None
    for file in sorted(folder.glob("*.safetensors")):
        good = load_file(file)
        for tensor_name, tensor in good.items():
            changed = tensor.clone()
            bits = changed.reshape(-1)[-1:].view(torch.int32)
            bits ^= 1
            save_file({**good, tensor_name: changed}, file, metadata={"format": "pt"})
            assert read(folder, digest) is None, tensor_name
        save_file(good, file, metadata={"format": "pt"})
    assert read(folder, digest) is not None, "only the changes were refused"


def test_a_changed_folder_is_then_refused_by_name(
    new_room: Any, whole: Callable[[str], LoadedModel], copy: Callable[[str], Path]
) -> None:
    folder, digest = copy("teacher"), whole("teacher").weights_digest
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] += 1e-6
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    models = new_room(changed=folder).models
    assert models.output_head(ref("changed", digest=digest), tick=nothing) is None
    with pytest.raises(WorkerError, match="register it again") as error:
        models.get(ref("changed", digest=digest), tick=nothing)
    assert error.value.code == "model_digest_mismatch"


def without(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name != "model.norm.weight"}


SPOILT: dict[str, Callable[[Path], object]] = {
    "a tensor is missing": lambda file: save_file(without(load_file(file)), file),
    "a tensor is one too many": lambda file: save_file({**load_file(file), "more": torch.ones(1)}, file),
    "other names": lambda file: save_file({f"x.{name}": part for name, part in load_file(file).items()}, file),
    "another shape": lambda file: save_file({**load_file(file), "model.norm.weight": torch.ones(31)}, file),
    "not safetensors": lambda file: file.write_bytes(b"not safetensors"),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "empty": lambda file: file.write_bytes(b""),
    "absent": lambda file: file.unlink(),
    "no configuration": lambda file: (file.parent / "config.json").unlink(),
    "another kind of model": lambda file: (file.parent / "config.json").write_text('{"model_type": "nonesuch"}'),
    "an index that is none": lambda file: (file.parent / "model.safetensors.index.json").write_text("{"),
    "an index of nothing": lambda file: (file.parent / "model.safetensors.index.json").write_text("{}"),
    "an index of an absent file": lambda file: (file.parent / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"model.norm.weight": "absent.safetensors"}})
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_files_that_tell_too_little_tell_nothing(
    how: str, whole: Callable[[str], LoadedModel], copy: Callable[[str], Path]
) -> None:
    digest = whole("teacher").weights_digest
    folder = copy("teacher")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    SPOILT[how](folder / "model.safetensors")
    assert read_output_head(folder, tokenizer, digest=digest, device=torch.device("cpu"), tick=nothing) is None


def test_models_that_must_be_loaded_to_be_known(room: Room) -> None:
    models = room.models
    digest = models.load(ref("teacher"), tick=nothing).weights_digest
    assert models.output_head(ref("teacher", digest=digest), tick=nothing) is not None
    pruned = models.load(ref("teacher", layers=[0, 3]), tick=nothing).weights_digest
    assert models.output_head(ref("teacher", layers=[0, 3], digest=pruned), tick=nothing) is None
    assert models.output_head(ref("teacher", layers=[0, 3], digest=digest), tick=nothing) is None, (
        "nor as the whole one"
    )
    assert models.output_head(ref("teacher"), tick=nothing) is None, "nobody knows its digest"
    base = {"type": "init", "config": INIT, "tokenizer": {"type": "local", "name": "teacher"}, "seed": 1}
    random = ModelRef.model_validate(
        {"model": "model_random", "base": base, "layer_indices": None, "weights_digest": digest}
    )
    assert models.output_head(random, tick=nothing) is None
    models.get(ref("teacher", digest=digest), tick=nothing)
    assert models.output_head(ref("teacher", digest=digest), tick=nothing) is None, "it is in memory as it is"


def test_verifying_advances_and_can_be_stopped(whole: Callable[[str], LoadedModel], more: dict[str, Path]) -> None:
    loaded = whole("teacher")
    ticks: list[int] = []
    read(more["teacher"], loaded.weights_digest, tick=lambda: ticks.append(1))
    assert len(ticks) == len(list(loaded.model.parameters())), "after each tensor"

    def stop() -> None:
        raise Abandoned("job_1")

    with pytest.raises(Abandoned):
        read(more["teacher"], loaded.weights_digest, tick=stop)


def test_the_layers_are_never_in_memory(whole: Callable[[str], LoadedModel], more: dict[str, Path]) -> None:
    found = read(more["untied"], whole("untied").weights_digest)
    assert found is not None
    (weight,) = found.head.linear.parameters()
    assert weight.device.type == "cpu" and not weight.requires_grad
    assert weight.untyped_storage().nbytes() == weight.numel() * 4, "its own memory, not a view of the file"
    assert found.context_length == tiny.CONTEXT
