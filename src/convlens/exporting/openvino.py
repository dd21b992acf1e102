"""A network as OpenVINO's IR (https://docs.openvino.ai): the topology in .xml, the weights in .bin beside it.

It is read from the ONNX file, whose metadata it keeps (`framework` in the rt_info of the .xml), and never converted
from torch, a way that reports to OpenVINO's makers. The weights stay float32: OpenVINO would halve them by default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from convlens.errors import ExportError
from convlens.exporting.deployed import Given
from convlens.exporting.onnx import onnx_bytes
from convlens.exporting.packages import load
from convlens.exporting.quiet import reason

FAILED = re.compile(r"^-- (\w+)-\d+ with a message:\n(.*?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
FOLLOWS = ("dynamic", "has to be known")  # said of operators that read what another one could not give


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
            raise ExportError(
                f"{type(network).__name__} does not go into OpenVINO: {openvino_reason(error)}"
            ) from error
        return file.read_bytes(), file.with_suffix(".bin").read_bytes()


def openvino_reason(error: BaseException) -> str:
    """What OpenVINO could not do, in one line; with the operator, "Pad: Unsupported padding mode: [wrap]", if it says.

    Of several operators the first that does not only suffer from another.
    """
    said = [(name, text.strip().splitlines()[-1].strip()) for name, text in FAILED.findall(str(error)) if text.strip()]
    causes = [one for one in said if not any(word in one[1] for word in FOLLOWS)]
    return ": ".join((causes or said)[0]) if said else reason(error)
