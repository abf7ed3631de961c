"""The frozen teacher: exact, computed once, the same bits however its work is come by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from conftest import ref
from precision import Oracle, assert_close, distance, ulps
from teachers import NAMES, SEQUENCES, Teachers, rows_keep_their_bits, stored, write_more
from transformers import AutoModelForCausalLM

from understudy_worker import teacher as teacher_module
from understudy_worker.forward import Tokens
from understudy_worker.objectives.terms import DenseTeacher, TeacherRows
from understudy_worker.teacher import Hits, TeacherChunk
from understudy_worker.teacher_cache import TeacherCache


@pytest.fixture(scope="module")
def more(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {**folders, **write_more(tmp_path_factory.mktemp("more"))}


@pytest.fixture
def frozen(new_room: Any, more: dict[str, Path]) -> Teachers:
    return Teachers(new_room, more)


@pytest.mark.parametrize("name", NAMES)
def test_exact_against_transformers(name: str, frozen: Teachers, more: dict[str, Path]) -> None:
    teacher, oracle = frozen(name), Oracle.of(more[name])
    entries, _ = teacher.entries(SEQUENCES)
    chunk: TeacherRows = TeacherChunk.of(entries, teacher.head)
    peer_NV, exact_NV = oracle.logits(SEQUENCES)
    assert exact_NV.std() > 0.1, "a teacher with opinions"
    ours_NV = chunk.logits()
    assert ours_NV.dtype == torch.float32 and chunk.logsumexp_N.dtype == torch.float32
    assert_close(ours_NV, peer_NV, exact_NV, what="logits")
    assert_close(chunk.logsumexp_N, peer_NV.logsumexp(dim=1), exact_NV.logsumexp(dim=1), what="log-sum-exp")
    ours_N, theirs_N = (
        (logits_NV.double() - logsumexp_N.double()[:, None]).exp().sum(dim=1)
        for logits_NV, logsumexp_N in ((ours_NV, chunk.logsumexp_N), (peer_NV, peer_NV.logsumexp(dim=1)))
    )
    distance(ours_N, theirs_N, torch.ones_like(ours_N), floor=ulps(exact_NV)).check("sums of probabilities")
    clear_N = oracle.clear(SEQUENCES)
    assert clear_N.double().mean() >= 0.9
    assert torch.equal(chunk.argmax_N[clear_N], exact_NV.argmax(dim=1)[clear_N])
    ids_NK = torch.stack([exact_NV.argmax(dim=1), torch.arange(len(exact_NV)) % exact_NV.shape[1]], dim=1)
    ours_NK = chunk.logits_at(ids_NK) - chunk.logsumexp_N[:, None]
    assert ours_NK.dtype == torch.float32
    oracle.assert_at(SEQUENCES, ids_NK, ours_NK)


def test_a_chunk_is_the_rows_of_the_whole(frozen: Teachers, more: dict[str, Path]) -> None:
    teacher = frozen("bias")
    whole = TeacherChunk.of(teacher.entries(SEQUENCES)[0], teacher.head)
    peer_NV, exact_NV = Oracle.of(more["bias"]).logits(SEQUENCES)
    for some in (slice(30, 70), slice(3, 4)):
        rows, part = torch.arange(some.stop - some.start)[:, None], whole[some]
        if rows_keep_their_bits(teacher.head, whole.states_ND, some):
            assert torch.equal(part.logits(), whole.logits()[some]), "a row alone would take another kernel"
        assert_close(part.logits(), peer_NV[some], exact_NV[some], what="logits of some rows")
        theirs_NK, exact_NK = (logits_NV[some].gather(1, rows) for logits_NV in (peer_NV, exact_NV))
        floor = ulps(exact_NV)
        distance(part.logits_at(rows), theirs_NK, exact_NK, floor=floor).check("some logits of some rows")
    some = slice(30, 70)
    assert torch.equal(whole[some].argmax_N, whole.argmax_N[some])
    assert torch.equal(whole[some].logsumexp_N, whole.logsumexp_N[some])
    assert (
        not whole.logits().requires_grad
        and not whole.logits_at(torch.zeros(len(whole.argmax_N), 1).long()).requires_grad
    )


def test_ties_go_to_the_lowest_id(frozen: Teachers, more: dict[str, Path], tmp_path: Path) -> None:
    """Two ids of one output row: the later is never the first choice."""
    teacher = frozen("untied")
    favourite = int(teacher.entries(SEQUENCES)[0][0].argmax_N[0])
    twin = favourite + 1 if favourite + 1 < teacher.head.linear.weight.shape[0] else favourite - 1
    model = AutoModelForCausalLM.from_pretrained(more["untied"])
    with torch.no_grad():
        model.lm_head.weight[twin] = model.lm_head.weight[favourite]
    model.save_pretrained(tmp_path / "twins")
    tiny.tokenizer().save_pretrained(tmp_path / "twins")
    twins = frozen(folders={"twins": tmp_path / "twins"}, model=ref("twins"))
    entry = twins.entries(SEQUENCES)[0][0]
    assert int(entry.argmax_N[0]) == min(favourite, twin)
    dense = DenseTeacher(TeacherChunk.of([entry], twins.head).logits())
    assert torch.equal(entry.argmax_N.long(), dense.argmax_N)


def test_the_first_ask_computes_and_the_next_reads(frozen: Teachers, tmp_path: Path) -> None:
    teacher = frozen()
    cold, first = teacher.entries([*SEQUENCES, SEQUENCES[0]])
    warm, second = teacher.entries(SEQUENCES)
    assert (first, second) == (Hits(0, 4), Hits(4, 0)), "a sequence that comes twice is computed once"
    assert torch.equal(cold[4].states_ND, cold[0].states_ND)
    for one, other in zip(cold, warm, strict=False):
        assert torch.equal(one.states_ND, other.states_ND) and torch.equal(one.logsumexp_N, other.logsumexp_N)
        assert torch.equal(one.argmax_N, other.argmax_N)
    assert Hits(1, 2) + Hits(3, 4) == Hits(4, 6)


PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from conftest import ref
from teachers import SEQUENCES
from threads import THREADS
from understudy_worker.backend import configure
from understudy_worker.models import Models
from understudy_worker.sources import Sources
from understudy_worker.teacher import FrozenTeacher
from understudy_worker.teacher_cache import TeacherCache

place = Path(sys.argv[3])
models = Models(Sources(declared={"teacher": Path(sys.argv[2])}, cache_dir=place / "models", blobs=None),
                backend=configure(THREADS))
teacher = FrozenTeacher(ref("teacher"), models=models, cache=TeacherCache(place / "teacher", most_bytes=2**30),
                        shared=None, dtype=sys.argv[4], fingerprint="f" * 64, tick=lambda: None)
for tokens in reversed(SEQUENCES):
    teacher.entries([tokens])
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bits_depend_on_the_key_alone(dtype: str, frozen: Teachers, more: dict[str, Path], tmp_path: Path) -> None:
    """Alone, together, in another order, after other work, in another process: the same files."""
    together, alone = tmp_path / "together", tmp_path / "alone"
    frozen(cache=together, dtype=dtype).entries(SEQUENCES)
    for tokens in (SEQUENCES[2], SEQUENCES[0], SEQUENCES[3], SEQUENCES[1]):
        busy = frozen(cache=alone, dtype=dtype)
        busy._cache = TeacherCache(tmp_path / "other", most_bytes=2**30)
        busy.entries([Tokens(ids=tuple(range(2, 33)), prompt_length=1)])
        busy._cache = TeacherCache(alone, most_bytes=2**30)
        busy.entries([tokens])
    elsewhere = tmp_path / "elsewhere"
    command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), str(more["teacher"]), str(elsewhere), dtype]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    assert len(stored(together)) == 4
    assert stored(alone) == stored(together) == stored(elsewhere / "teacher")


def test_bits_do_not_depend_on_the_chunks_of_the_head(
    frozen: Teachers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen(cache=tmp_path / "whole").entries(SEQUENCES)
    for size in (1, 5, 33):
        monkeypatch.setattr(teacher_module, "HEAD_CHUNK", size)
        frozen(cache=tmp_path / str(size)).entries(SEQUENCES)
        assert stored(tmp_path / str(size)) == stored(tmp_path / "whole")


def test_a_damaged_entry_is_computed_again(frozen: Teachers, tmp_path: Path) -> None:
    frozen(cache=tmp_path).entries(SEQUENCES)
    good = stored(tmp_path)
    for number, path in enumerate(sorted(tmp_path.glob("??/*"))):
        data = bytearray(path.read_bytes())
        data[number * 100] ^= 4
        path.write_bytes(data if number else data[:-1])
    _, hits = frozen(cache=tmp_path).entries(SEQUENCES)
    assert hits == Hits(0, 4) and stored(tmp_path) == good


def test_bf16_states_and_fp32_ever_after(frozen: Teachers, more: dict[str, Path]) -> None:
    """Half the bytes; inside the student's autocast too, any two ways to a log-probability agree."""
    teacher = frozen("bias", dtype="bfloat16")
    entries, _ = teacher.entries(SEQUENCES)
    chunk = TeacherChunk.of(entries, teacher.head)
    assert chunk.states_ND.dtype == torch.bfloat16
    outside_NV = chunk.logits()
    ids_NK = torch.stack([chunk.argmax_N, torch.arange(len(chunk.argmax_N))], dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(chunk.logits(), outside_NV)
        at_NK = chunk.logits_at(ids_NK)
    with torch.no_grad():
        linear: Any = teacher.head.linear
        formula, exact_states_ND = torch.nn.functional.linear, chunk.states_ND.double()
        peer_NV = formula(chunk.states_ND.float(), linear.weight, linear.bias)
        exact_NV = formula(exact_states_ND, linear.weight.double(), linear.bias.double())
    assert_close(outside_NV, peer_NV, exact_NV, what="logits of the stored states")
    assert_close(at_NK, peer_NV.gather(1, ids_NK), exact_NV.gather(1, ids_NK), what="some logits of them")
    assert_close(chunk.logsumexp_N, peer_NV.logsumexp(dim=1), exact_NV.logsumexp(dim=1), what="log-sum-exp of them")
    _, full_NV = Oracle.of(more["bias"]).logprobs(SEQUENCES)
    half_NV = torch.cat([half_logits(more["bias"], tokens) for tokens in SEQUENCES]).log_softmax(dim=1)
    ours_NV = outside_NV.log_softmax(dim=1)
    assert (ours_NV - full_NV).abs().max() < 0.2, "rounding of bf16, no more"
    assert (ours_NV - full_NV).abs().mean() <= (half_NV - full_NV).abs().mean(), "and less than transformers' own"


@torch.inference_mode()
def half_logits(folder: Path, tokens: Tokens) -> torch.Tensor:
    """logits_NV that transformers itself gives in bf16."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    logits: torch.Tensor = model(input_ids=torch.tensor([tokens.ids]), use_cache=False).logits
    return logits[0, tokens.prompt_length - 1 : -1].float()
