"""Greedy answers to the same prompts by PyTorch in fp32 and by the student's exports in onnxruntime.

Standard input: {"folder", "exports": {name: folder}, "prompts", "max_new_tokens"}. Standard output: {name: answers};
PyTorch's name is "pytorch".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from student import load
from understudy_worker.edge.difference import Artifact
from understudy_worker.generation import generate
from understudy_worker.models import LoadedModel
from understudy_worker.sampling import Draws
from understudy_worker.text import Written
from understudy_worker.tokens import encode_prompt
from understudy_worker.wire import Generation


def by_pytorch(loaded: LoadedModel, prompt: list[int], room: int) -> str:
    how = Generation(max_new_tokens=room)
    (answer,) = generate(loaded, [prompt], draws=[Draws.of_prompt(0, prompt)], generation=how)
    return answer.response


def by_export(artifact: Artifact, loaded: LoadedModel, prompt: list[int], room: int) -> str:
    """As the scorer answers: the prompt at once, then a token at a time behind what was read."""
    written = Written(loaded, stop=[], room=room)
    ids, past, read = prompt, {}, 0
    while written.finish_reason is None:
        total = read + len(ids)
        feeds = {
            "input_ids": np.array([ids], np.int64),
            "position_ids": np.arange(read, total, dtype=np.int64)[None],
            "seqlens_k": np.array([total - 1], np.int32),
            "total_length": np.array([total], np.int32),
            "rows": np.array([len(ids) - 1], np.int64),
            "targets": np.array([0], np.int64),
        }
        outputs = artifact.run({**feeds, **past})
        token = int(outputs["top_ids"][0, 0])
        written.add(token)
        past = {name.replace("present", "past"): kept for name, kept in outputs.items() if name.startswith("present.")}
        ids, read = [token], total
    return written.text


def answers(request: dict[str, Any]) -> dict[str, list[str]]:
    loaded, room = load(Path(request["folder"])), request["max_new_tokens"]
    prompts = [encode_prompt(loaded, prompt, template="chat") for prompt in request["prompts"]]
    found = {"pytorch": [by_pytorch(loaded, prompt, room) for prompt in prompts]}
    for name, folder in request["exports"].items():
        artifact = Artifact(Path(folder))
        found[name] = [by_export(artifact, loaded, prompt, room) for prompt in prompts]
    return found


def main() -> None:
    request = json.load(sys.stdin)
    answer_to, sys.stdout = sys.stdout, sys.stderr
    json.dump(answers(request), answer_to)


if __name__ == "__main__":
    main()
