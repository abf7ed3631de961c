"""Log-probabilities of the same tokens by PyTorch in fp32 and by the student's exports in onnxruntime.

Standard input: {"folder", "exports": {name: folder}, "items": [{"prompt", "responses"}], "max_length"}; an item with no
response is given the student's own greedy answer. Standard output: {name: by item, by response: log-probabilities}; PyTorch's
name is "pytorch".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from student import in_parallel, load, serve
from understudy_worker.edge.difference import Artifact
from understudy_worker.generation import generate
from understudy_worker.models import LoadedModel
from understudy_worker.sampling import Draws
from understudy_worker.scoring import logprobs
from understudy_worker.tokens import encode_prompt, tokens_of
from understudy_worker.wire import Generation

ANSWER_TOKENS = 32


def responses_of(loaded: LoadedModel, item: dict[str, Any]) -> list[str]:
    if item["responses"]:
        return list(item["responses"])
    prompt = encode_prompt(loaded, item["prompt"], template="chat")
    how = Generation(max_new_tokens=ANSWER_TOKENS)
    return [answer.response for answer in generate(loaded, [prompt], draws=[Draws.of_prompt(0, prompt)], generation=how)]


def found(request: dict[str, Any]) -> dict[str, list[list[list[float]]]]:
    loaded = load(Path(request["folder"]))
    groups = [
        [
            tokens_of(loaded, item["prompt"], response, template="chat", max_length=request["max_length"])
            for response in responses_of(loaded, item)
        ]
        for item in request["items"]
    ]
    # One sequence at a time: in company of others its numbers would differ by fp32's rounding.
    values = {"pytorch": [[logprobs(loaded, [[one]], tick=lambda: None)[0][0] for one in group] for group in groups]}
    for name, folder in request["exports"].items():
        artifact = Artifact(Path(folder))
        values[name] = in_parallel(
            lambda group, artifact=artifact: [artifact.logprobs(one).tolist() for one in group], groups
        )
    return values


if __name__ == "__main__":
    serve(found)
