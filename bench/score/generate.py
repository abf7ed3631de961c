"""Greedy answers to prompts of mixed length: the worker's own generation, or transformers' `generate` on a padded batch.

Standard input: {"side": "ours" | "transformers", "folder", "prompts": [token ids], "max_new_tokens", "threads"}.
Standard output: {"seconds", "answers": [token ids], "gaps"}: each answer with the token that ended it; `gaps`, of
transformers only: the least distance of the two best logits on each answer's way.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch


def ours(request: dict[str, Any]) -> dict[str, Any]:
    from understudy_worker.address import Address
    from understudy_worker.backend import configure
    from understudy_worker.blobs import Blobs
    from understudy_worker.generation import generate
    from understudy_worker.models import Models
    from understudy_worker.sampling import Draws
    from understudy_worker.sources import Sources
    from understudy_worker.wire import Generation, ModelRef

    backend = configure(request["threads"])
    blobs = Blobs(Address(http="http://127.0.0.1:9", socket="", loopback=True), key="")
    folder = Path(request["folder"])
    models = Models(Sources(declared={"teacher": folder}, cache_dir=folder / "cache", blobs=blobs), backend=backend)
    base = {"type": "local", "name": "teacher"}
    ref = {"model": "model_teacher", "base": base, "layer_indices": None, "weights_digest": None}
    loaded = models.get(ModelRef.model_validate(ref), tick=lambda: None)
    how = Generation(max_new_tokens=request["max_new_tokens"])

    def answer(prompts: list[list[int]]) -> list[list[int]]:
        draws = [Draws.of_prompt(0, ids) for ids in prompts]
        return [list(one.ids) for one in generate(loaded, prompts, draws=draws, generation=how)]

    answer(request["prompts"][:2])
    began = time.perf_counter()
    answers = answer(request["prompts"])
    return {"seconds": time.perf_counter() - began, "answers": answers, "gaps": []}


def transformers(request: dict[str, Any]) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(request["threads"])
    model = AutoModelForCausalLM.from_pretrained(request["folder"], dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(request["folder"], padding_side="left")
    prompts = request["prompts"]

    def batch(prompts: list[list[int]], **more: Any) -> Any:
        padded = tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
        with torch.inference_mode():
            return model.generate(
                **padded, do_sample=False, max_new_tokens=request["max_new_tokens"], pad_token_id=tokenizer.pad_token_id,
                return_dict_in_generate=True, **more,
            )  # fmt: skip

    batch(prompts[:2])
    began = time.perf_counter()
    out = batch(prompts)
    seconds = time.perf_counter() - began
    width, stops = max(map(len, prompts)), {tokenizer.eos_token_id, model.generation_config.eos_token_id}
    answers = [_until(ids, stops) for ids in out.sequences[:, width:].tolist()]
    scored = batch(prompts, output_logits=True)
    best = torch.stack([logits.topk(2).values for logits in scored.logits], dim=1)
    gaps = [float((row[: len(ids), 0] - row[: len(ids), 1]).min()) for row, ids in zip(best, answers, strict=True)]
    return {"seconds": seconds, "answers": answers, "gaps": gaps}


def _until(ids: list[int], stops: set[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids) - 1)
    return ids[: end + 1]


def main() -> None:
    request = json.load(sys.stdin)
    answer_to, sys.stdout = sys.stdout, sys.stderr
    json.dump({"ours": ours, "transformers": transformers}[request["side"]](request), answer_to)


if __name__ == "__main__":
    main()
