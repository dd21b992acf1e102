"""A network as ONNX: one file, any number of pictures at a time (ONNX operators, https://onnx.ai/onnx/operators)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from convlens.errors import ExportError
from convlens.exporting.deployed import Given, at_rest, example, signature_in
from convlens.exporting.metadata import OUTSIDE
from convlens.exporting.packages import check_installed
from convlens.exporting.quiet import CONSTANT_BATCH, quietly, reason

INPUT, OUTPUT = OUTSIDE.input, OUTSIDE.output


def onnx_bytes(network: nn.Module, given: Given, *, metadata: Mapping[str, str] | None = None) -> bytes:
    """A network and the shape of one picture (C, H, W) -> the bytes of one ONNX file.

    Its input `images` is float32 (N, C, H, W) with N free, its output `logits`; of a `Deployed` network they are
    `pixels` and `probabilities`. Where a tensor is given in place of the shape, such as the numbers of words (N, T),
    the input is called `inputs` and has its type, and its sizes but for N. `metadata` goes into the file's properties,
    and no path of this machine. The network itself stays as it is. Raises MissingExtra without onnx and onnxscript,
    ExportError for what torch.export or ONNX cannot express.
    """
    check_installed("onnx", "onnxscript", purpose="an ONNX file")
    copied, signature = at_rest(network), signature_in(network, given)
    try:
        with quietly(), torch.no_grad():
            program = torch.onnx.export(
                copied,
                (example(copied, given),),
                dynamo=True,
                verbose=False,
                input_names=[signature.input],
                output_names=[signature.output],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
            model: Any = program.model_proto  # type: ignore[union-attr]
            _check_batch(model.graph, type(network).__name__)
            _forget_the_source(model)
            _tell(model, metadata or {})
            return bytes(model.SerializeToString())  # which refuses more than 2 GB
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{type(network).__name__} does not go into ONNX: {reason(error)}") from error


def _check_batch(graph: Any, name: str) -> None:
    """ExportError where the first size of what goes in or comes out is a number: torch then traced for that many."""
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.shape.dim[:1] and value.type.tensor_type.shape.dim[0].HasField("dim_value"):
            raise ExportError(f"{name} does not go into ONNX: {CONSTANT_BATCH}")


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """That a file grows by when it takes these texts along."""
    from onnx import ModelProto

    alone: Any = ModelProto()
    _tell(alone, metadata)
    return int(alone.ByteSize())


def _tell(model: Any, metadata: Mapping[str, str]) -> None:
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)


def _forget_the_source(model: Any) -> None:
    """Drop where in whose files each operator came from: a third of a small model, and private."""
    for part in _parts(model.graph):
        del part.metadata_props[:]
    for function in model.functions:
        for part in (function, *function.node):
            del part.metadata_props[:]


def _parts(graph: Any) -> Iterable[Any]:
    yield from (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _parts(inner)
