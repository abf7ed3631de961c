"""Models and rows of any vocabulary or length, for the plots.

Standard input: {"folder", "models", "vocabulary", "batch_size", "steps", "prompt", "response", "seed"}. Writes
rows.json, teacher/ and student/ into `folder`: the models of the folder `models`, or with a `vocabulary` small random
ones with their tokenizer.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

# Ids that every vocabulary has.
LEAST_VOCABULARY = 8_000
LAYERS = {"teacher": 4, "student": 2}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def llama(vocabulary: int, *, layers: int, seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=256,
            intermediate_size=768,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        )
    )


def rows(request: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Rows of equal lengths, so that no side pads."""
    draw = random.Random(request["seed"])
    size = request["batch_size"]

    def ids(count: int) -> list[int]:
        return [draw.randrange(LEAST_VOCABULARY) for _ in range(count)]

    return [
        [{"prompt": ids(request["prompt"]), "response": ids(request["response"])} for _ in range(size)]
        for _ in range(request["steps"])
    ]


def main() -> None:
    request = json.load(sys.stdin)
    folder = Path(request["folder"])
    models = Path(request["models"]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for seed, (name, layers) in enumerate(LAYERS.items()):
        if request["vocabulary"] is None:
            (folder / name).symlink_to(models / name)
            continue
        llama(request["vocabulary"], layers=layers, seed=seed).save_pretrained(folder / name)
        for file in TOKENIZER_FILES:
            shutil.copy(models / name / file, folder / name / file)
    (folder / "rows.json").write_text(json.dumps(rows(request)))
    json.dump({}, sys.stdout)


if __name__ == "__main__":
    main()
