"""The 96 % recipe for CIFAR-10 on one GPU; on a CPU in bf16 autocast, glibc keeps freed buffers, nothing else.

    python benchmarks/peers/cifar10_sgd.py FOLDER [--seed 0] [--epochs 37] [--held-out 5000]

Written anew from the description of airbench96 (Jordan 2024, github.com/KellerJordan/cifar10-airbench): the network of
airbench94 wider, with a third convolution and a shortcut in each group; SGD with Nesterov momentum and lookahead, 37
epochs of batches of 1,024, alternating flip, shifts of up to 4 px, cutout of 12 px. All else is as in cifar10_muon.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from cifar10_muon import Net as Narrow
from cifar10_muon import epochs_of, run
from torch import Tensor, nn

BATCH, SMOOTHING, MOMENTUM = 1024, 0.2, 0.85
KILOSTEP = 1024 * (1 + 1 / (1 - MOMENTUM))
RATE, DECAY, BIASES = 9.0 / KILOSTEP, 0.012 * BATCH / KILOSTEP, 64.0
WHITENING_EPOCHS = 3  # in which its bias is trained
EVERY = 5  # steps from one look ahead to the next


class Group(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Narrow.conv(width, after) for width in (before, after, after))
        self.norms = nn.ModuleList(self.norm(after) for _ in range(3))

    @staticmethod
    def norm(channels: int) -> nn.BatchNorm2d:
        layer = nn.BatchNorm2d(channels, eps=1e-12)
        layer.weight.requires_grad_(False)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norms[0](F.max_pool2d(self.convs[0](x), 2)))
        y = F.gelu(self.norms[1](self.convs[1](x)))
        return F.gelu(self.norms[2](self.convs[2](y)) + x)


class Net(Narrow):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)
        groups = [Group(*pair) for pair in ((24, 128), (128, 384), (384, 512))]
        self.layers = nn.Sequential(*groups, nn.MaxPool2d(3), nn.Flatten())
        self.head = nn.Linear(512, 10, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(F.gelu(self.whiten(images)))) / 9


def rate_at(step: int, steps: int) -> float:
    """From 0.2 to 1 in a tenth of the steps, then to 0: share of the peak."""
    peak = 0.1 * steps
    return 0.2 + 0.8 * step / peak if step < peak else (steps - step) / (steps - peak)


def train(net: Net, images: Tensor, labels: Tensor, epochs: float) -> None:
    biases = [p for p in net.layers.parameters() if p.ndim == 1 and p.requires_grad]
    others = [p for p in net.parameters() if p.ndim > 1 and p.requires_grad]
    groups = [
        {"params": [net.whiten.bias], "peak": RATE * BIASES},
        {"params": biases, "peak": RATE * BIASES},
        {"params": others, "peak": RATE},
    ]
    groups = [{**group, "lr": group["peak"], "weight_decay": DECAY / group["peak"]} for group in groups]
    optimiser = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM, nesterov=True)
    per_epoch = len(images) // BATCH
    steps, step = round(epochs * per_epoch), 0
    slow = {key: value.clone() for key, value in net.state_dict().items() if value.is_floating_point()}

    def look_ahead(decay: float) -> None:
        for key, value in net.state_dict().items():
            if key in slow:
                slow[key].lerp_(value, 1 - decay)
                value.copy_(slow[key])

    for batches in epochs_of(images, labels, batch=BATCH, shift=4, cutout=12):
        for inputs, targets in batches:
            net.whiten.bias.requires_grad_(step < WHITENING_EPOCHS * per_epoch)
            with torch.autocast(inputs.device.type, torch.bfloat16):
                logits = net(inputs)
            F.cross_entropy(logits.float(), targets, label_smoothing=SMOOTHING, reduction="sum").backward()
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate_at(step, steps)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            if step % EVERY == 0:
                look_ahead(0.95**EVERY * (step / steps) ** 3)
            if step == steps:
                look_ahead(1.0)
                return


if __name__ == "__main__":
    run(Net, train, epochs=37, description=__doc__.splitlines()[0])
