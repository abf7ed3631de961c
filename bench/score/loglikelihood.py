"""Log-likelihoods of choices by lm-eval: its own `hf` back end on a model in memory, or its `local-completions` client.

Standard input: {"backend": "hf" | "api", "folder", "items": [{"prompt", "choices"}], "batch", "threads", "url", "key",
"concurrent"}. Standard output: {"seconds", "values": [[logprob, is_greedy], ...]} over all choices of all items.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def model(request: dict[str, Any]) -> Any:
    if request["backend"] == "api":
        from lm_eval.models.openai_completions import LocalCompletionsAPI

        os.environ["OPENAI_API_KEY"] = request["key"]
        return LocalCompletionsAPI(
            base_url=f"{request['url']}/v1/completions", model="teacher", tokenizer=request["folder"],
            tokenizer_backend="huggingface", batch_size=request["batch"], num_concurrent=request["concurrent"],
        )  # fmt: skip
    import torch
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(request["threads"])
    return HFLM(pretrained=request["folder"], dtype="float32", device="cpu", batch_size=request["batch"])


def main() -> None:
    request = json.load(sys.stdin)
    answer_to, sys.stdout = sys.stdout, sys.stderr
    from lm_eval.api.instance import Instance

    asked = [
        Instance(request_type="loglikelihood", doc={}, arguments=(item["prompt"], choice), idx=number)
        for item in request["items"]
        for number, choice in enumerate(item["choices"])
    ]
    lm = model(request)
    lm.loglikelihood(asked[:4], disable_tqdm=True)  # what is made on first use
    began = time.perf_counter()
    values = lm.loglikelihood(asked, disable_tqdm=True)
    json.dump({"seconds": time.perf_counter() - began, "values": values}, answer_to)


if __name__ == "__main__":
    main()
