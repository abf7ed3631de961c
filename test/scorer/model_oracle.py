"""What transformers itself says: log-probabilities of responses, and greedy answers.

python test/scorer/model_oracle.py MODEL_FOLDER < ask.json
"""

import json
import sys
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from understudy_worker.tokens import encode, render


def logprobs(model: Any, prompt: list[int], response: list[int]) -> list[float]:
    if not response:
        return []
    logits = model(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1)[range(len(response)), response].tolist()


def main(folder: str) -> None:
    asked = json.load(sys.stdin)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    scored, answered = [], []
    with torch.inference_mode():
        for one in asked["scores"]:
            prompt = encode(tokenizer, render(tokenizer, one["prompt"], template=one["template"]))
            end = [] if one["template"] == "raw" else [tokenizer.eos_token_id]
            ids = (encode(tokenizer, one["response"]) + end)[: one["max_length"] - len(prompt)]
            texts = [tokenizer.decode([token]) for token in ids]
            scored.append({"token_ids": ids, "token_texts": texts, "logprobs": logprobs(model, prompt, ids)})
        for one in asked["answers"]:
            prompt = encode(tokenizer, render(tokenizer, one["prompt"], template=one["template"]))
            ids = model.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                do_sample=False, max_new_tokens=one["max_new_tokens"],
            )[0, len(prompt) :].tolist()  # fmt: skip
            stopped = ids[-1] == tokenizer.eos_token_id
            answered.append(
                {
                    "response": tokenizer.decode(ids, skip_special_tokens=True),
                    "finish_reason": "stop" if stopped else "length",
                    "num_tokens": len(ids),
                }
            )
    json.dump({"scores": scored, "answers": answered}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
