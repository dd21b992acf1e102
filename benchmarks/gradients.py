"""Gradients of convolutions in training, layer by layer: torch in bf16 and float32, and convlens in bf16.

    python benchmarks/gradients.py [NETWORK …] [--side 224] [--batch 32] [--repeats 5]
    python benchmarks/gradients.py resnet18 --side 32 --batch 128
    python benchmarks/gradients.py sprint_cifar --side 24 --batch 500

Each kind of layer of a network whose gradients convlens computes in a way of its own (`convlens.training.gradients`):
milliseconds of both gradients together, by pictures and by filters, medians of repeats in turn; then their sums over
the network's depthwise layers and over those to small maps. Channels last, freed buffers kept, all threads.
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
from convlens.training import Choice, depthwise, small_maps
from convlens.training.allocator import kept_memory
from convlens.training.convolution import Convolution, Pair
from convlens.zoo import create

LAST = torch.channels_last


class Layer(NamedTuple):
    """Of a convolution: what decides how long its gradients take."""

    in_channels: int
    out_channels: int
    size: Pair  # of its pictures
    kernel: Pair
    stride: Pair
    padding: Pair
    groups: int

    def build(self) -> nn.Conv2d:
        sizes = (self.kernel, self.stride, self.padding)
        return nn.Conv2d(self.in_channels, self.out_channels, *sizes, groups=self.groups, bias=False)

    @property
    def kind(self) -> str:
        return "depthwise" if self.groups > 1 else "to small maps"

    def __str__(self) -> str:
        channels = f"{self.in_channels} to {self.out_channels}" if self.groups == 1 else f"{self.in_channels} depthwise"
        size, kernel, stride = (f"{pair[0]} x {pair[1]}" for pair in (self.size, self.kernel, self.stride))
        return f"{channels}, {size} px, {kernel}, stride {stride}"


def slow_layers(name: str, side: int) -> Counter[Layer]:
    network, found = create(name, image_size=side).eval(), Counter[Layer]()

    def note(layer: nn.Module, given: tuple[Tensor], _: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        stride, padding = as_pair(layer.stride), as_pair(layer.padding)
        conv = Convolution(stride, padding, layer.groups)
        is_slow = (way.is_slow(given[0], layer.weight, conv) for way in (depthwise, small_maps))
        if max(layer.dilation) == 1 and any(is_slow):
            size, kernel = as_pair(given[0].shape[2:]), as_pair(layer.kernel_size)
            found[Layer(layer.in_channels, layer.out_channels, size, kernel, stride, padding, layer.groups)] += 1

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    return found


def as_pair(values: tuple[int, ...] | str) -> Pair:
    assert not isinstance(values, str)
    return values[0], values[1]


def backward_of(layer: Layer, choice: Choice, batch: int, *, ours: bool) -> Callable[[], float]:
    """Seconds of one backward pass; the forward pass before it is not counted."""
    torch.manual_seed(0)
    conv = choice.laid_out(layer.build())
    images = torch.randn(batch, layer.in_channels, *layer.size, dtype=choice.dtype)
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


def compare(name: str, side: int, batch: int, repeats: int) -> None:
    fp32, bf16 = (Choice(precision, "channels_last", usable_cpus()) for precision in ("fp32", "bf16"))
    whole: dict[str, list[float]] = {}
    for layer, number in slow_layers(name, side).items():
        choices = ((bf16, False), (fp32, False), (bf16, True))
        ways = [backward_of(layer, choice, batch, ours=ours) for choice, ours in choices]
        times = [[1000 * way() for way in ways] for _ in range(repeats + 1)][1:]
        medians = [statistics.median(each) for each in zip(*times, strict=True)]
        before = whole.get(layer.kind, [0.0, 0.0, 0.0])
        whole[layer.kind] = [total + number * each for total, each in zip(before, medians, strict=True)]
        print(f"  {number} of {layer!s:50} {' '.join(f'{each:8.2f}' for each in medians)}", flush=True)
    for kind, (bf16_ms, fp32_ms, ours_ms) in whole.items():
        told = f"bf16 {bf16_ms:.0f} ms, float32 {fp32_ms:.0f} ms, ours {ours_ms:.0f} ms"
        print(f"{name}, {side} px, batch {batch}, {kind}: {told}", flush=True)
    if not whole:
        print(f"{name}, {side} px: no layer whose gradients convlens computes in a way of its own")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=("mobilenet_v2", "mobilenet_v3_large"), metavar="NETWORK")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    torch.set_flush_denormal(True)
    with kept_memory():
        for name in asked.networks:
            compare(name, asked.side, asked.batch, asked.repeats)


if __name__ == "__main__":
    main()
