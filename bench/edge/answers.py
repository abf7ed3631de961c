"""Greedy answers to the same prompts by PyTorch in fp32 and by the student's exports in onnxruntime.

Standard input: {"folder", "exports": {name: folder}, "prompts", "max_new_tokens"}. Standard output: {name: answers};
PyTorch's name is "pytorch".
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from student import in_parallel, load, serve
from understudy_worker.edge.difference import Artifact
from understudy_worker.generation import Answer, generate
from understudy_worker.models import LoadedModel
from understudy_worker.sampling import Draws
from understudy_worker.text import Written
from understudy_worker.tokens import encode_prompt
from understudy_worker.wire import Generation


def by_pytorch(loaded: LoadedModel, prompt: list[int], room: int) -> Answer:
    how = Generation(max_new_tokens=room)
    (answer,) = generate(loaded, [prompt], draws=[Draws.of_prompt(0, prompt)], generation=how)
    return answer


def by_export(artifact: Artifact, loaded: LoadedModel, prompt: list[int], expected: tuple[int, ...], room: int) -> str:
    """As far as the answer is the expected one, one reading tells all its tokens; from there on each takes one."""
    written = Written(loaded, stop=[], room=room)
    while written.finish_reason is None:
        as_expected = expected[: len(written.ids)] == tuple(written.ids)
        ahead = list(expected[len(written.ids) :]) if as_expected else []
        for token, next_token in zip_longest(likeliest(artifact, prompt + written.ids, ahead), ahead):
            written.add(token)
            if written.finish_reason is not None or token != next_token:
                break
    return written.text


def likeliest(artifact: Artifact, ids: list[int], ahead: list[int]) -> list[int]:
    """The likeliest token after `ids`, and after each token `ahead` of them but the last."""
    read = [*ids, *ahead[:-1]]
    rows = np.arange(len(ids) - 1, len(read), dtype=np.int64)
    feeds = {
        "input_ids": np.array([read], np.int64),
        "position_ids": np.arange(len(read), dtype=np.int64)[None],
        "seqlens_k": np.array([len(read) - 1], np.int32),
        "total_length": np.array([len(read)], np.int32),
        "rows": rows,
        "targets": np.zeros_like(rows),
    }
    return artifact.run(feeds, ["top_ids"])["top_ids"][:, 0].tolist()


def answers(request: dict[str, Any]) -> dict[str, list[str]]:
    loaded, room = load(Path(request["folder"])), request["max_new_tokens"]
    prompts = [encode_prompt(loaded, prompt, template="chat") for prompt in request["prompts"]]
    expected = [by_pytorch(loaded, prompt, room) for prompt in prompts]
    found = {"pytorch": [answer.response for answer in expected]}
    for name, folder in request["exports"].items():
        artifact = Artifact(Path(folder))
        found[name] = in_parallel(
            lambda prompt, answer, artifact=artifact: by_export(artifact, loaded, prompt, answer.ids, room),
            prompts,
            expected,
        )
    return found


if __name__ == "__main__":
    serve(answers)
