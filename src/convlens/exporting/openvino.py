"""A network as OpenVINO's IR (https://docs.openvino.ai): the topology in .xml, the weights in .bin beside it.

It is read from the ONNX file, whose metadata it keeps (`framework` in the rt_info of the .xml), and never converted
from torch, a way that reports to OpenVINO's makers. The weights stay float32: OpenVINO would halve them by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from convlens.errors import ExportError
from convlens.exporting.deployed import Given
from convlens.exporting.onnx import onnx_bytes
from convlens.exporting.packages import load
from convlens.exporting.quiet import reason


def openvino_bytes(
    network: nn.Module, given: Given, *, metadata: Mapping[str, str] | None = None
) -> tuple[bytes, bytes]:
    """-> the bytes of (.xml, .bin); inputs, outputs and errors are those of `onnx_bytes`."""
    openvino = load("openvino", "OpenVINO's IR")
    data = onnx_bytes(network, given, metadata=metadata)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.xml"
        try:
            openvino.save_model(openvino.Core().read_model(data), file, compress_to_fp16=False)
        except Exception as error:
            raise ExportError(f"{type(network).__name__} does not go into OpenVINO: {reason(error)}") from error
        return file.read_bytes(), file.with_suffix(".bin").read_bytes()
