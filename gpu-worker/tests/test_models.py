"""Loading, digests and pruning, on real folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from blob_server import BlobServer
from conftest import Room, ref
from transformers import AutoModelForCausalLM

from understudy_worker import sources as sources_module
from understudy_worker.blobs import Blobs
from understudy_worker.digests import own_tensors, template_digest, tokenizer_digest, weights_digest
from understudy_worker.errors import Refused, WorkerError
from understudy_worker.models import facts
from understudy_worker.wire import ModelRef


def nothing() -> None:
    return None


def kept_layers(depth: int, keep: int) -> list[int]:
    """The pool's formula: floor(i (L - 1) / (k - 1) + 0.5)."""
    return [0] if keep == 1 else [int(i * (depth - 1) / (keep - 1) + 0.5) for i in range(keep)]


def test_the_pruning_formula_keeps_both_ends() -> None:
    assert kept_layers(30, 15) == [0, 2, 4, 6, 8, 10, 12, 15, 17, 19, 21, 23, 25, 27, 29]
    assert kept_layers(4, 2) == [0, 3] and kept_layers(4, 4) == [0, 1, 2, 3]


def test_facts(room: Room) -> None:
    loaded = room.models.get(ref("teacher"), tick=nothing)
    found = facts(loaded, ref("teacher"))
    assert (found.architecture, found.layers, found.context_length) == ("LlamaForCausalLM", 4, tiny.CONTEXT)
    assert found.parameters == sum(p.numel() for p in loaded.model.parameters())
    assert loaded.end_id == loaded.tokenizer.eos_token_id and loaded.stop_ids == {1}
    assert all(p.dtype == torch.float32 and p.data_ptr() % 64 == 0 for p in loaded.model.parameters())
    assert not loaded.model.training


@pytest.mark.parametrize(("name", "keep"), [("teacher", [0, 3]), ("teacher", [1, 2, 3]), ("gpt2", [0, 2])])
def test_pruning_equals_a_model_built_of_those_layers(
    room: Room, folders: dict[str, Path], name: str, keep: list[int]
) -> None:
    pruned = room.models.get(ref(name, layers=keep), tick=nothing).model
    assert pruned.config.num_hidden_layers == len(keep)
    config = AutoModelForCausalLM.from_pretrained(folders[name]).config
    config.num_hidden_layers = len(keep)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[index] for index in keep]
    built = AutoModelForCausalLM.from_config(config).eval()
    mark = "model.layers." if name == "teacher" else "transformer.h."
    weights = AutoModelForCausalLM.from_pretrained(folders[name]).state_dict()
    renamed = {}
    for key, tensor in weights.items():
        if not key.startswith(mark):
            renamed[key] = tensor
        elif int(key.removeprefix(mark).split(".")[0]) in keep:
            old, rest = key.removeprefix(mark).split(".", 1)
            renamed[f"{mark}{keep.index(int(old))}.{rest}"] = tensor
    built.load_state_dict(renamed)
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.equal(pruned(input_ids=ids).logits, built(input_ids=ids).logits)
        # The cache's layer numbers follow: generation is where a wrong one shows.
        ours = pruned.generate(ids, do_sample=False, max_new_tokens=8)
        theirs = built.generate(ids, do_sample=False, max_new_tokens=8)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("layers", [[0, 9], [2, 1], [1, 1]])
def test_wrong_layers_are_refused(room: Room, layers: list[int]) -> None:
    with pytest.raises(WorkerError) as error:
        room.models.get(ref("teacher", layers=layers), tick=nothing)
    assert error.value.code == "invalid_layers"


def test_digests_survive_saving_and_see_a_change(room: Room, new_room: Any, tmp_path: Path) -> None:
    loaded = room.models.load(ref("teacher"), tick=nothing)
    loaded.model.save_pretrained(tmp_path / "copy", max_shard_size="20KB")
    loaded.tokenizer.save_pretrained(tmp_path / "copy")
    assert len(list((tmp_path / "copy").glob("*.safetensors"))) > 1
    copy = new_room(copy=tmp_path / "copy").models.get(ref("copy"), tick=nothing)
    assert copy.weights_digest == loaded.weights_digest
    assert copy.tokenizer_digest == loaded.tokenizer_digest
    assert template_digest(copy.tokenizer) == template_digest(loaded.tokenizer)
    with torch.no_grad():
        loaded.model.get_input_embeddings().weight[0, 0] += 1e-6
    assert weights_digest(loaded.model) != copy.weights_digest


def test_a_tied_tensor_counts_once(room: Room) -> None:
    names = [name for name, _ in own_tensors(room.models.get(ref("teacher"), tick=nothing).model)]
    assert "model.embed_tokens.weight" in names and "lm_head.weight" not in names
    assert len(names) == len(set(names))


def test_tokenizer_and_template_digests_see_what_matters() -> None:
    plain, other = tiny.tokenizer(), tiny.tokenizer()
    assert tokenizer_digest(plain) == tokenizer_digest(other) and template_digest(plain) == template_digest(other)
    other.add_tokens(["<new>"])
    assert tokenizer_digest(plain) != tokenizer_digest(other)
    other.chat_template = str(other.chat_template).replace("helpful", "terse")
    assert template_digest(plain) != template_digest(other)


def test_a_digest_that_differs_is_refused(room: Room) -> None:
    good = room.models.get(ref("teacher"), tick=nothing).weights_digest
    room.models.get(ref("teacher", digest=good), tick=nothing)
    with pytest.raises(WorkerError) as error:
        room.models.get(ref("teacher", digest="0" * 64), tick=nothing)
    assert error.value.code == "model_digest_mismatch"


def test_an_undeclared_name_is_for_another_worker(room: Room) -> None:
    with pytest.raises(Refused, match="--models other=PATH") as error:
        room.models.get(ref("other"), tick=nothing)
    assert not error.value.retryable


def test_broken_folders_say_what_is_wrong(new_room: Any, folders: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    pickled = tmp_path / "pickled"
    shutil.copytree(folders["student"], pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    halved = tmp_path / "halved"
    shutil.copytree(folders["student"], halved)
    config = json.loads((halved / "config.json").read_text())
    (halved / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4, "layer_types": None}))
    models = new_room(empty=empty, pickled=pickled, halved=halved).models
    for name, words in (("empty", "cannot be loaded"), ("pickled", "cannot be loaded"), ("halved", "missing")):
        with pytest.raises(WorkerError, match=words) as error:
            models.get(ref(name), tick=nothing)
        assert error.value.code == "model_invalid"
        assert str(tmp_path) not in str(error.value)


def test_the_cache_is_bounded_and_shared(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    first = room.models.get(ref("teacher"), tick=nothing)
    assert room.models.get(ref("teacher"), tick=nothing) is first
    monkeypatch.setattr(type(room.backend), "memory_bytes", lambda _: 1)
    room.models.get(ref("student"), tick=nothing)
    assert len(room.models._kept) == 1
    assert room.models.get(ref("teacher"), tick=nothing) is not first


def files_ref(blobs: Blobs, folder: Path) -> ModelRef:
    files = [
        json.loads(blobs.put_file(path, owner="run_1", fence=1, on_part=lambda _: None).model_dump_json())
        for path in sorted(folder.iterdir())
    ]
    base = {"type": "files", "files": files}
    return ModelRef.model_validate_json(
        json.dumps({"model": "run_1@1", "base": base, "layer_indices": None, "weights_digest": None})
    )


def test_files_are_fetched_once_and_verified(room: Room, folders: dict[str, Path], blob_server: BlobServer) -> None:
    stored = files_ref(room.blobs, folders["student"])
    blob_server.corrupt = True
    with pytest.raises(WorkerError) as error:
        room.models.get(stored, tick=nothing)
    assert error.value.code == "blob_corrupt"
    assert list((room.cache / "files").iterdir()) == [], "an interrupted download leaves nothing behind"
    blob_server.corrupt = False
    loaded = room.models.get(stored, tick=nothing)
    assert loaded.weights_digest == room.models.get(ref("student"), tick=nothing).weights_digest
    reads = blob_server.reads
    room.models.load(stored, tick=nothing)
    assert blob_server.reads == reads


def test_an_interrupted_conversion_leaves_nothing(
    new_room: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF not really")
    room = new_room(broken=broken)

    def interrupted(path: Path, folder: Path, **_: Any) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(sources_module, "_convert_gguf", interrupted)
    with pytest.raises(KeyboardInterrupt):
        room.models.get(ref("broken"), tick=nothing)
    assert list((room.cache / "gguf").iterdir()) == []
    monkeypatch.undo()
    with pytest.raises(WorkerError) as error:
        room.models.get(ref("broken"), tick=nothing)
    assert error.value.code == "model_invalid"
