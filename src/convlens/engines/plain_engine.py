"""The network as it was trained: nothing folded, in float32, as `--engine plain` runs it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from convlens.engines.engine import Engine, Settings
from convlens.engines.model import Model
from convlens.engines.torch_engine import with_threads
from convlens.errors import UsageError
from convlens.layers.channels_last import lay_out


class PlainEngine(Engine):
    """What the others are measured against, and among them: no choice is slower than it. Not thread-safe."""

    def __init__(self, settings: Settings, model: Model) -> None:
        super().__init__(settings, model.input_shape)
        if settings.precision != "fp32" or settings.streams != 1 or settings.compiled:
            raise UsageError(f"the engine 'plain' runs fp32, one batch at a time, uncompiled; {settings} came")
        self._network = copy.deepcopy(model.network).eval().cpu()
        self._layout = lay_out(self._network, torch.zeros(1, *model.input_shape))

    def _logits(self, images: Tensor) -> Any:
        with with_threads(self.settings.threads), torch.inference_mode():
            return self._network(images.contiguous(memory_format=self._layout))

    def _free(self) -> None:
        del self._network
