"""The floor: three times the student's matrix products on real tokens, what rows begin with once, the output matrix at response
positions only.

Timed as bare fp32 products of the same shapes into memory already there: no attention, no recomputation, no optimizer.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from flops import TRAINED, Lengths, Shapes
from harness import Answer, Meter, Request, serve
from transformers import AutoConfig


def product_s(tokens: int, inputs: int, outputs: int, count: int) -> float:
    """Seconds of `count` products [tokens, inputs] x [inputs, outputs], each of its own weight as in a model."""
    x, out = torch.randn(tokens, inputs), torch.empty(tokens, outputs)
    weights = [torch.randn(outputs, inputs).t() for _ in range(count)]
    began = time.perf_counter()
    for weight in weights:
        torch.mm(x, weight, out=out)
    return time.perf_counter() - began


@torch.inference_mode()
def side(request: Request) -> Answer:
    shapes = Shapes.of(AutoConfig.from_pretrained(Path(request.folder) / "student"))
    meter = Meter()
    meter.begin()
    flops = []
    for batch in request.batches:
        size = Lengths.of(batch)
        products = [(size.once, *shape) for shape in shapes.body] + [(size.responses, *shapes.head, 1)]
        meter.step(TRAINED * sum(product_s(*product) for product in products), 0.0)
        flops.append(TRAINED * shapes.flops(body_tokens=size.once, head_tokens=size.responses))
    meter.end()
    measured = slice(request.warmup, None)
    meter.answer.notes["gflops_per_second"] = sum(flops[measured]) / sum(meter.answer.seconds[measured]) / 1e9
    return meter.answer


if __name__ == "__main__":
    serve(side)
