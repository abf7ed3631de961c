"""The output matrix without its layers: read from the files alone, or the model is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from conftest import ref
from precision import Oracle, assert_close
from safetensors.torch import load_file, save_file
from teachers import NAMES, SEQUENCES, Teachers, write_more
from transformers import AutoModelForCausalLM

from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.models import Models
from understudy_worker.teacher import Hits, TeacherChunk


@pytest.fixture(scope="module")
def more(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {**folders, **write_more(tmp_path_factory.mktemp("more"))}


@pytest.fixture
def frozen(new_room: Any, more: dict[str, Path]) -> Teachers:
    return Teachers(new_room, more)


@pytest.fixture
def no_layers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, loading a model's layers is an error."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the layers were loaded")

    return lambda: monkeypatch.setattr(Models, "load", refuse)


@pytest.mark.parametrize("name", NAMES)
def test_warm_no_layer_is_loaded(name: str, frozen: Teachers, no_layers: Callable[[], None]) -> None:
    before = frozen(name)
    cold, _ = before.entries(SEQUENCES)
    no_layers()
    warm = frozen(name)
    entries, hits = warm.entries(SEQUENCES)
    assert hits == Hits(4, 0)
    one, other = TeacherChunk.of(cold, before.head), TeacherChunk.of(entries, warm.head)
    assert torch.equal(one.logits(), other.logits()) and torch.equal(one.states_ND, other.states_ND)
    assert (warm.tokenizer_digest, warm.context_length) == (before.tokenizer_digest, tiny.CONTEXT)
    with pytest.raises(AssertionError, match="layers"):
        warm.entries([Tokens(ids=(9, 9, 9), prompt_length=1)])


def test_once_loaded_there_is_one_output_matrix(frozen: Teachers) -> None:
    teacher = frozen()
    alone = teacher.head
    teacher.entries(SEQUENCES)
    assert teacher.head is not alone and torch.equal(teacher.head.linear.weight, alone.linear.weight)


def test_where_the_files_tell_too_little_the_model_is_loaded(
    frozen: Teachers, more: dict[str, Path], tmp_path: Path
) -> None:
    """A digest that is not known, a pruned model, files with other names than the model's: exact all the same."""
    renamed = tmp_path / "renamed"
    AutoModelForCausalLM.from_pretrained(more["gpt2"]).save_pretrained(renamed)
    tiny.tokenizer().save_pretrained(renamed)
    file = renamed / "model.safetensors"
    names = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
    save_file(names, file, metadata={"format": "pt"})  # as the Hub's own GPT-2 is
    for model, name in [
        (ref("gpt2"), "gpt2"),
        (ref("teacher", layers=[0, 3]), None),
        (ref("renamed", digest=frozen.digest("gpt2")), "gpt2"),
    ]:
        teacher = frozen(folders={"renamed": renamed}, model=model, cache=tmp_path / "cache" / model.model)
        assert teacher._loaded is not None
        entries, hits = teacher.entries(SEQUENCES[:1])
        assert hits == Hits(0, 1)
        if name:
            ours = TeacherChunk.of(entries, teacher.head).logits()
            assert_close(ours, *Oracle.of(more[name]).logits(SEQUENCES[:1]), what="logits")


def test_other_weights_than_registered_are_refused(frozen: Teachers, more: dict[str, Path]) -> None:
    with pytest.raises(WorkerError, match="register it again") as error:
        frozen(model=ref("teacher", digest="0" * 64))
    assert error.value.code == "model_digest_mismatch"


def test_a_folder_that_cannot_be_read_says_so(frozen: Teachers, more: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    AutoModelForCausalLM.from_pretrained(more["gpt2"]).save_pretrained(broken)
    tiny.tokenizer().save_pretrained(broken)
    (broken / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(WorkerError) as error:
        frozen(folders={"broken": broken}, model=ref("broken", digest="0" * 64))
    assert error.value.code == "model_invalid"


def test_the_same_weights_under_another_configuration_are_another_teacher(
    frozen: Teachers, more: dict[str, Path], tmp_path: Path
) -> None:
    uncapped = tmp_path / "uncapped"
    model = AutoModelForCausalLM.from_pretrained(more["softcap"])
    model.save_pretrained(uncapped)
    tiny.tokenizer().save_pretrained(uncapped)
    config = json.loads((uncapped / "config.json").read_text())
    (uncapped / "config.json").write_text(json.dumps({**config, "final_logit_softcapping": None}))
    capped = frozen("softcap", cache=tmp_path / "cache")
    capped.entries(SEQUENCES)
    same = ref("uncapped", digest=frozen.digest("softcap"))
    other = frozen(folders={"uncapped": uncapped}, model=same, cache=tmp_path / "cache")
    entries, hits = other.entries(SEQUENCES)
    assert hits == Hits(0, 4)
    ours = TeacherChunk.of(entries[:1], other.head).logits()
    assert_close(ours, *Oracle.of(uncapped).logits(SEQUENCES[:1]), what="logits")
