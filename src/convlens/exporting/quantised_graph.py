"""The graph of an int8 ONNX file: made ready before ONNX Runtime quantises it, and tidied afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convlens.exporting.calibration import FAR, Range, Ranges

MOVING = ("MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")


def prepared(onnx: bytes) -> Any:
    """A float32 file -> its graph with batch norms folded, the shapes of all tensors, and means as poolings."""
    from onnx import load_model
    from onnxruntime.quantization import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        given, path = Path(folder) / "given.onnx", Path(folder) / "prepared.onnx"
        given.write_bytes(onnx)
        try:
            quant_pre_process(str(given), path)
        except Exception:  # of its symbolic shapes, which lack rules for some operators, such as an amax
            quant_pre_process(str(given), path, skip_symbolic_shape=True)
        model = load_model(path)
    _name_poolings(model.graph)
    return model


def tidied(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """An int8 file with this metadata and float32 logits, without what nobody needs: a tenth, in small networks."""
    from onnx import load_model_from_string

    model = load_model_from_string(data)
    _keep_logits(model.graph)
    _drop_zeros(model.graph)
    del model.metadata_props[:], model.graph.value_info[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    for node in model.graph.node:
        del node.metadata_props[:]
    return bytes(model.SerializeToString())


def metadata_of(onnx: bytes) -> dict[str, str]:
    from onnx import load_model_from_string

    return {entry.key: entry.value for entry in load_model_from_string(onnx).metadata_props}


def ranges_before(graph: Any, layers: Mapping[str, Range]) -> Ranges:
    """Ranges of the inputs of layers, by their path -> those of tensors.

    Nothing for a layer whose weights have another name in the graph, as where a constant factor was folded into them.
    """
    found = {}
    for node in graph.node:
        path = node.input[1].removesuffix(".weight") if len(node.input) > 1 else ""
        if node.op_type in ("Conv", "Gemm", "MatMul") and path in layers:
            found[node.input[0]] = layers[path]
    for node in reversed(graph.node):
        if node.op_type in MOVING and node.output[0] in found:  # ONNX Runtime takes the range of what goes in
            found.setdefault(node.input[0], found[node.output[0]])
    _bound(graph, found)
    return found


def _bound(graph: Any, found: Ranges) -> None:
    """What Relu and Clip make reaches no farther than they let it, whatever else the same layer reads elsewhere.

    ONNX Runtime drops them where the rounding behind them clips; it takes for granted that this does the same.
    """
    for node, low, high in _gates(graph):
        if node.output[0] in found:
            ends = np.clip(found[node.output[0]], low, high)
            found[node.output[0]] = (float(ends[0]), float(ends[1]))


def _gates(graph: Any) -> list[tuple[Any, float, float]]:
    """Relu and Clip, and from where to where they give."""
    stored = _stored_numbers(graph)
    found = []
    for node in graph.node:
        if node.op_type in ("Relu", "Clip"):
            least, most = [*node.input[1:], "", ""][:2]
            low = 0.0 if node.op_type == "Relu" else float(stored.get(least, -np.inf))
            found.append((node, low, float(stored.get(most, np.inf))))
    return found


def gates_beside_zero(graph: Any) -> list[str]:
    """The names of what never gives 0, as a clip to 0.5 … 1, and so clips more than the 8-bit numbers behind it."""
    return [node.name for node, low, high in _gates(graph) if low > 0 or high < 0]


def _stored_numbers(graph: Any) -> dict[str, np.ndarray]:
    from onnx.numpy_helper import to_array

    return {tensor.name: to_array(tensor).reshape(()) for tensor in graph.initializer if tensor.dims in ([], [1])}


def far_paddings(graph: Any) -> list[str]:
    """The names of the paddings with what stands for infinity, which has no 8-bit number: a max-pooling's, as
    TensorFlow's are, or a min-pooling's."""
    far = {name for name, value in _stored_numbers(graph).items() if value <= FAR or value == np.inf}
    return [node.name for node in graph.node if node.op_type == "Pad" and far & set(node.input[2:3])]


def _name_poolings(graph: Any) -> None:
    """A mean over height and width as the pooling that it is: that one ONNX Runtime computes in 8 bits.

    A mean that gives the logits stays: they are not to be rounded.
    """
    from onnx.numpy_helper import to_array

    logits = _before_reshaping(graph)
    stored = {tensor.name: to_array(tensor).tolist() for tensor in graph.initializer}
    shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
    for node in graph.node:
        if node.op_type != "ReduceMean" or len(node.input) != 2 or logits in node.output:
            continue
        if len(shapes.get(node.input[0], ())) != 4:
            continue
        keeps = all(attribute.i for attribute in node.attribute if attribute.name == "keepdims")
        if keeps and sorted(axis % 4 for axis in stored.get(node.input[1], ())) == [2, 3]:
            node.op_type = "GlobalAveragePool"
            del node.input[1], node.attribute[:]
    _drop_unused(graph)


def _before_reshaping(graph: Any) -> str:
    """The tensor whose numbers the output has."""
    made = {output: node for node in graph.node for output in node.output}
    name = graph.output[0].name
    while name in made and made[name].op_type in ("Reshape", "Flatten", "Squeeze"):
        name = made[name].input[0]
    return str(name)


def _keep_logits(graph: Any) -> None:
    """The last operator gives its logits as they are, not rounded to 256 levels."""
    made = {output: node for node in graph.node for output in node.output}
    last = made[graph.output[0].name]
    if last.op_type != "DequantizeLinear" or made[last.input[0]].op_type != "QuantizeLinear":
        return
    rounded = made[last.input[0]]
    logits = rounded.input[0]
    if logits in made and sum(logits in node.input for node in graph.node) == 1:
        made[logits].output[0] = last.output[0]
        graph.node.remove(rounded)
        graph.node.remove(last)
        _drop_unused(graph)


def _drop_zeros(graph: Any) -> None:
    """Convolutions need no zero points for weights and biases: they are 0. ONNX Runtime's Gemm asks for them."""
    from onnx.numpy_helper import to_array

    stored = {tensor.name: tensor for tensor in graph.initializer}
    convolved = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]}
    for node in graph.node:
        scaled = node.op_type == "DequantizeLinear" and node.output[0] in convolved and len(node.input) == 3
        if scaled and not to_array(stored[node.input[2]]).any():
            del node.input[2]
    _drop_unused(graph)


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
