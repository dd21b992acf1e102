"""Gradients of depthwise convolutions in training, layer by layer: torch in bf16 and float32, and convlens in bf16.

    python benchmarks/depthwise.py [NETWORK …] [--batch 32] [--repeats 5]

Each kind of layer of a network, at 224 px, whose gradients convlens computes in a way of its own
(`convlens.training.depthwise`): milliseconds of both gradients together, by pictures and by filters, medians of repeats
in turn; then their sum over all layers of the network. Channels last, freed buffers kept, all threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from convlens.data import usable_cpus
from convlens.training import Choice
from convlens.training.allocator import kept_memory
from convlens.training.depthwise import has_slow_depthwise
from convlens.zoo import create

SIDE = 224
LAST = torch.channels_last


class Layer(NamedTuple):
    """Of a depthwise convolution: what decides how long its gradients take."""

    channels: int
    side: int
    kernel: int
    stride: int
    padding: int

    def build(self) -> nn.Conv2d:
        return nn.Conv2d(self.channels, self.channels, *self[2:], groups=self.channels, bias=False)


def slow_layers(name: str) -> Counter[Layer]:
    network, found = create(name, image_size=SIDE).eval(), Counter[Layer]()

    def note(conv: nn.Module, given: tuple[Tensor], _: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        found[Layer(conv.in_channels, given[0].shape[2], *(pair[0] for pair in _shape(conv)))] += 1

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and has_slow_depthwise(layer):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, SIDE, SIDE))
    return found


def _shape(conv: nn.Conv2d) -> tuple[tuple[int, ...], ...]:
    assert isinstance(conv.padding, tuple)
    return conv.kernel_size, conv.stride, conv.padding


def backward_of(layer: Layer, choice: Choice, batch: int, *, ours: bool) -> Callable[[], float]:
    """Seconds of one backward pass; the forward pass before it is not counted."""
    torch.manual_seed(0)
    conv = choice.laid_out(layer.build())
    images = torch.randn(batch, layer.channels, layer.side, layer.side, dtype=choice.dtype)
    images = images.contiguous(memory_format=LAST).requires_grad_()
    forward = choice.forward_of(conv, images.device)

    def backward() -> float:
        if ours:
            found = forward(images)
        else:
            with choice.autocast(images.device):
                found = conv(images)
        slopes = torch.ones_like(found)
        began = time.perf_counter()
        found.backward(slopes)
        return time.perf_counter() - began

    return backward


def compare(name: str, batch: int, repeats: int) -> None:
    fp32, bf16 = (Choice(precision, "channels_last", usable_cpus()) for precision in ("fp32", "bf16"))
    whole = [0.0, 0.0, 0.0]
    for layer, number in slow_layers(name).items():
        choices = ((bf16, False), (fp32, False), (bf16, True))
        ways = [backward_of(layer, choice, batch, ours=ours) for choice, ours in choices]
        times = [[1000 * way() for way in ways] for _ in range(repeats + 1)][1:]
        medians = [statistics.median(each) for each in zip(*times, strict=True)]
        whole = [total + number * each for total, each in zip(whole, medians, strict=True)]
        told = f"{layer.channels} channels of {layer.side} px, {layer.kernel} x {layer.kernel}, stride {layer.stride}"
        print(f"  {number} of {told:50} {' '.join(f'{each:8.2f}' for each in medians)}", flush=True)
    bf16_ms, fp32_ms, ours_ms = whole
    print(f"{name}, batch {batch}: bf16 {bf16_ms:.0f} ms, float32 {fp32_ms:.0f} ms, ours {ours_ms:.0f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=("mobilenet_v2", "mobilenet_v3_large"), metavar="NETWORK")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    torch.set_flush_denormal(True)
    with kept_memory():
        for name in asked.networks:
            compare(name, asked.batch, asked.repeats)


if __name__ == "__main__":
    main()
