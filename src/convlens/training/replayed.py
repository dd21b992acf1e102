"""A step as one CUDA graph: recorded once for pictures of one shape, then launched at once.

A step of a small network is hundreds of kernels, each shorter than its launch: `sprint_cifar` with 500 pictures takes
an H200 3 ms, and the processor beside it 7 to launch. What is recorded is what runs, kernel for kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Learn = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

AS_THEY_COME = 2  # steps before one is recorded: libraries and the optimiser's state begin with them


def can_record(device: torch.device) -> bool:
    """On the GPU that torch works with at present, whose streams are taken."""
    return device.type == "cuda" and device.index in (None, torch.cuda.current_device())


class Replayed:
    """`learn(images, labels)` -> (loss, logits), which must change nothing but tensors, the same ones at every step.

    Another shape, or other weights that are trained, is recorded anew, and the former recording dropped. What cannot be
    recorded, a network that looks at its values for one, goes on as it came.
    """

    def __init__(self, learn: Learn, network: nn.Module) -> None:
        self.learn = learn
        self.parameters = list(network.parameters())
        self.stream = torch.cuda.Stream()
        self.cannot = False
        self._known: Any = None
        self._seen = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given: tuple[Tensor, Tensor]
        self._answers: tuple[Tensor, Tensor]

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        known = (images.shape, labels.shape, tuple(p.requires_grad for p in self.parameters))
        if known != self._known:
            self._known, self._seen, self._graph = known, 0, None
        self._seen += 1
        if self._graph is None and (self.cannot or self._seen <= AS_THEY_COME or not self._record(images, labels)):
            return self._as_it_comes(images, labels)
        assert self._graph is not None
        for kept, given in zip(self._given, (images, labels), strict=True):
            kept.copy_(given)
        self._graph.replay()
        loss, logits = self._answers
        return loss.clone(), logits.clone()

    def _as_it_comes(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """On a stream of its own, as torch asks of steps before a recording."""
        if self.cannot:
            return self.learn(images, labels)
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            answers = self.learn(images, labels)
        torch.cuda.current_stream().wait_stream(self.stream)
        return answers

    def _record(self, images: Tensor, labels: Tensor) -> bool:
        """Nothing is computed by it. False where it cannot be done."""
        self._given = images.clone(), labels.clone()
        torch.cuda.empty_cache()  # the recording has memory of its own
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._answers = self.learn(*self._given)
        except RuntimeError:
            self.cannot = True
            for parameter in self.parameters:
                parameter.grad = None  # which was never computed
            return False
        self._graph = graph
        return True
