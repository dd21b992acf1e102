"""OpenVINO: the exported network, compiled for each size of batch, in float32 or bf16.

A network of one fixed shape is faster than one of any shape, so it is compiled for the sizes of batch that come, and a
few of them are kept. A smaller batch is filled up with empty pictures where a size of at most twice as many is there.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.engines.engine import Engine, Settings, check_batch, check_outputs
from convlens.engines.model import Model
from convlens.errors import ExportError, NetworkError, UsageError, counted
from convlens.exporting import load, signal_stack_kept
from convlens.exporting.openvino import openvino_reason

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16"}
KEPT_SIZES = 3  # each holds weights of its own


class OpenVinoEngine(Engine):
    """Streams cut a batch into as many parts, each run by its share of the threads. Not thread-safe."""

    def __init__(self, settings: Settings, model: Model) -> None:
        super().__init__(settings, model.input_shape)
        if settings.compiled:
            raise UsageError("the engine 'openvino' always compiles; `compiled` is torch's")
        self._library = load("openvino", "the engine 'openvino'", extra="fast")
        self._core = self._library.Core()
        self._file = model.onnx
        self._requests: OrderedDict[int, list[Any]] = OrderedDict()
        self._opened(1)  # what OpenVINO cannot run is said when it is opened

    def _logits(self, images: Tensor) -> Tensor:
        whole = images.contiguous().numpy()
        streams = min(self.settings.streams, len(whole))
        parts = [whole] if streams == 1 else np.array_split(whole, streams)
        size = self._size_for(len(parts[0]))
        found = self._run(self._opened(size), [_filled(part, size) for part in parts])
        rows = [  # copies: theirs are reused
            torch.from_numpy(one[: len(part)].copy()) for one, part in zip(found, parts, strict=True)
        ]
        return rows[0] if streams == 1 else torch.cat(rows)

    def _run(self, requests: list[Any], parts: list[np.ndarray]) -> list[np.ndarray]:
        """Each request answers a part, all at once; `parts` are read without a copy, and so must last until then."""
        used = requests[: len(parts)]
        for request, part in zip(used, parts, strict=True):
            request.set_input_tensor(0, self._library.Tensor(part, shared_memory=True))
        if len(used) == 1:
            used[0].infer(share_outputs=True)  # nothing handed over: a third less of Python for each call
        else:
            for request in used:
                request.start_async()
            for request in used:
                request.wait()
        return [request.get_output_tensor(0).data for request in used]

    def _size_for(self, pictures: int) -> int:
        """The smallest size that is there and not much too large, else a new one."""
        return min((size for size in self._requests if pictures <= size <= 2 * pictures), default=pictures)

    def _opened(self, size: int) -> list[Any]:
        """A request a stream, for batches of this size."""
        if size not in self._requests:
            if len(self._requests) >= KEPT_SIZES:
                self._requests.popitem(last=False)
            self._requests[size] = self._compile(size)
        self._requests.move_to_end(size)
        return self._requests[size]

    def _compile(self, size: int) -> list[Any]:
        try:
            model = self._core.read_model(self._file)
            check_outputs(len(model.outputs))
            given = model.input(0).partial_shape
            check_batch(None if given.rank.is_dynamic or given[0].is_dynamic else given[0].get_length(), "OpenVINO")
            model.reshape([size, *self.input_shape])
            _check_rows(model.output(0).partial_shape, size)
            with signal_stack_kept():
                compiled = self._core.compile_model(model, "CPU", _options(self.settings))
                return [compiled.create_infer_request() for _ in range(self.settings.streams)]
        except (NetworkError, ExportError):
            raise
        except Exception as error:
            raise ExportError(f"OpenVINO cannot open the file: {openvino_reason(error)[:200]}") from error

    def _free(self) -> None:
        with signal_stack_kept():
            self._requests.clear()
            del self._core, self._file


def _check_rows(shape: Any, size: int) -> None:
    """NetworkError where so many pictures have other rows of logits."""
    if shape.rank.is_static and len(shape) and shape[0].is_static and shape[0].get_length() != size:
        raise NetworkError(
            f"the exported network gives {shape} for {counted(size, 'picture')}; engines run networks that give logits "
            "(N, K)"
        )


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": PRECISION_HINTS[settings.precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": settings.threads,
        "NUM_STREAMS": settings.streams,
        "CPU_DENORMALS_OPTIMIZATION": True,
    }


def _filled(part: np.ndarray, size: int) -> np.ndarray:
    if len(part) == size:
        return np.ascontiguousarray(part)
    empty = np.zeros((size - len(part), *part.shape[1:]), part.dtype)
    return np.concatenate([part, empty])
