"""What the graph of an export has in memory at once, beside its weights as they are stored, in onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from understudy_worker.edge.calibration import rounded_weights
from understudy_worker.edge.files import GRAPH_FILE, write_graph
from understudy_worker.edge.student import architecture_of, build
from understudy_worker.forward import Tokens
from understudy_worker.packed import ATTENTION

LAYERS, HIDDEN, INNER, VOCABULARY, LENGTH = 12, 128, 512, 16_384, 48
# A matrix of the vocabulary's first chunk in fp32, and that chunk's logits, twice.
LARGEST = 4 * (HIDDEN * 2048 + 2 * LENGTH * 2048)


def written(folder: Path) -> LlamaForCausalLM:
    torch.manual_seed(7)
    sizes = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "head_dim": 16}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, tie_word_embeddings=True, **sizes, **heads)).eval()
    model.set_attn_implementation(ATTENTION)
    weights = rounded_weights(
        model,
        [Tokens(tuple(range(LENGTH)), 1)],
        joints=architecture_of(model).JOINTS,
        precision="int4",
        progress=lambda done, total: None,
    )
    write_graph(build(model, weights), folder, tick=lambda: None)
    return model


def executed(folder: Path) -> list[tuple[str, int]]:
    """Nodes in the order in which onnxruntime runs them, each with the bytes that it yields."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"])
    ids = np.arange(LENGTH, dtype=np.int64)
    feeds: dict[str, Any] = {
        "input_ids": ids[None],
        "position_ids": ids[None],
        "seqlens_k": np.array([LENGTH - 1], np.int32),
        "total_length": np.array([LENGTH], np.int32),
        "rows": ids,
        "targets": ids,
    }
    for port in session.get_inputs():
        if port.name.startswith("past."):
            feeds[port.name] = np.zeros((1, port.shape[1], 0, port.shape[3]), np.float32)
    session.run(None, feeds)
    events = json.loads(Path(session.end_profiling()).read_text())
    suffix = "_kernel_time"
    return [
        (event["name"].removesuffix(suffix), int(event["args"]["output_size"]))
        for event in events
        if event["cat"] == "Node" and event["name"].endswith(suffix)
    ]


def most_at_once(folder: Path) -> int:
    """Bytes of intermediate values that are there together; each goes after the last node that reads it."""
    graph = onnx.load(folder / GRAPH_FILE, load_external_data=False).graph
    nodes = {node.name: node for node in graph.node}
    order = executed(folder)
    last = {name: place for place, (node, _) in enumerate(order) for name in nodes[node].input}
    kept = {output.name for output in graph.output}
    there: dict[str, float] = {}
    most = 0.0
    for place, (name, size) in enumerate(order):
        node = nodes[name]
        there |= dict.fromkeys(node.output, size / len(node.output))
        most = max(most, sum(size for value, size in there.items() if value not in kept))
        for value in [*node.input, *node.output]:
            if last.get(value, place) <= place:
                there.pop(value, None)
    return int(most)


def test_weights_are_unpacked_one_by_one_and_no_logits_wait_for_others(tmp_path: Path) -> None:
    model = written(tmp_path)
    unpacked = 4 * sum(parameter.numel() for parameter in model.parameters())
    logits = 4 * LENGTH * VOCABULARY
    assert min(unpacked, logits) / 1.5 > LARGEST, "sizes that tell it"
    assert most_at_once(tmp_path) <= LARGEST * 1.25


def test_the_file_tells_the_shapes_of_values(tmp_path: Path) -> None:
    """Without them a session takes twice as long to be created: among those that a look-up yields above all."""
    written(tmp_path)
    graph = onnx.load(tmp_path / GRAPH_FILE, load_external_data=False).graph
    told = {value.name for value in graph.value_info if value.type.tensor_type.HasField("shape")}
    looked_up = [node.output[0] for node in graph.node if node.op_type in ("Where", "DequantizeLinear")]
    assert looked_up and told.issuperset(looked_up)
