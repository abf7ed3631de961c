"""Prompts of mixed length under a model's chat template. Standard input: {"folder", "texts"}; standard output: ids."""

import json
import sys

from transformers import AutoTokenizer

request = json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(request["folder"])
rendered = [
    tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
    for text in request["texts"]
]
json.dump([tokenizer.encode(text, add_special_tokens=False) for text in rendered], sys.stdout)
