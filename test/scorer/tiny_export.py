"""Exports a small Llama in fp32 as the edge runs it: the graph, its weights in several files, the tokenizer.

python test/scorer/tiny_export.py MODEL_FOLDER OUT
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from transformers import AutoModelForCausalLM, AutoTokenizer
from understudy_worker.digests import template_digest, tokenizer_digest, weights_digest

LIKELIEST = 20
# Small, so that a tiny model has several files too.
FILE_BYTES = 64 * 1024


class Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def const(self, value: Any, name: str | None = None) -> str:
        name = name or f"const_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(
        self, kind: str, inputs: list[str], outputs: int | list[str] = 1, domain: str = "", **attributes: Any
    ) -> Any:
        number = len(self.nodes)
        names = outputs if isinstance(outputs, list) else [f"{kind}_{number}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, f"node_{number}", domain=domain, **attributes))
        return names[0] if len(names) == 1 else names


def llama(model: Any) -> onnx.ModelProto:
    config, graph = model.config, Graph()
    weights = {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}
    heads, shared, width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    own = "com.microsoft"
    linear = lambda x, name: graph.op("MatMul", [x, graph.const(weights[f"{name}.weight"].T, name)])  # noqa: E731
    norm = lambda x, name: graph.op(  # noqa: E731
        "SimplifiedLayerNormalization", [x, graph.const(weights[f"{name}.weight"], name)], epsilon=config.rms_norm_eps
    )
    angles = np.outer(np.arange(config.max_position_embeddings), model.model.rotary_emb.inv_freq.float().numpy())
    cos, sin = graph.const(np.cos(angles).astype(np.float32)), graph.const(np.sin(angles).astype(np.float32))
    embedding = graph.const(weights["model.embed_tokens.weight"], "embedding")
    rotate = lambda x, count: graph.op(  # noqa: E731
        "RotaryEmbedding", [x, "position_ids", cos, sin], domain=own, num_heads=count
    )
    x = graph.op("Gather", [embedding, "input_ids"])
    for i in range(config.num_hidden_layers):
        layer = f"model.layers.{i}"
        y = norm(x, f"{layer}.input_layernorm")
        q, k, v = (linear(y, f"{layer}.self_attn.{part}_proj") for part in "qkv")
        attention = graph.op(
            "GroupQueryAttention",
            [rotate(q, heads), rotate(k, shared), v, f"past.{i}.key", f"past.{i}.value", "seqlens_k", "total_length"],
            [f"attention.{i}", f"present.{i}.key", f"present.{i}.value"],
            own,
            num_heads=heads,
            kv_num_heads=shared,
        )[0]
        x = graph.op("Add", [x, linear(attention, f"{layer}.self_attn.o_proj")])
        y = norm(x, f"{layer}.post_attention_layernorm")
        gate = linear(y, f"{layer}.mlp.gate_proj")
        gated = graph.op(
            "Mul", [graph.op("Mul", [gate, graph.op("Sigmoid", [gate])]), linear(y, f"{layer}.mlp.up_proj")]
        )
        x = graph.op("Add", [x, linear(gated, f"{layer}.mlp.down_proj")])
    flat = graph.op("Reshape", [norm(x, "model.norm"), graph.const(np.array([-1, config.hidden_size]))])
    states = graph.op("Gather", [flat, "rows"])
    logits = graph.op("MatMul", [states, graph.op("Transpose", [embedding], perm=[1, 0])])
    logprobs = graph.op("LogSoftmax", [logits], axis=1)
    ones = graph.const(np.array([1]))
    picked = graph.op("GatherElements", [logprobs, graph.op("Unsqueeze", ["targets", ones])], axis=1)
    graph.op("Squeeze", [picked, ones], ["logprobs"])
    graph.op("TopK", [logprobs, graph.const(np.array([LIKELIEST]))], ["top_logprobs", "top_ids"], axis=1)
    return helper.make_model(
        helper.make_graph(graph.nodes, "student", *_signature(config, shared, width), graph.tensors),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(own, 1)],
        ir_version=10,
    )


def _signature(config: Any, shared: int, width: int) -> tuple[list[Any], list[Any]]:
    value, layers = helper.make_tensor_value_info, range(config.num_hidden_layers)
    text = ["batch", "length"]
    cache = lambda when, length: [  # noqa: E731
        value(f"{when}.{i}.{what}", TensorProto.FLOAT, ["batch", shared, length, width])
        for i in layers
        for what in ("key", "value")
    ]
    inputs = [value(name, TensorProto.INT64, text) for name in ("input_ids", "position_ids")]
    inputs += [value("seqlens_k", TensorProto.INT32, ["batch"]), value("total_length", TensorProto.INT32, [1])]
    inputs += [value(name, TensorProto.INT64, ["n"]) for name in ("rows", "targets")]
    outputs = [value("logprobs", TensorProto.FLOAT, ["n"])]
    outputs += [
        value("top_logprobs", TensorProto.FLOAT, ["n", LIKELIEST]),
        value("top_ids", TensorProto.INT64, ["n", LIKELIEST]),
    ]
    return [*inputs, *cache("past", "past")], [*outputs, *cache("present", "total")]


def write(model: onnx.ModelProto, out: Path) -> None:
    """The graph, and beside it its larger tensors."""
    files: list[bytearray] = []
    for tensor in model.graph.initializer:
        raw = tensor.raw_data
        if len(raw) < 1024:
            continue
        if not files or len(files[-1]) + len(raw) > FILE_BYTES:
            files.append(bytearray())
        place = {"location": f"weights-{len(files) - 1}.bin", "offset": str(len(files[-1])), "length": str(len(raw))}
        files[-1] += raw
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in place.items():
            tensor.external_data.add(key=key, value=text)
    for number, content in enumerate(files):
        (out / f"weights-{number}.bin").write_bytes(content)
    (out / "student.onnx").write_bytes(model.SerializeToString())


def main(folder: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    config = model.config
    write(llama(model), out)
    (out / "tokenizer.json").write_text(tokenizer.backend_tokenizer.to_str())
    settings = {name: getattr(tokenizer, name) for name in ("chat_template", "bos_token", "eos_token")}
    (out / "tokenizer_config.json").write_text(json.dumps(settings))
    described = {
        "precision": "fp32",
        "architecture": type(model).__name__,
        "parameters": sum(one.numel() for one in model.parameters()),
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "context_length": config.max_position_embeddings,
        "likeliest": LIKELIEST,
        "end_id": tokenizer.eos_token_id,
        "stop_ids": [tokenizer.eos_token_id],
        "weights_digest": weights_digest(model),
        "tokenizer_digest": tokenizer_digest(tokenizer),
        "template_digest": template_digest(tokenizer),
    }
    (out / "export.json").write_text(json.dumps({"model": described}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
