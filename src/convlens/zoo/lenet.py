"""LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998), http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf.

Figure 2 and table I of the paper, for digits of 28 x 28 px in a field of 32 x 32.

`lenet5_1998`, trainable parameters: C1 6 (25 + 1) = 156, S2 6 x 2 = 12, C3 60 x 25 + 16 = 1,516, S4 16 x 2 = 32,
C5 120 (400 + 1) = 48,120, F6 84 (120 + 1) = 10,164; together 60,000. The RBF centres are fixed.
Departures: the field of 32 px comes from a zero padding of 2 in C1, where the paper pads with the background; the RBF
centres are random signs, the choice that the paper names beside its drawn 7 x 12 characters, so that there may be any
number of classes; logits are minus the distances, so cross entropy is the paper's equation 9 without its constant j;
output="linear" puts a Linear layer (850 parameters more) in place of the RBF units.

`lenet5`, the modern variant: ReLU, max pooling, C3 connected in full, a Linear output: 61,706 parameters.
Both take pictures of other sizes; C5 then spans the whole of S4.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from convlens.errors import UsageError
from convlens.layers import sequence
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register
from convlens.zoo.small import check_smallest

PAPER = Paper(
    family="lenet",
    year=1998,
    title="Gradient-Based Learning Applied to Document Recognition",
    authors="LeCun, Bottou, Bengio, Haffner",
    link="http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf",
)

# fmt: off
# The maps of S2 that each map of C3 sees, grouped by how many.
TABLE_1: list[list[tuple[int, ...]]] = [
    [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)],
    [(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
     (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)],
    [(0, 1, 2, 3, 4, 5)],
]
# fmt: on


class ScaledTanh(nn.Module):
    """x -> 1.7159 tanh(2x / 3), which maps +-1 to +-1, where it bends most (appendix A)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """(N, C, H, W) -> (N, C, H // 2, W // 2): coefficient * (sum of 2 x 2) + bias, two parameters a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 1).uniform_(-2.4 / 4, 2.4 / 4))
        self.bias = nn.Parameter(torch.empty(channels, 1, 1).uniform_(-2.4 / 4, 2.4 / 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (4 * functional.avg_pool2d(x, 2)) + self.bias


class PartialConvolution(nn.Module):
    """(N, 6, H, W) -> (N, 16, H - 4, W - 4): each output sees its inputs of table I, so that symmetry breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = [[channel for row in rows for channel in row] for rows in TABLE_1]
        self.groups = nn.ModuleList(
            nn.Conv2d(len(inputs), len(rows), 5, groups=len(rows))
            for inputs, rows in zip(self.inputs, TABLE_1, strict=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([conv(x[:, inputs]) for inputs, conv in zip(self.inputs, self.groups, strict=True)], dim=1)


class RadialBasis(nn.Module):
    """(N, 84) -> (N, num_classes): minus the squared distance to each class's fixed centre of +-1.

    In float32 at least: the distances are near 84 and classes differ by less than the 0.5 that bf16 tells apart there.
    """

    centres: torch.Tensor

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        draw = random.Random(1998)  # the same centres in every network, whatever torch's seed
        signs = [draw.choices((-1.0, 1.0), k=features) for _ in range(num_classes)]
        self.register_buffer("centres", torch.tensor(signs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return -(x.unsqueeze(1) - self.centres).square().sum(2)


class LeNet5Of1998(Network):
    """C1 to S4 are the stages; C5, F6 and the output the head."""

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        output: str = "rbf",
    ) -> None:
        super().__init__()
        if output not in ("rbf", "linear"):
            raise UsageError(f"the output of lenet5_1998 is {output!r}, expected 'rbf' or 'linear'")
        self.stages = sequence(
            c1=nn.Conv2d(in_channels, 6, 5, padding=2),
            act1=ScaledTanh(),
            s2=Subsampling(6),
            act2=ScaledTanh(),
            c3=PartialConvolution(),
            act3=ScaledTanh(),
            s4=Subsampling(16),
            act4=ScaledTanh(),
        )
        self.head = sequence(
            flatten=nn.Flatten(),
            c5=nn.Linear(size_of_s4(image_size), 120),
            act5=ScaledTanh(),
            f6=nn.Linear(120, 84),
            act6=ScaledTanh(),
            output=RadialBasis(84, num_classes) if output == "rbf" else nn.Linear(84, num_classes),
        )
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                bound = 2.4 / layer.weight[0].numel()  # of the number of inputs of a unit (appendix A)
                nn.init.uniform_(layer.weight, -bound, bound)
                nn.init.uniform_(layer.bias, -bound, bound)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 1, 28, 28)
        return self.head(self.stages(images))  # (N, num_classes), logits


class LeNet5(Network):
    """The variant of today's textbooks."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)) -> None:
        super().__init__()
        self.stages = sequence(
            c1=nn.Conv2d(in_channels, 6, 5, padding=2),
            act1=nn.ReLU(),
            s2=nn.MaxPool2d(2),
            c3=nn.Conv2d(6, 16, 5),
            act3=nn.ReLU(),
            s4=nn.MaxPool2d(2),
        )
        self.head = sequence(
            flatten=nn.Flatten(),
            c5=nn.Linear(size_of_s4(image_size), 120),
            act5=nn.ReLU(),
            f6=nn.Linear(120, 84),
            act6=nn.ReLU(),
            output=nn.Linear(84, num_classes),
        )
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 1, 28, 28)
        return self.head(self.stages(images))  # (N, num_classes), logits


def size_of_s4(image_size: tuple[int, int]) -> int:
    """The numbers in S4's 16 maps, each side (n / 2 - 4) / 2: 400 for 28 x 28 px."""
    check_smallest("lenet5", image_size, 12)
    height, width = ((side // 2 - 4) // 2 for side in image_size)
    return 16 * height * width


@register(PAPER, LeNet5Of1998, resolution=28, in_channels=1, num_classes=10)
def lenet5_1998(**options: Any) -> LeNet5Of1998:
    return LeNet5Of1998(**options)


@register(PAPER, LeNet5, resolution=28, in_channels=1, num_classes=10)
def lenet5(**options: Any) -> LeNet5:
    return LeNet5(**options)
