"""Model -> file, and the proof that the file agrees."""

from __future__ import annotations

from convlens.exporting.formats import EXACT, FORMATS, INT8, Format, find_format
from convlens.exporting.int8 import int8_bytes, int8_network_bytes
from convlens.exporting.metadata import INSIDE, OUTSIDE, SIGNATURES, Facts, Signature, signature_of
from convlens.exporting.onnx import INPUT, OUTPUT, metadata_bytes, onnx_bytes
from convlens.exporting.opened import Opened, open_onnx, open_openvino, open_program, open_safetensors
from convlens.exporting.packages import load
from convlens.exporting.proof import BATCHES, Agreement, Bound, prove
from convlens.exporting.signal_stack import signal_stack_kept
from convlens.exporting.snippets import snippet
from convlens.exporting.written import Exported, export_network

__all__ = [
    "BATCHES",
    "EXACT",
    "FORMATS",
    "INPUT",
    "INSIDE",
    "INT8",
    "OUTPUT",
    "OUTSIDE",
    "SIGNATURES",
    "Agreement",
    "Bound",
    "Exported",
    "Facts",
    "Format",
    "Opened",
    "Signature",
    "export_network",
    "find_format",
    "int8_bytes",
    "int8_network_bytes",
    "load",
    "metadata_bytes",
    "onnx_bytes",
    "open_onnx",
    "open_openvino",
    "open_program",
    "open_safetensors",
    "prove",
    "signal_stack_kept",
    "signature_of",
    "snippet",
]
