"""The bench's models and rows, made once and read by every side.

Standard input: {"folder", "data", "gguf", "keep_layers", "batch_size", "steps", "seed"}. Standard output: {"source"}.
Writes `teacher/`, `student/` (ordinary transformers folders) and `rows.json` into `folder`: for each step its batch of
{"prompt", "response"}, token ids.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedTokenizerBase

# Tokens of a row that is taken: prompts of about 100, responses of 40 to 160.
PROMPT = range(70, 141)
RESPONSE = range(40, 161)
FILES = ("gsm8k_train.jsonl", "self_instruct_eval.jsonl")
WORDS = (
    "a box",
    "holds",
    "seven",
    "red",
    "balls",
    "she",
    "gives",
    "three of",
    "them to",
    "her",
    "brother",
    "so",
    "how many",
)


def models(folder: Path, *, gguf: Path, keep_layers: int) -> PreTrainedTokenizerBase:
    """The teacher in fp32, and its copy of `keep_layers` layers spread evenly from first to last."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if (folder / "student" / "model.safetensors").exists():
        return tokenizer
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    save(model, tokenizer, folder / "teacher")
    layers = model.model.layers
    depth = len(layers)
    model.model.layers = torch.nn.ModuleList(
        layers[int(i * (depth - 1) / (keep_layers - 1) + 0.5)] for i in range(keep_layers)
    )
    model.config.num_hidden_layers = keep_layers
    save(model, tokenizer, folder / "student")
    return tokenizer


def save(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def texts(data: Path) -> Iterator[tuple[str, str]]:
    """Prompts and responses of the files in turn."""
    files = [[json.loads(line) for line in (data / name).read_text().splitlines()] for name in FILES]
    for row in filter(None, chain.from_iterable(zip_longest(*files))):
        if "instruction" in row:
            yield "\n\n".join(filter(None, (row["instruction"], row["input"]))), row["output"]
        else:
            yield row["prompt"], row["completion"]


def generated(seed: int) -> Iterator[tuple[str, str]]:
    """Text of the wanted lengths where there is no data: as good for times, of no use for anything else."""
    draw = random.Random(seed)
    while True:
        prompt, response = (draw.choices(WORDS, k=draw.randint(*words)) for words in ((25, 70), (25, 110)))
        yield " ".join(prompt), " ".join(response)


def rows(
    pairs: Iterator[tuple[str, str]], tokenizer: PreTrainedTokenizerBase, *, count: int
) -> list[dict[str, list[int]]]:
    """The first `count` whose lengths are wanted; prompt and response are encoded apart, one end token closes."""
    kept: list[dict[str, list[int]]] = []
    for prompt, response in pairs:
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = tokenizer.encode(text, add_special_tokens=False)
        answer = [*tokenizer.encode(response, add_special_tokens=False), tokenizer.eos_token_id]
        if len(ids) in PROMPT and len(answer) in RESPONSE:
            kept.append({"prompt": ids, "response": answer})
        if len(kept) == count:
            return kept
    raise SystemExit(f"the data has {len(kept)} rows of the wanted lengths; {count} are needed")


def main() -> None:
    request = json.load(sys.stdin)
    folder, data = Path(request["folder"]), Path(request["data"])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = models(folder, gguf=Path(request["gguf"]), keep_layers=request["keep_layers"])
    found = all((data / name).exists() for name in FILES)
    size, steps = request["batch_size"], request["steps"]
    taken = rows(texts(data) if found else generated(request["seed"]), tokenizer, count=size * steps)
    (folder / "rows.json").write_text(json.dumps([taken[n * size : (n + 1) * size] for n in range(steps)]))
    source = " and ".join(FILES) if found else f"text of these lengths, generated since there was no {FILES[0]}"
    json.dump({"source": source}, sys.stdout)


if __name__ == "__main__":
    main()
