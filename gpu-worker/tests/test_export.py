"""An export as a job and as a command: its files, its measured difference, its refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal, local_job
from precision import OTHER_RUNTIME, Oracle
from test_scoring import sequences
from transformers import AutoTokenizer

from understudy_worker.edge import difference
from understudy_worker.edge.calibration import rounded_weights
from understudy_worker.edge.difference import Artifact
from understudy_worker.edge.export import export
from understudy_worker.edge.matrices import plain as plain_matrix
from understudy_worker.edge.student import architecture_of
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.models import LoadedModel
from understudy_worker.runner import Runner
from understudy_worker.wire import ExportOutput, FileRef

ROOT = Path(__file__).parents[1]


def nothing(*_: Any, **__: Any) -> None:
    pass


@pytest.fixture
def runner(room: Room) -> Runner:
    return Runner(backend=room.backend, blobs=room.blobs, trainer=room.trainer(), requests=room.requests(), slots=1)


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights are no trained model's: few bits change what they say a lot."""
    monkeypatch.setattr(difference, "ALLOWED", {"fp32": 1e-4, "int8": 1.0, "int4": 20.0})


def payload(name: str, precision: str) -> dict[str, Any]:
    return {"kind": "export", "model": json.loads(ref(name).model_dump_json()), "precision": precision}


def run(runner: Runner, journal: Journal, body: dict[str, Any]) -> Any:
    runner.accept(local_job(journal, body))
    return journal.wait_final("job_1", seconds=120)


def fetched(files: list[FileRef], room: Room, folder: Path) -> Path:
    folder.mkdir()
    for file in files:
        room.blobs.get_file(file, folder / file.name, on_part=nothing)
    return folder


@pytest.mark.parametrize("name", ["student", "gpt2"])
def test_a_job_stores_what_runs_with_the_models_own_numbers(
    runner: Runner, journal: Journal, room: Room, tmp_path: Path, name: str
) -> None:
    done = run(runner, journal, payload(name, "fp32"))
    output = done.output
    assert isinstance(output, ExportOutput)
    names = [file.name for file in output.files]
    assert {"student.onnx", "weights-0.bin", "tokenizer.json", "tokenizer_config.json"} == set(names)
    assert output.difference.mean <= output.difference.allowed == 1e-4
    loaded = room.models.get(ref(name), tick=nothing)
    graph = Artifact(fetched(output.files, room, tmp_path / "export"))
    compared = sequences(5, vocabulary=loaded.config.vocab_size)
    Oracle.of(loaded).assert_as_exact(
        compared, [graph.logprobs(tokens).tolist() for tokens in compared], times=OTHER_RUNTIME
    )
    assert output.model.weights_digest == loaded.weights_digest
    assert (output.model.layers, output.model.hidden_size) == (loaded.config.num_hidden_layers, 32)


def test_the_tokenizers_files_stand_alone(runner: Runner, journal: Journal, room: Room, tmp_path: Path) -> None:
    output = run(runner, journal, payload("student", "fp32")).output
    folder = fetched(output.files, room, tmp_path / "export")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert (config["bos_token"], config["eos_token"]) == ("<|im_start|>", "<|im_end|>")
    assert config["chat_template"] == tiny.CHAT_TEMPLATE
    again = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert again.encode("The capital of France") == tiny.tokenizer().encode("The capital of France")


@pytest.mark.usefixtures("roomy")
@pytest.mark.parametrize("name", ["student", "gpt2"])
def test_fewer_bits_differ_more_and_take_less(room: Room, tmp_path: Path, name: str) -> None:
    loaded = room.models.get(ref(name), tick=nothing)
    means, sizes = [], []
    for precision in ("fp32", "int8", "int4"):
        folder = tmp_path / precision
        folder.mkdir()
        _, found = export(loaded, folder, precision=precision, advance=nothing)
        means.append(found.mean)
        sizes.append(sum(path.stat().st_size for path in folder.glob("weights-*")))
    assert means == sorted(means) and sizes == sorted(sizes, reverse=True)
    assert means[1] < 0.05


@pytest.mark.usefixtures("roomy")
def test_the_same_model_gives_the_same_bits(room: Room, tmp_path: Path) -> None:
    loaded = room.models.get(ref("student"), tick=nothing)
    found = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        export(loaded, folder, precision="int4", advance=nothing)
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert found[0] == found[1]


def test_one_that_differs_too_much_is_refused(
    runner: Runner, journal: Journal, blob_server: BlobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(difference, "ALLOWED", {"int8": 1e-12})
    done = run(runner, journal, payload("student", "int8"))
    assert (done.type, done.code, done.retryable) == ("fail", "export_differs", False)
    assert "nats a token" in done.detail and "export it in fp32" in done.detail
    assert not blob_server.blobs


@pytest.mark.usefixtures("roomy")
def test_a_cancelled_export_stops_and_leaves_nothing(room: Room, journal: Journal, tmp_path: Path) -> None:
    loaded = room.models.get(ref("student"), tick=nothing)
    job = local_job(journal, payload("student", "int8"))

    def advance(*words: Any, done: int | None = None, **counts: Any) -> None:
        if done == 2:
            job.drop()
        job.advance(*words, done=done, **counts)

    with pytest.raises(Abandoned):
        export(loaded, tmp_path, precision="int8", advance=advance)
    assert not list(tmp_path.iterdir())


def test_progress_is_counted(runner: Runner, journal: Journal, monkeypatch: pytest.MonkeyPatch, roomy: None) -> None:
    job = local_job(journal, payload("student", "int8"))
    seen = []
    advance = job.advance

    def watch(*words: Any, **counts: Any) -> None:
        advance(*words, **counts)
        tick = job.progress()
        seen.append((tick.phase, tick.done, tick.total))

    monkeypatch.setattr(job, "advance", watch)
    runner.accept(job)
    assert journal.wait_final("job_1").type == "result"
    assert [("working", done, 3) for done in (1, 2, 3)] == [one for one in dict.fromkeys(seen) if one[0] == "working"][
        -3:
    ]
    assert seen[-1] == ("uploading", 4, 4)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "understudy_worker", "export", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_command_writes_the_same_files(folders: dict[str, Path], student: LoadedModel, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command(f"--model={folders['student']}", "--precision=fp32", f"--out={out}", f"--cache-dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "nats a token" in done.stdout
    record = json.loads((out / "export.json").read_text())
    assert record["model"]["weights_digest"] == student.weights_digest and record["difference"]["mean"] <= 1e-4
    compared, graph = sequences(1, vocabulary=student.config.vocab_size), Artifact(out)
    Oracle.of(student).assert_as_exact(
        compared, [graph.logprobs(tokens).tolist() for tokens in compared], times=OTHER_RUNTIME
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nowhere", "--out", "x"], "neither a folder"),
        (["--model", ".", "--out", "."], "not an empty folder"),
        (["--model", ".", "--precision", "int2", "--out", "x"], "int2"),
    ],
)
def test_bad_arguments_are_told_at_once(arguments: list[str], words: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2 and words in done.stderr


def test_no_prompt_is_too_long_for_a_short_context(room: Room, tmp_path: Path) -> None:
    from understudy_worker.edge.texts import sampled, texts

    loaded = room.models.get(ref("student"), tick=nothing)
    for use in ("rounding", "measuring"):
        assert all(len(tokens) <= 24 and tokens.response for tokens in texts(loaded, use, context=24))
    assert all(len(tokens) <= 24 and tokens.response for tokens in sampled(loaded, context=24, tick=nothing))


def test_what_sequences_begin_with_alike_counts_once(room: Room) -> None:
    loaded = room.models.get(ref("student"), tick=nothing)
    once = sequences(5, vocabulary=loaded.config.vocab_size)
    joints = architecture_of(loaded.model).JOINTS
    found = [
        rounded_weights(loaded.model, texts, joints=joints, precision="int8", progress=nothing)
        for texts in (once, once[:1] * 20 + once)
    ]
    for name in found[0].layers[-1]:
        first, second = (weights.layers[-1][name] for weights in found)
        assert plain_matrix(first).equal(plain_matrix(second)), name


def test_an_unknown_architecture_is_refused_before_any_work(room: Room, tmp_path: Path) -> None:
    loaded = room.models.get(ref("student"), tick=nothing)
    loaded.model.config.hidden_act = "gelu"
    with pytest.raises(WorkerError, match="hidden_act gelu"):
        export(loaded, tmp_path, precision="int4", advance=nothing)
