"""The embedded default teacher: exact through the cache, without its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ref
from precision import FLOOR_NATS, Oracle, assert_close, distance
from smollm2 import PAIRS, needs_smollm2
from teachers import rows_keep_their_bits

from understudy_worker.models import LoadedModel, Models
from understudy_worker.teacher import FrozenTeacher, Hits, TeacherChunk
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.tokens import tokens_of

pytestmark = needs_smollm2


def test_exact_and_warm_without_layers(
    smol_models: Models, smol: LoadedModel, smol_oracle: Oracle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = [
        tokens_of(smol, prompt, response, template="chat", max_length=smol.context_length) for prompt, response in PAIRS
    ]
    how: dict[str, Any] = {"shared": None, "dtype": "float32", "fingerprint": "f", "tick": lambda: None}
    cache = TeacherCache(tmp_path, most_bytes=2**30)
    model = ref("smol", digest=smol.weights_digest)
    FrozenTeacher(model, models=smol_models, cache=cache, **how).entries(sequences)
    models = Models(smol_models.sources, backend=smol_models.backend)
    monkeypatch.setattr(Models, "load", None)
    warm = FrozenTeacher(model, models=models, cache=cache, **how)
    entries, hits = warm.entries(sequences)
    assert hits == Hits(5, 0)
    chunk = TeacherChunk.of(entries, warm.head)
    peer_NV, exact_NV = smol_oracle.logits(sequences)
    logits_NV = chunk.logits()
    assert_close(logits_NV, peer_NV, exact_NV, what="logits")
    targets_N = torch.tensor([token for tokens in sequences for token in tokens.response])
    ids_NK = torch.stack([targets_N, exact_NV.argmax(dim=1), (targets_N * 7919) % exact_NV.shape[1]], dim=1)
    assert_close(chunk.logits_at(ids_NK), peer_NV.gather(1, ids_NK), exact_NV.gather(1, ids_NK), what="some logits")
    # The peer's log-softmax in fp64: torch's own of fp32 is off by up to 2e-5 over 49,152 ids (measured).
    theirs_NK, exact_NK = (table_NV.double().log_softmax(dim=1).gather(1, ids_NK) for table_NV in (peer_NV, exact_NV))
    ours_NK = chunk.logits_at(ids_NK) - chunk.logsumexp_N[:, None]
    distance(ours_NK, theirs_NK, exact_NK, floor=FLOOR_NATS).check("log-probabilities, nats")
    clear_N = smol_oracle.clear(sequences)
    assert clear_N.double().mean() >= 0.9
    assert torch.equal(chunk.argmax_N[clear_N], exact_NV.argmax(dim=1)[clear_N])
    few = slice(5, 8)
    if rows_keep_their_bits(warm.head, chunk.states_ND, few):
        assert torch.equal(chunk[few].logits(), logits_NV[few]), "of the same bits however few the rows are"
    assert_close(chunk[few].logits(), peer_NV[few], exact_NV[few], what="logits of a few rows")
