"""Loads a downloaded checkpoint in transformers and prints a greedy answer's token ids as JSON.

    python test/e2e/load_checkpoint.py FOLDER PROMPT
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, prompt = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
answer = model.generate(**ids, max_new_tokens=8, do_sample=False)[0][ids["input_ids"].shape[1] :]
print(
    json.dumps(
        {"layers": model.config.num_hidden_layers, "response": tokenizer.decode(answer, skip_special_tokens=True)}
    )
)
