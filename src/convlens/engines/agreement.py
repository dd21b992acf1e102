"""Does an engine say what torch says? Compared on real pictures, in probabilities.

The bounds, on the largest difference of a probability: 1e-4 for fp32, where only the order of sums differs, and 0.05
for bf16, whose numbers have 8 bits. The likeliest class has to be torch's own on 99 of 100 pictures; another that torch
finds as likely to 0.001 counts as the same. `docs/engines.md` has what was measured.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convlens.engines.torch_engine import with_threads
from convlens.errors import NetworkError
from convlens.measurement import probabilities

BOUNDS = {"fp32": 1e-4, "bf16": 0.05}
LEAST_TOP1 = 0.99
TIE = 1e-3
LEAST_PICTURES = {"fp32": 1, "bf16": 32}  # one picture says nothing of 99 in 100


@dataclass(frozen=True)
class Agreement:
    """Over so many `pictures`: the share with torch's class, the largest difference of a probability."""

    pictures: int
    top1: float
    largest_difference: float

    def complaint(self, precision: str) -> str:
        """Why an engine of this precision is not to be trusted, or nothing."""
        if self.pictures < (least := LEAST_PICTURES[precision]):
            return f"{precision} is checked on {least} pictures or more, {self.pictures} came"
        if not self.largest_difference <= (bound := BOUNDS[precision]):  # NaN too
            return f"its probabilities differ from torch's by {self.largest_difference:.2g}, more than {bound:g}"
        if self.top1 < LEAST_TOP1:
            wrong = round((1 - self.top1) * self.pictures)
            return f"its class is not torch's on {wrong} of {self.pictures} pictures"
        return ""


@dataclass(frozen=True)
class Reference:
    """What torch says, in float32 and as the network was built: probabilities (N, K) of pictures (N, C, H, W)."""

    images: Tensor
    shares: Tensor
    temperature: float
    batch: int

    def judge(self, answer: Callable[[Tensor], Tensor]) -> Agreement:
        """Asked in batches as the pictures will come."""
        found = self._shares(torch.cat([answer(part) for part in self.images.split(self.batch)]))
        if found.shape != self.shares.shape:
            return Agreement(len(found), 0.0, float("nan"))
        likeliest = self.shares.gather(1, found.argmax(1, keepdim=True))[:, 0]
        same = likeliest >= self.shares.amax(1) - TIE
        return Agreement(len(found), float(same.double().mean()), float((found - self.shares).abs().max()))

    def _shares(self, logits: Tensor) -> Tensor:
        """Infinite ones are a number that disagrees, not an error."""
        return torch.softmax(logits.double() / self.temperature, dim=1)


def reference_of(
    network: nn.Module, images: Tensor, *, batch: int, threads: int, temperature: float = 1.0, seconds: float = 2.0
) -> Reference:
    """Of the first pictures, as many as fit the time, one batch at least.

    Raises NetworkError for what gives no logits (N, K).
    """
    own, began = copy.deepcopy(network).eval().cpu(), time.perf_counter()
    rows: list[Tensor] = []
    with with_threads(threads), torch.inference_mode():
        for part in images.split(batch):
            rows.append(_checked(own(part), type(network).__name__))
            if time.perf_counter() - began > seconds:
                break
    logits = torch.cat(rows)
    return Reference(images[: len(logits)], probabilities(logits, temperature), temperature, batch)


def _checked(logits: object, name: str) -> Tensor:
    if isinstance(logits, Tensor) and logits.ndim == 2:
        return logits
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    raise NetworkError(f"{name} gives {shape}; engines run networks that give logits (N, K)")
