"""torch at its best here: normalisation folded, channels last, denormals flushed; its own copy of the network.

bf16 is autocast's: convolutions and matrix products in bf16, the rest in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from convlens.engines.engine import Engine, Settings
from convlens.engines.folding import folded
from convlens.engines.model import Model
from convlens.errors import UsageError
from convlens.layers.channels_last import lay_out


class TorchEngine(Engine):
    """Streams are not for it. Not thread-safe: the number of threads belongs to the process."""

    def __init__(self, settings: Settings, model: Model) -> None:
        super().__init__(settings, model.input_shape)
        if settings.streams != 1:
            raise UsageError(f"the engine 'torch' runs one batch at a time; {settings.streams} streams came")
        network = folded(model.network, model.input_shape)
        self._layout = lay_out(network, torch.zeros(1, *model.input_shape))
        self._answer: Callable[[Tensor], Any] = torch.compile(network) if settings.compiled else network
        self._autocast = settings.precision == "bf16"

    def _logits(self, images: Tensor) -> Any:
        precision: Any = torch.autocast("cpu", torch.bfloat16) if self._autocast else nullcontext()
        with with_threads(self.settings.threads), torch.inference_mode(), precision:
            return self._answer(images.contiguous(memory_format=self._layout))

    def _free(self) -> None:
        del self._answer


@contextmanager
def with_threads(threads: int) -> Iterator[None]:
    """As many threads for torch, and numbers too small for full precision taken for 0, which a convolution needs."""
    before = torch.get_num_threads()
    if before != threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if before != threads:
            torch.set_num_threads(before)
