"""What the rows of the bench hold and what each side's matrix products cost, and the versions that computed it.

Standard input: {"folder"}. Standard output: {"versions", "steps": [{"real", "once", "responses", "padded", "flops"}]}:
tokens of each batch (`Lengths`), and FLOPs by side, named as bench/distill/sides.ts names them.
"""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from flops import FORWARD, TRAINED, Lengths, Shapes
from transformers import AutoConfig

# Products of the output matrix a position in TRL's chunked loss, teacher's and student's: a pass of both for the
# normalisers, for JSD one more, one again in backward, and the student's two gradients.
CHUNKED_HEAD = {"forward_kl": 6, "jsd": 8}


def flops(batch: list[dict[str, Any]], *, teacher: Shapes, student: Shapes) -> dict[str, int]:
    size = Lengths.of(batch)
    completions = len(batch) * max(len(row["response"]) for row in batch)
    prompts = len(batch) * max(len(row["prompt"]) for row in batch)

    def full(body_tokens: int, head_tokens: int) -> int:
        forward = teacher.flops(body_tokens=body_tokens, head_tokens=head_tokens)
        return FORWARD * forward + TRAINED * student.flops(body_tokens=body_tokens, head_tokens=head_tokens)

    def chunked(objective: str) -> int:
        head = CHUNKED_HEAD[objective] * student.flops(body_tokens=0, head_tokens=completions)
        return full(prompts + completions, 0) + head

    floor = TRAINED * student.flops(body_tokens=size.once, head_tokens=size.responses)
    # DPKD takes a few of the teacher's logits by dot products; a divergence takes all of them.
    distribution = teacher.flops(body_tokens=0, head_tokens=size.responses)
    entries = teacher.flops(body_tokens=size.real, head_tokens=size.responses)
    return {
        "floor": floor,
        "plain": full(size.padded, size.padded),
        "ours dpkd warm": floor,
        "ours dpkd cold": floor + entries,
        **{f"trl gkd {name}": full(size.padded, size.padded) for name in CHUNKED_HEAD},
        **{f"trl chunked {name}": chunked(name) for name in CHUNKED_HEAD},
        **{f"ours {name} warm": floor + distribution for name in CHUNKED_HEAD},
        **{f"ours {name} cold": floor + distribution + entries for name in CHUNKED_HEAD},
    }


def main() -> None:
    folder = Path(json.load(sys.stdin)["folder"])
    shapes = {name: Shapes.of(AutoConfig.from_pretrained(folder / name)) for name in ("teacher", "student")}
    batches = json.loads((folder / "rows.json").read_text())
    steps = [asdict(Lengths.of(batch)) | {"flops": flops(batch, **shapes)} for batch in batches]
    versions = {
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    json.dump({"versions": versions, "steps": steps}, sys.stdout)


if __name__ == "__main__":
    main()
