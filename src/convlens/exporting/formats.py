"""The formats: how a network becomes files, how they are read back, and how closely they must agree.

Float32 files agree to the rounding of other kernels and other orders of sums. EXACT is a unit of the last digit that
`convlens predict` prints, 0.01 %, and seven times what networks of the zoo show with fresh weights (1.3e-05, resnet152,
on an AMD EPYC; tests/exporting/test_zoo.py prints it for each).
Eight bits change a class where two are nearly as likely; INT8 bounds how often, and reports by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from convlens.errors import unknown_name
from convlens.exporting.around import with_arithmetic
from convlens.exporting.deployed import deployed
from convlens.exporting.int8 import int8_network_bytes
from convlens.exporting.metadata import INSIDE, Facts
from convlens.exporting.onnx import onnx_bytes
from convlens.exporting.opened import Opened, open_onnx, open_openvino, open_program, open_safetensors
from convlens.exporting.openvino import openvino_bytes
from convlens.exporting.packages import check_installed
from convlens.exporting.program import program_bytes
from convlens.exporting.proof import Bound
from convlens.exporting.safetensors import safetensors_bytes
from convlens.pictures import Preprocess

EXACT = Bound(top1_agreement=1.0, probability_difference=1e-4)
INT8 = Bound(top1_agreement=0.98, probability_difference=1.0)
ROUNDED = Bound(top1_agreement=0.99, probability_difference=0.05)  # as of an engine
MOST_OF_INT8 = 200  # pictures to be proved on
Encode = Callable[[nn.Module, Facts, np.ndarray], tuple[bytes, ...]]


@dataclass(frozen=True)
class Format:
    """`encode` gives the bytes of one file for each of `endings`; `open` reads the files, the network beside them.

    What `encode` gets third are uint8 (N, C, H, W) to calibrate with; only what is `calibrated` needs any.
    """

    name: str
    title: str
    stem: str
    endings: tuple[str, ...]
    encode: Encode
    open: Callable[[Sequence[Path], nn.Module], Opened]
    packages: tuple[str, ...] = ()
    bound: Bound = EXACT
    most_pictures: int = 50  # to be proved on
    calibrated: bool = False
    holds_graph: bool = True  # weights alone have no place for the preprocessing
    remedy: str = ""  # where a file does not agree

    def check(self) -> None:
        """MissingExtra where a package is not installed."""
        check_installed(*self.packages, purpose=self.title)

    def of_eight_bits(self) -> Format:
        """For a network that rounds to 8 bits itself: sums in another order end in another step here and there."""
        return self if self.bound is INT8 else replace(self, bound=ROUNDED, most_pictures=MOST_OF_INT8)


def _encode(write: Callable[..., bytes | tuple[bytes, ...]]) -> Encode:
    def encode(network: nn.Module, facts: Facts, inputs: np.ndarray) -> tuple[bytes, ...]:
        given = torch.from_numpy(inputs) if facts.preprocess is None else _shape(facts.preprocess)
        written = write(deployed(network, facts), given, metadata=facts.to_texts())
        return written if isinstance(written, tuple) else (written,)

    return encode


def _encode_int8(network: nn.Module, facts: Facts, calibration: np.ndarray) -> tuple[bytes, ...]:
    preprocess = facts.of_pictures
    images = preprocess.normalise(torch.from_numpy(calibration)).numpy()
    data = int8_network_bytes(network, _shape(preprocess), [images], metadata=facts.to_texts())
    return (with_arithmetic(data, preprocess, facts.temperature) if facts.signature == INSIDE else data,)


def _shape(preprocess: Preprocess) -> tuple[int, int, int]:
    height, width = preprocess.size
    return (preprocess.channels, height, width)


ONNX = ("onnx", "onnxscript", "onnxruntime")
LEARN = (
    "a network that is in doubt about many pictures changes its mind about some: train it for longer, or in spite of "
    "the rounding with `convlens shrink RUN --quantise int8 --epochs 3`, and export what comes of it"
)
# fmt: off
FORMATS = {
    one.name: one
    for one in (
        Format("onnx", "an ONNX file", "model", (".onnx",), _encode(onnx_bytes), open_onnx, ONNX),
        Format("onnx-int8", "an ONNX file in 8-bit integers", "model-int8", (".onnx",), _encode_int8, open_onnx, ONNX,
               INT8, most_pictures=MOST_OF_INT8, calibrated=True, remedy=LEARN),
        Format("openvino", "OpenVINO's IR", "model", (".xml", ".bin"), _encode(openvino_bytes), open_openvino,
               ("onnx", "onnxscript", "openvino")),
        Format("torch-export", "a program of torch.export", "model", (".pt2",), _encode(program_bytes), open_program),
        Format("safetensors", "a file of weights", "model", (".safetensors",), _encode(safetensors_bytes),
               open_safetensors, holds_graph=False),
    )
}
# fmt: on


def find_format(name: str) -> Format:
    """UsageError with the nearest names for one that is not there."""
    if name.lower() not in FORMATS:
        raise unknown_name("format", name, FORMATS, f"there are {', '.join(FORMATS)}")
    return FORMATS[name.lower()]
