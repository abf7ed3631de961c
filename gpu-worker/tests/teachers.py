"""What the tests of the frozen teacher share: models of every kind of output, and teachers of workers that have loaded
nothing yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
import torch
from conftest import ref
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from understudy_worker.forward import Head, Tokens, enough_rows
from understudy_worker.teacher import FrozenTeacher
from understudy_worker.teacher_cache import ENTRIES, TeacherCache

# Prompt then response, of lengths that cross the least rows of a product; the last response is one token.
SEQUENCES = [
    Tokens(ids=tuple((7 * place + 3) % 300 + 2 for place in range(40)), prompt_length=5),
    Tokens(ids=tuple((11 * place + 1) % 300 + 2 for place in range(20)), prompt_length=8),
    Tokens(ids=tuple((5 * place + 9) % 300 + 2 for place in range(90)), prompt_length=20),
    Tokens(ids=(4, 9, 30), prompt_length=2),
]
# Models by what their output does: tied, with a bias, with a scale, soft-capped, in several files, in bf16 files.
NAMES = ["teacher", "gpt2", "bias", "scale", "softcap", "untied", "halves"]


def write_more(folder: Path) -> dict[str, Path]:
    """Model folders by name: those of NAMES that `tiny.write_all` does not make."""
    tokens = tiny.tokenizer()
    common: dict[str, Any] = {
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": tiny.CONTEXT,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    torch.manual_seed(5)
    capped = {"final_logit_softcapping": 3.0, "attn_logit_softcapping": None, "sliding_window": tiny.CONTEXT}
    made: dict[str, Any] = {
        "bias": PhiForCausalLM(PhiConfig(**common)),
        "scale": CohereForCausalLM(CohereConfig(**common, logit_scale=0.25)),
        "softcap": Gemma2ForCausalLM(Gemma2Config(**common, head_dim=8, **capped)),
        "untied": LlamaForCausalLM(LlamaConfig(**common)),
        "halves": tiny.llama(len(tokens), layers=2, seed=6, sharp=6.0).to(torch.bfloat16),
    }
    for name, model in made.items():
        head = model.get_output_embeddings()
        with torch.no_grad():
            head.weight.mul_(20.0)
            if head.bias is not None:
                head.bias.normal_()
        model.save_pretrained(folder / name, max_shard_size="20KB" if name == "untied" else "1GB")
        tokens.save_pretrained(folder / name)
    assert len(list((folder / "untied").glob("*.safetensors"))) > 1
    return {name: folder / name for name in made}


class Teachers:
    """Makes the frozen teacher that a fresh worker would have; `cache` is by default one folder for all of them."""

    def __init__(self, new_room: Any, folders: dict[str, Path]) -> None:
        self._new_room = new_room
        self._folders = folders
        self._cache: Path = new_room().cache
        self._digests: dict[str, str] = {}

    def __call__(self, name: str = "teacher", *, cache: Path | None = None, **changes: Any) -> FrozenTeacher:
        room = self._new_room(**self._folders, **changes.pop("folders", {}))
        model = changes.pop("model", None) or ref(name, digest=self.digest(name))
        how: dict[str, Any] = {"shared": None, "dtype": "float32", "fingerprint": "f" * 64, "tick": lambda: None}
        store = TeacherCache(cache or self._cache / "teacher", most_bytes=2**30)
        return FrozenTeacher(model, models=room.models, cache=store, **{**how, **changes})

    def digest(self, name: str) -> str:
        """As the registry knows it of a prepared model."""
        if name not in self._digests:
            models = self._new_room(**self._folders).models
            self._digests[name] = models.get(ref(name), tick=lambda: None).weights_digest
        return self._digests[name]


def stored(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for pattern in ENTRIES for path in folder.glob(pattern)}


def waits_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


@torch.inference_mode()
def rows_keep_their_bits(head: Head, states_ND: torch.Tensor, some: slice) -> bool:
    """Whether a product of some rows has the bits here that a product of all rows has for them, once fewer rows than
    LEAST_ROWS are padded. MKL's AVX-512 and SSE kernels do that, its AVX2 kernels do not (measured). Where it holds,
    a test finds out whether the teacher pads; nothing that is promised depends on it."""
    whole_NV, some_NV = (head.linear(enough_rows(rows_ND.float())) for rows_ND in (states_ND, states_ND[some]))
    return torch.equal(whole_NV[: len(states_ND)][some], some_NV[: len(states_ND[some])])
