"""Matrices in the graph, as they are stored: in fp32, or rounded and read through DequantizeLinear.

A plain product with weights dequantised beforehand is several times faster in WebAssembly than onnxruntime's own
operator for weights of few bits, MatMulNBits: 0.8 to 1.1 ns a weight and row against 2.7 to 7.7 (measured).

Shape suffixes: K input channels, N outputs, B blocks of input channels, R channels kept in fp32, h half of the K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
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


def outputs(matrix: Matrix) -> int:
    return (matrix if isinstance(matrix, Tensor) else matrix.levels_KN).shape[1]


def plain(matrix: Matrix) -> Tensor:
    """[K, N] in fp32, as the graph computes with it."""
    return matrix if isinstance(matrix, Tensor) else matrix.weight_KN()


def columns(matrix: Matrix, part: slice) -> Matrix:
    """The matrix with some of its outputs."""
    if isinstance(matrix, Tensor):
        return matrix[:, part]
    return Rounded(
        bits=matrix.bits,
        levels_KN=matrix.levels_KN[:, part],
        scales_BN=matrix.scales_BN[:, part],
        zeros_BN=matrix.zeros_BN[:, part],
        kept_R=matrix.kept_R,
        kept_RN=matrix.kept_RN[:, part],
    )


@dataclass(frozen=True)
class Stored:
    """Names of a matrix's constants: of one in fp32 `levels` is all there is, of one without kept channels `kept` is
    empty. In 4 bits channel k and channel k + K/2 share a byte, the latter in its upper half: read where it stands it
    is a number 16 times as large, which is why its scale is stored divided by 16 and its zero point multiplied."""

    matrix: Matrix
    levels: str
    scales: str = ""
    zeros: str = ""
    kept: str = ""

    @classmethod
    def of(cls, graph: Graph, name: str, matrix: Matrix) -> Stored:
        if isinstance(matrix, Tensor):
            return cls(matrix, graph.constant(name, array(matrix)))
        levels, scales, zeros = array(matrix.levels_KN), array(matrix.scales_BN), array(matrix.zeros_BN)
        if matrix.bits == 4:
            (low, high), blocks = np.split(levels, 2), len(scales) // 2
            levels = low | high << 4
            scales = np.concatenate([scales[:blocks], scales[blocks:] / HIGH])
            zeros = np.concatenate([zeros[:blocks], zeros[blocks:] * HIGH])
        return cls(
            matrix,
            graph.constant(f"{name}.levels", levels),
            graph.constant(f"{name}.scales", scales.astype(np.float16)),
            graph.constant(f"{name}.zeros", zeros.astype(np.uint8)),
            graph.constant(f"{name}.kept", array(matrix.kept_RN)) if len(matrix.kept_R) else "",
        )

    @property
    def parts(self) -> list[str]:
        return [part for part in (self.levels, self.scales, self.zeros, self.kept) if part]


def add_linear(graph: Graph, x: str, name: str, matrix: Matrix, bias: Tensor | None = None) -> str:
    """x W + b; the last axis of `x` is the channels."""
    y = product(graph, x, Stored.of(graph, name, matrix))
    return y if bias is None else graph.op("Add", y, graph.constant(f"{name}.bias", array(bias)))


def product(graph: Graph, x: str, stored: Stored) -> str:
    """x W. The halves of 4 bits have a product each, and the channels kept in fp32."""
    matrix = stored.matrix
    if isinstance(matrix, Tensor):
        return graph.op("MatMul", x, stored.levels)
    weights = dequantised(graph, matrix, stored.levels, stored.scales, stored.zeros)
    xs = [x] if len(weights) == 1 else graph.ops("Split", x, names=2, axis=-1, num_outputs=2)
    if stored.kept:
        xs.append(graph.op("Gather", x, graph.integers(*matrix.kept_R.tolist()), axis=-1))
        weights.append(stored.kept)
    y, *others = [graph.op("MatMul", part, weight) for part, weight in zip(xs, weights, strict=True)]
    for other in others:
        y = graph.op("Add", y, other)
    return y


def rows(graph: Graph, matrix: Matrix, parts: list[str]) -> str:
    """[M, K] from some outputs' columns of a stored matrix, [K or h or B or R, M] of each of its parts."""
    if isinstance(matrix, Tensor):
        return graph.op("Transpose", parts[0], perm=[1, 0])
    weights = dequantised(graph, matrix, *parts[:3])
    weight_KM = weights[0] if len(weights) == 1 else graph.op("Concat", *weights, axis=0)
    if len(matrix.kept_R):
        places_KR = torch.zeros(len(matrix.levels_KN), len(matrix.kept_R))
        places_KR[matrix.kept_R, torch.arange(len(matrix.kept_R))] = 1
        name = f"places_{len(graph.constants)}"
        kept_KM = graph.op("MatMul", graph.constant(name, array(places_KR)), parts[3])
        weight_KM = graph.op("Add", weight_KM, kept_KM)
    return graph.op("Transpose", weight_KM, perm=[1, 0])


def dequantised(graph: Graph, matrix: Rounded, levels: str, scales: str, zeros: str) -> list[str]:
    """[K, N] in fp32, or two halves of it, [h, N]."""
    scales = graph.op("Cast", scales, to=FLOAT)
    if matrix.bits == 8:
        return [graph.op("DequantizeLinear", levels, scales, zeros, axis=0, block_size=matrix.block)]
    halves = zip(
        (LOW_BITS, HIGH_BITS),
        graph.ops("Split", scales, names=2, axis=0, num_outputs=2),
        graph.ops("Split", zeros, names=2, axis=0, num_outputs=2),
        strict=True,
    )
    return [
        graph.op(
            "DequantizeLinear",
            graph.op("BitwiseAnd", levels, graph.scalar(mask, np.uint8)),
            scales,
            zeros,
            axis=0,
            block_size=matrix.block,
        )
        for mask, scales, zeros in halves
    ]
