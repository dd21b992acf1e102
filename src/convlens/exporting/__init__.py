"""Model -> file, and the proof that the file agrees."""

from __future__ import annotations

from convlens.exporting.int8 import int8_bytes, int8_network_bytes
from convlens.exporting.onnx import INPUT, OUTPUT, onnx_bytes

__all__ = ["INPUT", "OUTPUT", "int8_bytes", "int8_network_bytes", "onnx_bytes"]
