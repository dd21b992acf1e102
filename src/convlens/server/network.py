"""`GET /v1/network`: the network as a strip of stages, and every layer with what it costs and sees."""

from __future__ import annotations

from typing import Any

from torch import nn

from convlens.graph import bare_network
from convlens.server.endpoint import Asked, Doc
from convlens.server.inside import PROBABILITIES, Inside, Layer, given_by, inside
from convlens.server.numpy_engine import engines_of
from convlens.server.shelf import ServedRun

ROUNDING = "FakeQuantised"  # before the kind of a layer of a run in 8 bits
TEXT, COUNT, LIST = {"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"type": "object"}}
NETWORK_DOC = Doc(
    "The stages and layers of a network, with shapes, parameters, multiply-accumulates and receptive fields.",
    answer={
        "run": TEXT,
        "input": {
            "type": "object",
            "description": "shape (channels, height, width), mean and std of the preprocessing",
        },
        "stages": LIST,
        "layers": LIST,
        "parameters": COUNT,
        "macs": COUNT,
        "classes": {"type": "array", "items": TEXT},
        "engines": {"type": "array", "items": TEXT, "description": "those that /v1/unit takes for this network"},
    },
)


def network(asked: Asked) -> dict[str, Any]:
    served = asked.served
    known = inside(served)
    at_work = {call.path for call in known.graph.finished if call.last > call.first}
    stages = [path for path in stage_paths(served.model) if path in at_work] or [""]  # functions alone: all is one
    within = stages_of(known, stages)
    preprocess = served.run.preprocess
    return {
        "run": served.name,
        "input": {
            "shape": served.run.input_shape[1:],
            "channels": preprocess.channels,
            "height": preprocess.size[0],
            "width": preprocess.size[1],
            "mean": preprocess.mean,
            "std": preprocess.std,
        },
        "stages": [_stage(known, path, within) for path in stages],
        "layers": [*(_layer(known, layer, within) for layer in known.layers), _probabilities(served, stages)],
        "parameters": known.measure.parameters,
        "macs": known.measure.macs,
        "complete": known.measure.complete,
        "classes": served.run.classes,
        "engines": engines_of(served),
    }


def stage_paths(model: nn.Module) -> list[str]:
    """The children of `stages` where the network has them, between its stem and its head; else its own children."""
    model = bare_network(model)
    paths: list[str] = []
    for name, child in model.named_children():
        inner = [f"{name}.{one}" for one, _ in child.named_children()] if name == "stages" else []
        paths += inner or [name]
    return paths


def stages_of(known: Inside, stages: list[str]) -> dict[str, str]:
    """Layer -> stage; an operation between stages belongs to the one before, or to the first."""
    within: dict[str, str] = {}
    stage = stages[0]
    for layer in known.layers:
        stage = next((path for path in stages if is_within(layer.path, path)), stage)
        within[layer.path] = stage
    return within


def _stage(known: Inside, path: str, within: dict[str, str]) -> dict[str, Any]:
    last = [call for call in known.graph.finished if call.path == path and call.last > call.first][-1]
    rows = [layer.row for layer in known.layers if within[layer.path] == path]
    node = given_by(last)
    assert node is not None  # it ran
    shape = known.shape(node)
    macs = [row.macs for row in rows]
    return {
        "path": path,
        "title": f"{path.rpartition('.')[2]} · {last.kind}" if path else last.kind,
        "kind": last.kind,
        "first": last.first,
        "last": node,
        "shape": shape[1:],
        "spatial": is_spatial(shape),
        "parameters": sum(row.parameters for row in rows),
        "macs": None if None in macs else sum(one for one in macs if one is not None),
        "receptive_field": _field(known, node),
    }


def _layer(known: Inside, layer: Layer, within: dict[str, str]) -> dict[str, Any]:
    row = layer.row
    return {
        "path": layer.path,
        "node": layer.node,
        "kind": row.kind,
        "title": title_of(known, layer),
        "shape": row.output_shape[1:],
        "parameters": row.parameters,
        "macs": row.macs,
        "receptive_field": row.receptive_field,
        "whole_picture": row.whole_picture,
        "exact": row.exact,
        "stride": row.stride,
        "stage": within[layer.path],
        "spatial": is_spatial(row.output_shape),
        "calls": row.calls,
    }


def _probabilities(served: ServedRun, stages: list[str]) -> dict[str, Any]:
    return {
        "path": PROBABILITIES,
        "node": PROBABILITIES,
        "kind": "Softmax",
        "title": "softmax" if served.run.temperature == 1 else f"softmax, temperature {served.run.temperature:.3g}",
        "shape": [len(served.run.classes)],
        "parameters": 0,
        "macs": None,
        "receptive_field": None,
        "whole_picture": True,
        "exact": True,
        "stride": None,
        "stage": stages[-1],
        "spatial": False,
        "calls": 1,
    }


def title_of(known: Inside, layer: Layer) -> str:
    """The kind, and of a convolution or a pooling its window; of a layer that rounds, that it does."""
    kind = layer.row.kind.removeprefix(ROUNDING)
    bits = "" if kind == layer.row.kind else ", 8 bits"
    return f"{kind}{_window(known, layer)}{bits}"


def _window(known: Inside, layer: Layer) -> str:
    call = next((one for one in known.graph.finished if one.path == layer.row.path and one.is_leaf), None)
    inner = known.graph.nodes[call.first : call.last] if call is not None else ()
    for node in inner:
        given = node.attributes
        kernel = given.get("kernel_size")
        if kernel:
            words = f" {'×'.join(map(str, kernel))}"
            stride = given.get("stride") or kernel
            words += f", stride {stride[0]}" if max(stride) > 1 else ""
            groups = given.get("groups", 1)
            depthwise = groups > 1 and node.operands()[0].shape[1] == groups
            return f"{words}, depthwise" if depthwise else f"{words}, {groups} groups" if groups > 1 else words
    return ""


def is_within(path: str, stage: str) -> bool:
    """ "stages.0/add" and "stages.0.conv" are within "stages.0"."""
    return path == stage or path.startswith((f"{stage}.", f"{stage}/", f"{stage}:"))


def is_spatial(shape: tuple[int, ...]) -> bool:
    """A map of more than one position for each channel."""
    return len(shape) == 4 and shape[0] == 1 and shape[2] * shape[3] > 1


def _field(known: Inside, node: int) -> Any:
    field = known.graph.receptive_field(node) if node >= 0 else None
    return None if field is None else field.size
