"""The optimizer: its schedule, its groups, and moments of a byte a value."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from blob_server import BlobServer
from conftest import Room
from hypothesis import given, settings
from hypothesis import strategies as st
from journal import Journal
from test_step import spec_of
from test_student import losses, state_of, train
from torch import Tensor

from understudy_worker.checkpoints import state_tensors
from understudy_worker.optimizer import learning_rate
from understudy_worker.optimizer_8bit import BLOCK, LEAST_VALUES, AdamW8bit, code, dequantise, quantise
from understudy_worker.wire import Optimizer

# Large enough that its matrices' moments are coded.
WIDE = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
}
THIRTY = {"learning_rate": 1e-3, "total_steps": 30, "warmup_steps": 3}


def wide() -> dict[str, Any]:
    base = {"type": "init", "config": WIDE, "tokenizer": {"type": "local", "name": "student"}, "seed": 7}
    return {"model": "model_wide", "base": base, "layer_indices": None, "weights_digest": None}


def run_of(room: Room, server: BlobServer, kind: str) -> tuple[Any, list[float]]:
    journal, trainer = Journal(), room.trainer()
    train(trainer, journal, spec_of(server, "jsd", student=wide(), optimizer={**THIRTY, "type": kind}), to=30)
    return state_of(trainer), losses(journal)


def test_thirty_steps_of_8_bit_moments_follow_fp32(new_room: Any, blob_server: BlobServer) -> None:
    """Each loss within 2%, the weights' path within a tenth of its length, a quarter of the memory."""
    coded, ours = run_of(new_room(), blob_server, "adamw_8bit")
    exact, theirs = run_of(new_room(), blob_server, "adamw")
    assert theirs[-1] < 0.9 * theirs[0], "it learns"
    assert ours == pytest.approx(theirs, rel=0.02)
    begun = new_room().models.load(exact.spec.student, tick=lambda: None).model

    def way(state: Any) -> Tensor:
        pairs = zip(state.student.model.parameters(), begun.parameters(), strict=True)
        return torch.cat([(after - before).detach().flatten() for after, before in pairs])

    assert float((way(coded) - way(exact)).norm() / way(exact).norm()) <= 0.1
    assert moments_bytes(coded) <= 0.3 * moments_bytes(exact)


def moments_bytes(state: Any) -> int:
    named = dict(state_tensors(state))
    return sum(tensor.nbytes for name, tensor in named.items() if not name.startswith("weights/"))


def test_coded_moments_survive_a_resume_state_to_the_bit(
    new_room: Any, blob_server: BlobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy_worker.checkpoints.RESUME_EVERY_S", 0.0)
    spec = spec_of(blob_server, "jsd", student=wide(), optimizer={**THIRTY, "type": "adamw_8bit"})
    journal, first, second = Journal(), new_room().trainer(), new_room().trainer()
    monkeypatch.setattr("understudy_worker.checkpoints.UPLOAD_SHARE", 0.0)
    train(first, journal, spec, to=1)
    assert journal.resumes[-1].state.step == 1
    train(second, journal, spec, to=1, checkpoint_at=[])
    before, after = (dict(state_tensors(state_of(trainer))) for trainer in (first, second))
    assert before.keys() == after.keys() and {tensor.dtype for tensor in before.values()} == {
        torch.uint8,
        torch.float32,
    }
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("signed", [True, False])
def test_the_code(signed: bool) -> None:
    table = code(signed=signed)
    assert table.shape == (256,) and len(table.unique()) == 256 and torch.equal(table, table.sort().values)
    assert table.max() == 1 and 0.0 in table.tolist()
    assert float(table.min()) == pytest.approx(-1, abs=0.01) if signed else table.min() == 0
    # a decade towards 1 has twice the values of the one below
    positive = table[table > 0].double()
    decades = [int(((positive >= 10.0**-k) & (positive < 10.0 ** (1 - k))).sum()) for k in range(1, 8)]
    assert decades == [(1 if signed else 2) * 2**power for power in range(6, -1, -1)]


values = st.lists(
    st.one_of(st.floats(-8192, 8192, width=32), st.floats(-(2**-13), 2**-13, width=32), st.just(0.0)),
    min_size=1,
    max_size=700,
)


@settings(max_examples=60, deadline=None)
@given(values, st.booleans())
def test_each_value_gets_the_nearest_code_of_its_block(numbers: list[float], signed: bool) -> None:
    given_N = torch.tensor(numbers if signed else [abs(number) for number in numbers], dtype=torch.float32)
    codes, scales = quantise(given_N, signed=signed)
    blocks = -(-len(numbers) // BLOCK)
    assert codes.dtype == torch.uint8 and codes.shape == (blocks * BLOCK,) and scales.shape == (blocks,)
    found = dequantise(codes, scales, shape=given_N.shape, signed=signed).double().numpy()
    exact, table = given_N.double().numpy(), code(signed=signed).double().numpy()
    for block in range(blocks):
        part = slice(block * BLOCK, min((block + 1) * BLOCK, len(numbers)))
        scale = max(float(np.abs(exact[part]).max()), float(np.finfo(np.float32).tiny))
        # an oracle that looks at every code
        nearest = np.abs(exact[part, None] - table[None, :] * scale).min(axis=1)
        error = np.abs(found[part] - exact[part])
        assert (error <= nearest + 2e-7 * scale).all()
        # half the step of the decade that a value lies in, or of the one above at its edge
        share = np.abs(exact[part]) / scale
        decade = np.clip(np.ceil(np.log10(np.maximum(share, 1e-12)) + 1e-6), -6, 0)
        count = (1 if signed else 2) * 2.0 ** (decade + 6)
        assert (error / scale <= 0.45 / count * 10.0**decade + 2e-7).all()


@pytest.mark.parametrize("signed", [True, False])
def test_coding_again_changes_nothing(signed: bool) -> None:
    """Where a block's largest is positive: its scale is then a code."""
    torch.manual_seed(0)
    values_N = torch.randn(3 * BLOCK) if signed else torch.randn(3 * BLOCK) ** 2
    values_N[::BLOCK] = 20.0
    codes, scales = quantise(values_N, signed=signed)
    again = quantise(dequantise(codes, scales, shape=values_N.shape, signed=signed), signed=signed)
    assert torch.equal(again[0], codes) and torch.equal(again[1], scales) and scales.tolist() == [20.0] * 3


def test_small_tensors_are_exact() -> None:
    """Moments of fewer than LEAST_VALUES values are fp32: the step is torch's own AdamW."""
    torch.manual_seed(0)
    start = torch.randn(LEAST_VALUES // 64, 63)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    group = {"weight_decay": 0.1}
    mine = AdamW8bit([{"params": [ours], **group}], lr=0.01, betas=(0.9, 0.95))
    torchs = torch.optim.AdamW([{"params": [theirs], **group}], lr=0.01, betas=(0.9, 0.95), foreach=False)
    for step in range(20):
        gradient = torch.randn(start.shape, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        torchs.step()
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert {tensor.dtype for tensor in mine.state[ours].values()} == {torch.float32}


def test_only_matrices_decay(room: Room, journal: Journal, blob_server: BlobServer) -> None:
    trainer = room.trainer()
    train(trainer, journal, spec_of(blob_server, "sft", optimizer={**THIRTY, "weight_decay": 0.3}), to=1)
    state = state_of(trainer)
    decays = {id(p): group["weight_decay"] for group in state.optimizer.param_groups for p in group["params"]}
    assert len(decays) == len(state.student.trainable())
    assert all(decays[id(p)] == (0.3 if p.dim() >= 2 else 0.0) for _, p in state.student.trainable())


def schedule(**changes: Any) -> list[float]:
    spec = Optimizer.model_validate_json(
        json.dumps({"learning_rate": 1.0, "min_learning_rate": 0.1, "total_steps": 10, "warmup_steps": 2, **changes})
    )
    return [learning_rate(n, spec) for n in range(1, 11)]


def test_schedules_by_hand() -> None:
    linear = schedule(schedule="linear")
    assert linear == pytest.approx([0.5, 1.0, *(1 - 0.9 * k / 8 for k in range(8))])
    cosine = schedule(schedule="cosine")
    assert cosine[:3] == [0.5, 1.0, 1.0] and cosine[6] == pytest.approx(0.55)
    assert schedule(schedule="constant") == [0.5] + [1.0] * 9
    for rates in (linear, cosine):
        assert all(later <= earlier for earlier, later in pairwise(rates[1:]))
        assert rates[-1] >= 0.1
