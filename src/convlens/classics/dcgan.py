"""Deep convolutional adversarial networks (Radford, Metz and Chintala, 2015), https://arxiv.org/abs/1511.06434, which
make a picture of the class that is asked for (Mirza and Osindero, 2014, https://arxiv.org/abs/1411.1784).

Section 3 of the first: strided convolutions in place of pooling, batch normalisation in both players but at the ends,
no hidden linear layers, ReLU and a last tanh in the generator, leaky ReLU (0.2) in the discriminator.

Departures: two doublings, from a quarter of the side, where 64 px need four. A class is one more input of the
generator; the discriminator's logit has a part for all classes and one for each, both linear in its last feature maps
("projection": Miyato and Koyama, 2018, https://arxiv.org/abs/1802.05637), which hears the class sooner than planes
among its inputs do.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from convlens.classics.adversarial import Adversarial
from convlens.classics.gan import SLOPE
from convlens.classics.given import draws_of
from convlens.errors import UsageError
from convlens.layers import sequence


class DCGAN(Adversarial):
    """`width` channels at half the side, twice as many at a quarter; sides are multiples of 4."""

    def __init__(
        self, shape: Sequence[int] = (1, 28, 28), num_noise: int = 64, num_classes: int = 10, width: int = 64
    ) -> None:
        super().__init__(shape, num_noise, num_classes, width)
        channels, height, across = self.shape
        if height % 4 or across % 4:
            raise UsageError(f"shape is {shape}; expected sides that are multiples of 4: resize, or pad, the pictures")
        quarter = (2 * width, height // 4, across // 4)
        with torch.random.fork_rng(devices=[]):
            self.generator = sequence(
                linear=nn.Linear(num_noise + num_classes, 2 * width * quarter[1] * quarter[2], bias=False),
                maps=nn.Unflatten(1, quarter),
                norm=nn.BatchNorm2d(2 * width),
                act=nn.ReLU(),
                double1=doubled(2 * width, width),
                double2=nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
                tanh=nn.Tanh(),
            )
            self.discriminator = Critic(channels, num_classes, quarter)
        self._begin(draws_of(0, torch.empty(0)))


def doubled(in_channels: int, channels: int) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, channels, 2 H, 2 W)."""
    return sequence(
        conv=nn.ConvTranspose2d(in_channels, channels, 4, stride=2, padding=1, bias=False),
        norm=nn.BatchNorm2d(channels),
        act=nn.ReLU(),
    )


class Critic(nn.Module):
    """Pictures and classes -> (N,): w · maps + b + w of the class · maps, logits."""

    def __init__(self, in_channels: int, num_classes: int, quarter: tuple[int, int, int]) -> None:
        super().__init__()
        width = quarter[0] // 2
        self.layers = sequence(
            halve1=nn.Conv2d(in_channels, width, 4, stride=2, padding=1),
            act1=nn.LeakyReLU(SLOPE),
            halve2=nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            norm=nn.BatchNorm2d(2 * width),
            act2=nn.LeakyReLU(SLOPE),
            flatten=nn.Flatten(),
        )
        self.any = nn.Linear(prod(quarter), 1)
        self.each = nn.Linear(num_classes, prod(quarter), bias=False) if num_classes else None

    def forward(self, pictures: Tensor, classes: Tensor) -> Tensor:
        maps = self.layers(pictures)
        logits = self.any(maps)[:, 0]
        return logits if self.each is None else logits + (maps * self.each(classes)).sum(1)
