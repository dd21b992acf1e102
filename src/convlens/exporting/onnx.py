"""A network as ONNX: one file, any number of pictures at a time (ONNX operators, https://onnx.ai/onnx/operators)."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from convlens.errors import ExportError, MissingExtra
from convlens.graph import bare_network

INPUT, OUTPUT = "images", "logits"
TRACED_BATCH = 2  # torch.export takes a batch of one for a constant


def onnx_bytes(network: nn.Module, input_shape: Sequence[int], *, metadata: Mapping[str, str] | None = None) -> bytes:
    """A network in evaluation mode and the shape of one picture (C, H, W) -> the bytes of one ONNX file.

    Its input `images` is float32 (N, C, H, W) with N free, its output `logits`; `metadata` goes into the file's
    properties. The network itself stays as it is. Raises MissingExtra without onnx and onnxscript, ExportError for
    what torch.export or ONNX cannot express.
    """
    _check_installed()
    copied = copy.deepcopy(bare_network(network)).eval().cpu().requires_grad_(False)
    example = torch.zeros(TRACED_BATCH, *input_shape)
    try:
        with _quietly(), torch.no_grad():
            program = torch.onnx.export(
                copied,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except Exception as error:
        raise ExportError(f"{type(network).__name__} does not go into ONNX: {_reason(error)}") from error
    model: Any = program.model_proto  # type: ignore[union-attr]
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString())


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except Exception as error:
        raise MissingExtra("onnx with onnxscript", "export", "an ONNX file") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter tells its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(error: BaseException) -> str:
    """The innermost cause, in one line: the exporter wraps it in pages."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
    return f"{type(error).__name__}: {line}"
