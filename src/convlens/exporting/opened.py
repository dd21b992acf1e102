"""An exported file, read back as whoever gets it would read it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from convlens.errors import ConvlensError, ExportError
from convlens.exporting.deployed import at_rest
from convlens.exporting.metadata import KEYS
from convlens.exporting.packages import load
from convlens.exporting.program import FACTS_FILE
from convlens.exporting.quiet import quietly, reason
from convlens.exporting.signal_stack import signal_stack_kept

Files = Sequence[Path]


@dataclass(frozen=True)
class Opened:
    """`opened(array)` -> array (N, K); `texts` are the file's metadata, which `Facts.from_texts` understands."""

    run: Callable[[np.ndarray], np.ndarray]
    texts: Mapping[str, str]

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Raises ExportError where the file's runtime does not take the batch."""
        try:
            return np.asarray(self.run(np.ascontiguousarray(batch)))
        except Exception as error:
            raise ExportError(f"the file does not run on an input of {batch.shape}: {reason(error)}") from error


def open_onnx(files: Files, network: nn.Module | None = None) -> Opened:
    """By ONNX Runtime on the processor."""
    onnxruntime = load("onnxruntime", "running an ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what matters is raised

    def opening() -> Opened:
        session = onnxruntime.InferenceSession(files[0], options, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        return Opened(
            lambda batch: session.run(None, {given.name: batch})[0], dict(session.get_modelmeta().custom_metadata_map)
        )

    return _read("ONNX Runtime", opening)


def open_openvino(files: Files, network: nn.Module | None = None) -> Opened:
    """By OpenVINO on the processor, in float32: where the processor has bfloat16 it would take that by itself."""
    openvino = load("openvino", "running OpenVINO's IR")

    def opening() -> Opened:
        core = openvino.Core()
        model = core.read_model(*files)
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        with signal_stack_kept():
            compiled = core.compile_model(model, "CPU", settings)
        places = {key: ["framework", key] for key in KEYS}
        texts = {key: model.get_rt_info(place).astype(str) for key, place in places.items() if model.has_rt_info(place)}
        return Opened(lambda batch: compiled(batch)[0], texts)

    return _read("OpenVINO", opening)


def open_program(files: Files, network: nn.Module | None = None) -> Opened:
    """By torch, without the network's code."""

    def opening() -> Opened:
        texts = {FACTS_FILE: ""}
        with quietly():
            module = torch.export.load(io.BytesIO(files[0].read_bytes()), extra_files=texts).module()
        return Opened(_by_torch(module), json.loads(texts[FACTS_FILE]))

    return _read("torch.export", opening)


def open_safetensors(files: Files, network: nn.Module | None = None) -> Opened:
    """Into a copy of `network`, every tensor of it."""
    assert network is not None

    def opening() -> Opened:
        with safe_open(files[0], "pt") as file:
            texts = dict(file.metadata() or {})
        module = at_rest(network)
        module.load_state_dict(load_file(files[0]))
        return Opened(_by_torch(module), texts)

    return _read("safetensors", opening)


def _by_torch(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def run(batch: np.ndarray) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(batch)).numpy()

    return run


def _read(by: str, opening: Callable[[], Opened]) -> Opened:
    try:
        return opening()
    except ConvlensError:
        raise
    except Exception as error:
        raise ExportError(f"{by} cannot read the exported file: {reason(error)}") from error
