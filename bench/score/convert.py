"""A GGUF as a folder that transformers reads. Standard input: {"gguf", "folder"}; standard output: {}."""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

request = json.load(sys.stdin)
path = Path(request["gguf"])
AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(request["folder"])
AutoModelForCausalLM.from_pretrained(
    path.parent, gguf_file=path.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
).save_pretrained(request["folder"])
print("{}")
