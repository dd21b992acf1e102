"""Does an engine say what torch says? Compared on real pictures, in probabilities.

The bounds, on the largest difference of a probability: 1e-4 for fp32, where only the order of sums differs, and 0.05
for bf16, whose numbers have 8 bits, and for int8: networks that round to 8 bits themselves, where another order of sums
ends in another step here and there. The likeliest class has to be torch's own on 99 of 100 pictures; another that torch
finds as likely to 0.001 counts as the same. `docs/engines.md` has what was measured.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convlens.engines.engine import Settings, checked_logits
from convlens.engines.torch_engine import with_threads
from convlens.layers.fake_quantised import input_scales
from convlens.measurement import probabilities

BOUNDS = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.05}
LEAST_TOP1 = 0.99
TIE = 1e-3
AT_ONCE = 32  # pictures that torch answers at a time, or more
LEAST_PICTURES = {"fp32": 1, "bf16": 32, "int8": 1}  # one picture says nothing of 99 in 100


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
        if far := self.distance(precision):
            return far
        if self.top1 < LEAST_TOP1:
            wrong = round((1 - self.top1) * self.pictures)
            return f"its class is not torch's on {wrong} of {self.pictures} pictures"
        return ""

    def distance(self, precision: str) -> str:
        """By how much it differs beyond the bound of this precision, or nothing."""
        if self.largest_difference <= (bound := BOUNDS[precision]):
            return ""  # not so for NaN
        return f"its probabilities differ from torch's by {self.largest_difference:.2g}, more than {bound:g}"


@dataclass(frozen=True)
class Reference:
    """What torch says, in float32 and as the network was built: probabilities (N, K) of pictures (N, C, H, W).

    `plain_ms` is what it takes for a batch of `batch`.
    """

    images: Tensor
    shares: Tensor
    temperature: float
    batch: int
    plain_ms: float

    def judge(self, answer: Callable[[Tensor], Tensor], *, seconds: float = 1e9) -> Agreement:
        """Asked in batches as the pictures will come, and no longer when the time is over."""
        rows: list[Tensor] = []
        began = time.perf_counter()
        for part in self.images.split(self.batch):
            if rows and time.perf_counter() - began > seconds:
                break
            rows.append(answer(part))
        logits = torch.cat(rows)
        return _agreement(logits, self.shares[: len(logits)], self.temperature)


def _agreement(logits: Tensor, expected: Tensor, temperature: float) -> Agreement:
    """An engine's logits (N, K) beside torch's probabilities (N, K)."""
    found = torch.softmax(logits.double() / temperature, dim=1)  # NaN is what disagrees, no error
    if found.shape != expected.shape:
        return Agreement(len(found), 0.0, float("nan"))
    likeliest = expected.gather(1, found.argmax(1, keepdim=True))[:, 0]
    same = likeliest >= expected.amax(1) - TIE
    return Agreement(len(found), float(same.double().mean()), float((found - expected).abs().max()))


def agreement_on(network: nn.Module, images: Tensor, logits: Tensor, *, temperature: float = 1.0) -> Agreement:
    """What an engine said of these pictures, logits (N, K), beside what the network says of them (N, C, H, W)."""
    with torch.inference_mode():
        own = checked_logits(copy.deepcopy(network).eval().cpu()(images.contiguous()), type(network).__name__)
    return _agreement(logits, probabilities(own, temperature), temperature)


def bound_for(settings: Settings, network: nn.Module) -> str:
    """Which of `BOUNDS` holds for an engine of such a network."""
    return "int8" if settings.precision == "fp32" and input_scales(network) else settings.precision


def reference_of(
    network: nn.Module, images: Tensor, *, batch: int, threads: int, temperature: float = 1.0, seconds: float = 2.0
) -> Reference:
    """Of the first pictures, as many as fit the time, whatever it takes 32.

    Raises NetworkError for what gives no logits (N, K).
    """
    own, began = copy.deepcopy(network).eval().cpu(), time.perf_counter()
    rows: list[Tensor] = []
    with with_threads(threads), torch.inference_mode():
        for part in images.split(max(batch, AT_ONCE)):
            rows.append(checked_logits(own(part), type(network).__name__))
            if time.perf_counter() - began > seconds:
                break
        plain_ms = min(_milliseconds(own, images[:batch]) for _ in range(2))
    logits = torch.cat(rows)
    plain_ms *= batch / min(batch, len(images))
    return Reference(images[: len(logits)], probabilities(logits, temperature), temperature, batch, plain_ms)


def _milliseconds(network: nn.Module, images: Tensor) -> float:
    began = time.perf_counter()
    network(images)
    return 1000 * (time.perf_counter() - began)
