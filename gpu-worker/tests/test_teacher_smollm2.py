"""The embedded default teacher: exact through the cache, without its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_smollm2
import torch
from conftest import Room, ref
from teachers import plain

from understudy_worker.models import Models
from understudy_worker.teacher import FrozenTeacher, Hits, TeacherChunk
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.tokens import tokens_of

pytestmark = test_smollm2.pytestmark


def test_exact_and_warm_without_layers(new_room: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert test_smollm2.GGUF is not None
    room: Room = new_room(smol=test_smollm2.GGUF)
    loaded = room.models.get(ref("smol"), tick=lambda: None)
    sequences = [
        tokens_of(loaded, prompt, response, template="chat", max_length=512) for prompt, response in test_smollm2.PAIRS
    ]
    how: dict[str, Any] = {"shared": None, "dtype": "float32", "fingerprint": "f", "tick": lambda: None}
    cache = TeacherCache(tmp_path, most_bytes=2**30)
    model = ref("smol", digest=loaded.weights_digest)
    FrozenTeacher(model, models=room.models, cache=cache, **how).entries(sequences)
    folder = room.models.sources.folder(model.base, tick=lambda: None)
    # In fp64 from the logits on: torch's own log_softmax of fp32 is off by up to 2e-5 over 49,152 ids (measured).
    logits_NV = torch.cat([plain(folder, tokens) for tokens in sequences]).double()
    del loaded
    models = Models(room.models.sources, backend=room.backend)
    monkeypatch.setattr(Models, "load", None)
    warm = FrozenTeacher(model, models=models, cache=cache, **how)
    entries, hits = warm.entries(sequences)
    assert hits == Hits(5, 0)
    chunk = TeacherChunk.of(entries, warm.head)
    targets_N = torch.tensor([token for tokens in sequences for token in tokens.response])
    ids_NK = torch.stack([targets_N, logits_NV.argmax(dim=1), (targets_N * 7919) % logits_NV.shape[1]], dim=1)
    ours_NK = (chunk.logits_at(ids_NK) - chunk.logsumexp_N[:, None]).double()
    torch.testing.assert_close(ours_NK, logits_NV.log_softmax(dim=1).gather(1, ids_NK), atol=1e-5, rtol=0)
    torch.testing.assert_close(chunk.logits(), logits_NV.float(), atol=2e-5, rtol=0)
    torch.testing.assert_close(chunk.logits_at(ids_NK), chunk.logits().gather(1, ids_NK), atol=1e-5, rtol=0)
    assert torch.equal(chunk.argmax_N, logits_NV.argmax(dim=1))
    few = slice(5, 8)
    assert torch.equal(chunk[few].logits(), chunk.logits()[few]), "of the same bits however few the rows are"
