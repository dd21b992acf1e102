"""The formats: how a network becomes files, how they are read back, and how closely they must agree.

Float32 files agree to the rounding of other kernels and other orders of sums, so the bound is a probability of 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from convlens.errors import unknown_name
from convlens.exporting.metadata import Facts
from convlens.exporting.onnx import onnx_bytes
from convlens.exporting.opened import Opened, open_onnx, open_openvino, open_program, open_safetensors
from convlens.exporting.openvino import openvino_bytes
from convlens.exporting.packages import check_installed
from convlens.exporting.program import program_bytes
from convlens.exporting.proof import Bound
from convlens.exporting.safetensors import safetensors_bytes

EXACT = Bound(top1_agreement=1.0, probability_difference=1e-4)


@dataclass(frozen=True)
class Format:
    """`encode` gives the bytes of one file for each of `endings`; `open` reads the files, the network beside them."""

    name: str
    title: str
    endings: tuple[str, ...]
    encode: Callable[[nn.Module, Facts], tuple[bytes, ...]]
    open: Callable[[Sequence[Path], nn.Module], Opened]
    packages: tuple[str, ...] = ()
    bound: Bound = EXACT
    holds_graph: bool = True  # weights alone have no place for the preprocessing

    def check(self) -> None:
        """MissingExtra where a package is not installed."""
        check_installed(*self.packages, purpose=self.title)


def _encode(write: Callable[..., bytes | tuple[bytes, ...]]) -> Callable[[nn.Module, Facts], tuple[bytes, ...]]:
    def encode(network: nn.Module, facts: Facts) -> tuple[bytes, ...]:
        shape = (facts.preprocess.channels, *facts.preprocess.size)
        written = write(network, shape, metadata=facts.to_texts())
        return written if isinstance(written, tuple) else (written,)

    return encode


ONNX = ("onnx", "onnxscript", "onnxruntime")
# fmt: off
FORMATS = {
    one.name: one
    for one in (
        Format("onnx", "an ONNX file", (".onnx",), _encode(onnx_bytes), open_onnx, ONNX),
        Format("openvino", "OpenVINO's IR", (".xml", ".bin"), _encode(openvino_bytes), open_openvino,
               ("onnx", "onnxscript", "openvino")),
        Format("torch-export", "a program of torch.export", (".pt2",), _encode(program_bytes), open_program),
        Format("safetensors", "a file of weights", (".safetensors",), _encode(safetensors_bytes), open_safetensors,
               holds_graph=False),
    )
}
# fmt: on


def find_format(name: str) -> Format:
    """UsageError with the nearest names for one that is not there."""
    if name.lower() not in FORMATS:
        raise unknown_name("format", name, FORMATS, f"there are {', '.join(FORMATS)}")
    return FORMATS[name.lower()]
