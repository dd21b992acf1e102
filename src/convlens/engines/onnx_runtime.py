"""ONNX Runtime: the exported network, in float32, on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convlens.engines.engine import Engine, Settings, check_batch, check_outputs
from convlens.engines.model import Model
from convlens.errors import ExportError, UsageError
from convlens.exporting import load


class OnnxRuntimeEngine(Engine):
    """Thread-safe. All graph optimisations; its threads wait for work without sleeping, as long as a batch runs."""

    thread_safe = True

    def __init__(self, settings: Settings, model: Model) -> None:
        super().__init__(settings, model.input_shape)
        if settings.precision != "fp32" or settings.streams != 1 or settings.compiled:
            raise UsageError(f"the engine 'onnxruntime' runs fp32, one batch at a time, uncompiled; {settings} came")
        runtime = load("onnxruntime", "the engine 'onnxruntime'", extra="fast")
        file = model.onnx
        try:
            self._session = runtime.InferenceSession(
                file, _options(runtime, settings.threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot open the file: {' '.join(str(error).split())[:200]}") from error
        given = self._session.get_inputs()[0]
        self._input = given.name
        check_batch(given.shape[0], "ONNX Runtime")
        check_outputs(len(self._session.get_outputs()))

    def _logits(self, images: Tensor) -> Tensor:
        try:
            found = self._session.run(None, {self._input: images.contiguous().numpy()})[0]
        except Exception as error:
            raise ExportError(
                f"ONNX Runtime cannot run the file on {tuple(images.shape)}: {' '.join(str(error).split())[:300]}"
            ) from error
        return torch.from_numpy(found)

    def _free(self) -> None:
        del self._session


def _options(runtime: Any, threads: int) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")  # after a batch, others need the processors
    return options
