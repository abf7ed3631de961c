"""Matrices in the graph, as they are stored: in fp32, or rounded and read through DequantizeLinear.

A plain product with weights dequantised beforehand is several times faster in WebAssembly than onnxruntime's own
operator for weights of few bits, MatMulNBits: 0.8 to 1.1 ns a weight and row against 2.7 to 7.7 (measured).

Shape suffixes: K input channels, N outputs, M of the outputs, R channels kept in fp16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from understudy_worker.edge.graph import FLOAT, Array, Graph
from understudy_worker.edge.rounding import HIGH, Rounded

# [K, N]: what a linear layer multiplies its inputs by.
Matrix = Tensor | Rounded
# Of a byte that holds two levels.
LOW_BITS, HIGH_BITS = 0x0F, 0xF0


def array(tensor: Tensor) -> Array:
    found: Array = tensor.detach().cpu().numpy()
    return found


def plain(matrix: Matrix) -> Tensor:
    """[K, N] in fp32, as the graph computes with it."""
    return matrix if isinstance(matrix, Tensor) else matrix.weight_KN()


def outputs(matrix: Matrix) -> int:
    return (matrix if isinstance(matrix, Tensor) else matrix.levels_JN).shape[1]


def columns(matrix: Matrix, part: slice) -> Matrix:
    """The matrix with some of its outputs."""
    return matrix[:, part] if isinstance(matrix, Tensor) else matrix.columns(part)


@dataclass(frozen=True)
class Stored:
    """A matrix's constants, by what they are; each has a column for each output.

    In 4 bits channel k and channel k + few/2 share a byte, the latter in its upper half: read where it stands it is a
    number 16 times as large, which is why its scale is stored divided by 16. Their zero points are stored alike.
    """

    matrix: Matrix
    parts: dict[str, str]

    @classmethod
    def of(cls, graph: Graph, name: str, matrix: Matrix) -> Stored:
        values = {"weight": array(matrix)} if isinstance(matrix, Tensor) else _values(matrix)
        return cls(matrix, {part: graph.constant(f"{name}.{part}", value) for part, value in values.items()})

    def columns(self, graph: Graph, part: slice) -> Stored:
        """What is stored of some outputs."""
        ends = graph.integers(part.start), graph.integers(part.stop)
        cut = {name: graph.op("Slice", whole, *ends, graph.integers(1)) for name, whole in self.parts.items()}
        return Stored(columns(self.matrix, part), cut)


def _values(matrix: Rounded) -> dict[str, Array]:
    few = matrix.split.few
    blocks = few // matrix.split.few_block
    levels, zeros, scales = (array(part) for part in (matrix.levels_JN, matrix.zeros_BN, matrix.scales_BN))
    values = {}
    if few:
        (low, high), (zero, high_zero) = np.split(levels[:few], 2), np.split(zeros[:blocks], 2)
        scale, high_scale = np.split(scales[:blocks], 2)
        values["levels_4"] = low | high << 4
        values["scales_4"] = np.concatenate([scale, high_scale / HIGH]).astype(np.float16)
        values["zeros_4"] = zero | high_zero << 4
    if matrix.split.many:
        values["levels_8"] = levels[few:]
        values["scales_8"] = scales[blocks:].astype(np.float16)
        values["zeros_8"] = zeros[blocks:]
    if matrix.split.kept:
        values["kept"] = array(matrix.kept_RN).astype(np.float16)
    return values


def add_linear(graph: Graph, x: str, name: str, matrix: Matrix, bias: Tensor | None = None) -> str:
    """x W + b; the last axis of `x` is the channels."""
    stored = Stored.of(graph, name, matrix)
    y = product(graph, shared_out(graph, x, f"{name}.order", matrix), stored)
    return y if bias is None else graph.op("Add", y, graph.constant(f"{name}.bias", array(bias)))


def add_linears(graph: Graph, x: str, name: str, matrix: Matrix, parts: Sequence[str]) -> list[str]:
    """x W, its outputs in parts of one size, each multiplied apart, so that its weights alone are unpacked."""
    size = outputs(matrix) // len(parts)
    cut = [columns(matrix, slice(start, start + size)) for start in range(0, outputs(matrix), size)]
    xs = shared_out(graph, x, f"{name}.order", matrix)
    return [product(graph, xs, Stored.of(graph, f"{name}.{part}", own)) for part, own in zip(parts, cut, strict=True)]


def shared_out(graph: Graph, x: str, name: str, matrix: Matrix) -> list[str]:
    """The channels of `x` as the parts of the matrix want them."""
    if isinstance(matrix, Tensor):
        return [x]
    split = matrix.split
    sizes = [size for size in (split.few, split.many, split.kept) if size]
    x = graph.op("Gather", x, graph.constant(name, array(matrix.order_K).astype(np.int32)), axis=-1)
    return [x] if len(sizes) == 1 else graph.ops("Split", x, graph.integers(*sizes), names=len(sizes), axis=-1)


def product(graph: Graph, xs: list[str], stored: Stored) -> str:
    """x W, of what `shared_out` makes of x: a product for each part, summed."""
    y, *others = [graph.op("MatMul", x, part) for x, part in zip(xs, _parts(graph, stored), strict=True)]
    for other in others:
        y = graph.op("Add", y, other)
    return y


def _parts(graph: Graph, stored: Stored) -> list[str]:
    if isinstance(stored.matrix, Tensor):
        return [stored.parts["weight"]]
    return _dequantised(graph, stored.matrix, stored.parts)


def rows(graph: Graph, matrix: Matrix, parts: dict[str, str]) -> str:
    """[M, K] from some outputs' columns of each of a stored matrix's parts."""
    if isinstance(matrix, Tensor):
        return graph.op("Transpose", parts["weight"], perm=[1, 0])
    ordered = graph.op("Concat", *_dequantised(graph, matrix, parts), axis=0)
    places = graph.integers(*matrix.order_K.argsort().tolist())
    return graph.op("Transpose", graph.op("Gather", ordered, places, axis=0), perm=[1, 0])


def _dequantised(graph: Graph, matrix: Rounded, parts: dict[str, str]) -> list[str]:
    """In fp32, channel after channel: those in 4 bits, those in 8, those kept."""
    pieces = []
    if "levels_4" in parts:
        levels, zeros = (_halves(graph, parts[part]) for part in ("levels_4", "zeros_4"))
        pieces.append((matrix.split.few_block, levels, _fp32(graph, parts["scales_4"]), zeros))
    if "levels_8" in parts:
        pieces.append((matrix.split.block, parts["levels_8"], _fp32(graph, parts["scales_8"]), parts["zeros_8"]))
    kept = [_fp32(graph, parts["kept"])] if "kept" in parts else []
    return [graph.op("DequantizeLinear", *piece, axis=0, block_size=block) for block, *piece in pieces] + kept


def _halves(graph: Graph, packed: str) -> str:
    """What the lower halves of bytes hold, and below it what the upper ones do, where it stands."""
    masks = (graph.scalar(mask, np.uint8) for mask in (LOW_BITS, HIGH_BITS))
    return graph.op("Concat", *(graph.op("BitwiseAnd", packed, mask) for mask in masks), axis=0)


def _fp32(graph: Graph, value: str) -> str:
    return graph.op("Cast", value, to=FLOAT)
