"""Log-probabilities of responses by transformers alone: one forward pass each, no padding, fp32.

Standard input: {"gguf", "keep_layers", "items": [{"prompt", "completion"}]}. Standard output: for each item the
log-probabilities, in nats, of the completion's tokens and of the end token after it, under teacher and student.
"""

import copy
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def logprobs(model: torch.nn.Module, prompt: list[int], response: list[int]) -> list[float]:
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1]
    chosen = torch.log_softmax(logits.float(), dim=-1).gather(1, torch.tensor(response)[:, None])
    return chosen[:, 0].tolist()


def main() -> None:
    request = json.load(sys.stdin)
    path = Path(request["gguf"])
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    teacher = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    ).eval()
    student = copy.deepcopy(teacher)
    layers, kept = len(teacher.model.layers), request["keep_layers"]
    student.model.layers = torch.nn.ModuleList(
        student.model.layers[int(i * (layers - 1) / (kept - 1) + 0.5)] for i in range(kept)
    )
    answers = []
    for item in request["items"]:
        turns = [{"role": "user", "content": item["prompt"]}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        response = [*tokenizer.encode(item["completion"], add_special_tokens=False), tokenizer.eos_token_id]
        answers.append(
            {"teacher": logprobs(teacher, prompt, response), "student": logprobs(student, prompt, response)}
        )
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
