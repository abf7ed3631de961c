"""An ONNX graph as it is built: nodes in order, constants by name, each stored once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, shape_inference

# Opset 21 is the first whose DequantizeLinear knows blocks.
OPSET = 21
IR_VERSION = 10
# Operators that onnxruntime has beyond ONNX.
MICROSOFT = "com.microsoft"
PRODUCER = "understudy"

FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32

Array = NDArray[Any]
# Name, element type, dimensions.
Port = tuple[str, int, Sequence[int | str]]


class Graph:
    """Values are named by strings, as ONNX does; what an operator yields is the name of its output."""

    def __init__(self) -> None:
        self.inputs: list[Port] = []
        self.outputs: list[Port] = []
        self.constants: dict[str, Array] = {}
        self._nodes: list[onnx.NodeProto] = []

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """A node with one output, named where the name matters."""
        return self.ops(kind, *inputs, names=1 if name is None else [name], **attributes)[0]

    def ops(self, kind: str, *inputs: str, names: int | list[str], domain: str = "", **attributes: Any) -> list[str]:
        """A node with several outputs, so many or so named."""
        if isinstance(names, int):
            names = [f"{kind}_{len(self._nodes)}_{part}" for part in range(names)]
        self._nodes.append(
            helper.make_node(kind, inputs, names, name=f"{kind}_{len(self._nodes)}", domain=domain, **attributes)
        )
        return names

    def constant(self, name: str, value: Array) -> str:
        """A tensor of the file; its name must be new."""
        assert name not in self.constants, name
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def integers(self, *values: int) -> str:
        """A vector of int64, such as axes and shapes."""
        return self._shared("i_" + "_".join(map(str, values)), np.array(values, np.int64))

    def scalar(self, value: int | float, dtype: Any) -> str:
        return self._shared(f"{np.dtype(dtype).name}_{value}", np.array(value, dtype))

    def model(self, constants: Sequence[onnx.TensorProto]) -> onnx.ModelProto:
        """The model; `constants` are this graph's, in whatever way they are stored."""
        made = helper.make_graph(
            self._unpacking_first(),
            "student",
            [helper.make_tensor_value_info(*port) for port in self.inputs],
            [helper.make_tensor_value_info(*port) for port in self.outputs],
            constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name=PRODUCER)
        # Among values whose shapes it is not told onnxruntime finds none that can have the memory of another, and asks
        # each for each: a session takes twice as long to be created (measured).
        return shape_inference.infer_shapes(model)

    def _unpacking_first(self) -> list[onnx.NodeProto]:
        """The nodes, those that depend on constants alone first. Of what a node needs onnxruntime computes first what
        stands last, so weights are unpacked when the states that they multiply are there, and not all at once."""
        known = set(self.constants)
        unpacking: list[onnx.NodeProto] = []
        others: list[onnx.NodeProto] = []
        for node in self._nodes:
            fixed = known.issuperset(node.input)
            (unpacking if fixed else others).append(node)
            known.update(node.output if fixed else ())
        return unpacking + others

    def _shared(self, name: str, value: Array) -> str:
        self.constants.setdefault(name, value)
        return name
