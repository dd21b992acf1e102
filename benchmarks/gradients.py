"""Gradients of convolutions in training, layer by layer: torch in bf16 and float32, and convlens in bf16.

    python benchmarks/gradients.py [NETWORK …] [--side 224] [--batch 32] [--repeats 5]
    python benchmarks/gradients.py resnet18 --side 32 --batch 128
    python benchmarks/gradients.py sprint_cifar --side 24 --batch 500

Each kind of layer of a network whose gradients convlens computes in a way of its own (`convlens.training.gradients`):
milliseconds of both gradients together, by pictures and by filters, medians of repeats in turn; then their sum over all
such layers of the network. Channels last, freed buffers kept, all threads.
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
from convlens.training.convolution import Shape
from convlens.zoo import create

LAST = torch.channels_last


class Layer(NamedTuple):
    """Of a convolution: what decides how long its gradients take."""

    in_channels: int
    out_channels: int
    side: int
    kernel: int
    stride: int
    padding: int
    groups: int

    def build(self) -> nn.Conv2d:
        return nn.Conv2d(self.in_channels, self.out_channels, *self[3:6], groups=self.groups, bias=False)

    def __str__(self) -> str:
        channels = f"{self.in_channels} to {self.out_channels}" if self.groups == 1 else f"{self.in_channels} depthwise"
        return f"{channels}, {self.side} px, {self.kernel} x {self.kernel}, stride {self.stride}"


def slow_layers(name: str, side: int) -> Counter[Layer]:
    network, found = create(name, image_size=side).eval(), Counter[Layer]()

    def note(conv: nn.Module, given: tuple[Tensor], _: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        if is_slow(conv, given[0]):
            sizes = (conv.kernel_size[0], conv.stride[0], int(conv.padding[0]), conv.groups)
            found[Layer(conv.in_channels, conv.out_channels, given[0].shape[2], *sizes)] += 1

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    return found


def is_slow(conv: nn.Conv2d, images: Tensor) -> bool:
    shape = Shape(pair(conv.stride), pair(conv.padding), conv.groups)
    is_depthwise = depthwise.is_slow(conv.weight, conv.in_channels, shape.stride, conv.groups)
    return max(conv.dilation) == 1 and (is_depthwise or small_maps.is_slow(conv.weight, images, shape))


def pair(values: tuple[int, ...] | str) -> tuple[int, int]:
    assert not isinstance(values, str)
    return values[0], values[1]


def backward_of(layer: Layer, choice: Choice, batch: int, *, ours: bool) -> Callable[[], float]:
    """Seconds of one backward pass; the forward pass before it is not counted."""
    torch.manual_seed(0)
    conv = choice.laid_out(layer.build())
    images = torch.randn(batch, layer.in_channels, layer.side, layer.side, dtype=choice.dtype)
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
    whole = [0.0, 0.0, 0.0]
    for layer, number in slow_layers(name, side).items():
        choices = ((bf16, False), (fp32, False), (bf16, True))
        ways = [backward_of(layer, choice, batch, ours=ours) for choice, ours in choices]
        times = [[1000 * way() for way in ways] for _ in range(repeats + 1)][1:]
        medians = [statistics.median(each) for each in zip(*times, strict=True)]
        whole = [total + number * each for total, each in zip(whole, medians, strict=True)]
        print(f"  {number} of {layer!s:50} {' '.join(f'{each:8.2f}' for each in medians)}", flush=True)
    bf16_ms, fp32_ms, ours_ms = whole
    print(
        f"{name}, {side} px, batch {batch}: bf16 {bf16_ms:.0f} ms, float32 {fp32_ms:.0f} ms, ours {ours_ms:.0f} ms",
        flush=True,
    )


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
