"""The network as it goes into a file: a copy at rest, alone or with the arithmetic around it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convlens.exporting.metadata import AS_THEY_ARE, INSIDE, OUTSIDE, Facts, Signature
from convlens.graph import bare_network
from convlens.layers.computed_weights import check_copyable
from convlens.pictures import Preprocess

TRACED_BATCH = 2  # torch.export takes a batch of one for a constant
Given = Sequence[int] | Tensor  # the shape (C, H, W) of one picture; or inputs (N, …) as a network takes them


def at_rest(network: nn.Module) -> nn.Module:
    """A copy on the processor, in evaluation mode, without gradients; the network itself stays as it is.

    NetworkError where torch cannot copy it.
    """
    check_copyable(network := bare_network(network))
    return copy.deepcopy(network).eval().cpu().requires_grad_(False)


class Deployed(nn.Module):
    """Pixels, uint8 (N, H, W, C) -> probabilities (N, K): softmax(network((x / 255 - mean) / std) / temperature).

    The pixels have the network's size already. Decoding, cropping and resizing stay outside: no operator of ONNX or
    OpenVINO resizes to the same pixels as Pillow, which works in fixed point, and a proof within 1e-4 would fail.
    """

    signature = INSIDE
    scale: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess, temperature: float) -> None:
        super().__init__()
        self.network = network
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (preprocess.mean, preprocess.std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("offset", mean / std)
        self.temperature = temperature

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2).to(torch.float32) * self.scale - self.offset
        return torch.softmax(self.network(images) / self.temperature, dim=1)


def deployed(network: nn.Module, facts: Facts) -> nn.Module:
    """A copy at rest with the signature that the facts ask for."""
    copied = at_rest(network)
    return Deployed(copied, facts.of_pictures, facts.temperature) if facts.signature == INSIDE else copied


def signature_in(network: nn.Module, given: Given) -> Signature:
    if isinstance(given, Tensor):
        return AS_THEY_ARE
    return network.signature if isinstance(network, Deployed) else OUTSIDE


def example(network: nn.Module, given: Given) -> Tensor:
    """To trace with: two pictures of zeros, or the first of the inputs twice."""
    if isinstance(given, Tensor):
        return torch.cat([given[:1]] * TRACED_BATCH)
    channels, height, width = given
    if signature_in(network, given) == INSIDE:
        return torch.zeros(TRACED_BATCH, height, width, channels, dtype=torch.uint8)
    return torch.zeros(TRACED_BATCH, channels, height, width)
