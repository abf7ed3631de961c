"""The student as files that transformers.js reads, in each of its precisions.

The graph is the one that its own conversion would make: logits of every position, keys and values in and out, the same
fused operators; and it is quantised as that does, by onnxruntime's tools: `q8` by dynamic quantisation, `q4` in blocks
of 32. Output matrix and embeddings are one tensor in fp32, where that conversion stores two.

Standard input: {"folder", "out"}. Standard output: {}.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from transformers import AutoModelForCausalLM
from understudy_worker.edge import llama
from understudy_worker.edge.graph import FLOAT, INT64, Graph, Port
from understudy_worker.edge.layers import embeddings_KV, plain_weights
from understudy_worker.edge.matrices import array
from understudy_worker.edge.student import context_of

BLOCK = 32
CONFIGS = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def graph_of(folder: Path) -> onnx.ModelProto:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    weights = plain_weights(model, llama.JOINTS)
    graph = Graph()
    table = graph.constant("embeddings", array(embeddings_KV(model)))
    embedded = graph.op("Transpose", graph.op("Gather", table, "input_ids", axis=1), perm=[1, 2, 0])
    _lengths(graph)
    states = llama.add_body(graph, model, weights, embedded, context=context_of(model))
    graph.op("MatMul", llama.add_final_norm(graph, model, states), table, name="logits")
    heads = llama.heads(model)

    # transformers.js looks for a dimension of this name.
    def caches(name: str, length: str) -> list[Port]:
        shape: list[int | str] = ["batch_size", heads.key_values, length, heads.size]
        return [(f"{name}.{n}.{part}", FLOAT, shape) for n in range(len(weights.layers)) for part in ("key", "value")]

    read: list[int | str] = ["batch_size", "length"]
    graph.inputs = [("input_ids", INT64, read), ("attention_mask", INT64, ["batch_size", "total"]), ("position_ids", INT64, read)]
    graph.inputs += caches("past", "past")
    graph.outputs = [("logits", FLOAT, [*read, model.config.vocab_size]), *caches("present", "total")]
    made = graph.model([numpy_helper.from_array(value, name) for name, value in graph.constants.items()])
    _rename(made)
    return made


def _lengths(graph: Graph) -> None:
    """What attention wants to know, from the mask."""
    counted = graph.op("ReduceSum", "attention_mask", graph.integers(1), keepdims=0)
    last = graph.op("Sub", counted, graph.scalar(1, np.int64))
    graph.op("Cast", last, name="seqlens_k", to=onnx.TensorProto.INT32)
    total = graph.op("Gather", graph.op("Shape", "attention_mask"), graph.integers(1), axis=0)
    graph.op("Cast", total, name="total_length", to=onnx.TensorProto.INT32)


def _rename(model: onnx.ModelProto) -> None:
    """Keys and values that were read before, as transformers.js calls them."""
    for port in model.graph.input:
        port.name = _renamed(port.name)
    for node in model.graph.node:
        node.input[:] = [_renamed(name) for name in node.input]


def _renamed(name: str) -> str:
    return name.replace("past.", "past_key_values.", 1) if name.startswith("past.") else name


def main() -> None:
    request = json.load(sys.stdin)
    answer_to, sys.stdout = sys.stdout, sys.stderr
    folder, out = Path(request["folder"]), Path(request["out"])
    (out / "onnx").mkdir(parents=True)
    for name in CONFIGS:
        shutil.copy(folder / name, out / name)
    plain = out / "onnx" / "model.onnx"
    onnx.save(graph_of(folder), plain)
    # It cannot tell what comes out of the fused operators.
    told = {"DefaultTensorType": FLOAT}
    quantize_dynamic(plain, out / "onnx" / "model_quantized.onnx", weight_type=QuantType.QInt8, extra_options=told)
    quantizer = MatMulNBitsQuantizer(onnx.load(plain), block_size=BLOCK, is_symmetric=True)
    quantizer.process()
    onnx.save(quantizer.model.model, out / "onnx" / "model_q4.onnx")
    answer_to.write("{}")


if __name__ == "__main__":
    main()
