"""The arithmetic around a network, added to an ONNX file that exists already, as the int8 one does.

What `Deployed` is to a network this is to a graph: uint8 pixels (N, H, W, C) in, probabilities (N, K) out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.exporting.metadata import INSIDE
from convlens.exporting.packages import load
from convlens.pictures import Preprocess


def with_arithmetic(data: bytes, preprocess: Preprocess, temperature: float) -> bytes:
    """A file of `images` to `logits` -> one of `pixels` to `probabilities`; its metadata stay."""
    onnx = load("onnx", "an ONNX file")
    model = onnx.load_from_string(data)
    graph, helper = model.graph, onnx.helper
    (images,), (logits,) = graph.input, graph.output
    batch = images.type.tensor_type.shape.dim[0].dim_param
    mean, std = (np.array(values, np.float32).reshape(1, -1, 1, 1) for values in (preprocess.mean, preprocess.std))
    values = {"around.scale": 1 / (255 * std), "around.offset": mean / std}
    values["around.temperature"] = np.array(temperature, np.float32)
    before = [
        helper.make_node("Transpose", [INSIDE.input], ["around.planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["around.planes"], ["around.floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["around.floats", "around.scale"], ["around.scaled"]),
        helper.make_node("Sub", ["around.scaled", "around.offset"], [images.name]),
    ]
    after = [
        helper.make_node("Div", [logits.name, "around.temperature"], ["around.tempered"]),
        helper.make_node("Softmax", ["around.tempered"], [INSIDE.output], axis=1),
    ]
    nodes = [*before, *graph.node, *after]
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in values.items())
    pixels = helper.make_tensor_value_info(
        INSIDE.input, onnx.TensorProto.UINT8, [batch, *preprocess.size, preprocess.channels]
    )
    classes = logits.type.tensor_type.shape.dim[1].dim_value
    probabilities = helper.make_tensor_value_info(INSIDE.output, onnx.TensorProto.FLOAT, [batch, classes])
    _replace(graph.node, nodes)
    _replace(graph.input, [pixels])
    _replace(graph.output, [probabilities])
    return bytes(model.SerializeToString())


def _replace(field: Any, values: list[Any]) -> None:
    kept = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(kept)
