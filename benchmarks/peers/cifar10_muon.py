"""The record recipe for CIFAR-10 on one GPU; on a CPU in bf16 autocast, glibc keeps freed buffers, nothing else.

    python benchmarks/peers/cifar10_muon.py FOLDER [--seed 0] [--epochs 8] [--held-out 5000]

Written anew from the description of airbench94_muon (Jordan 2024, github.com/KellerJordan/cifar10-airbench): its
network, Muon on the filters, SGD on biases and classifier, 8 epochs of batches of 2,000, alternating flip, shifts of up
to 2 px, test-time augmentation over a mirrored and three shifted views. FOLDER holds the binary batches. The last
`--held-out` training pictures are left out and scored with the test pictures. Prints seconds of training (whitening
included, scoring not) and the accuracy without and with test-time augmentation.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)
BATCH, SMOOTHING = 2000, 0.2
FILTER_RATE, BIAS_RATE, HEAD_RATE = 0.24, 0.053, 0.67
WHITENING_EPOCHS = 3  # in which its bias is trained
CHUNK = 500  # test pictures at a time


def read_batches(folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """-> training images (N, 3, 32, 32) uint8 and labels, test images and labels."""

    def read(files: list[Path]) -> tuple[Tensor, Tensor]:
        rows = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 3073) for file in files])
        return torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(
            rows[:, 0].astype(np.int64)
        )

    return *read(sorted(folder.rglob("data_batch_*.bin"))), *read(sorted(folder.rglob("test_batch.bin")))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)
        layers: list[nn.Module] = []
        for before, after in ((24, 64), (64, 256), (256, 256)):
            layers += [self.conv(before, after), nn.MaxPool2d(2), self.norm(after), nn.GELU()]
            layers += [self.conv(after, after), self.norm(after), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten())
        self.head = nn.Linear(256, 10, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    @staticmethod
    def conv(before: int, after: int) -> nn.Conv2d:
        layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
        nn.init.dirac_(layer.weight.data[:before])
        return layer

    @staticmethod
    def norm(channels: int) -> nn.BatchNorm2d:
        layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
        layer.weight.requires_grad_(False)
        return layer

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(F.gelu(self.whiten(images)))) / self.head.in_features

    def measure_whitening(self, images: Tensor) -> None:
        patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
        self.whiten.weight.data.copy_(torch.cat([filters, -filters]))


def turned(gradient: Tensor) -> Tensor:
    """Three steps of Newton and Schulz, in bf16."""
    matrix = gradient.flatten(1).bfloat16()
    matrix = matrix / (matrix.norm() + 1e-7)
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    for _ in range(3):
        gram = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.7750 * gram + 2.0315 * gram @ gram) @ matrix
    return (matrix.T if tall else matrix).reshape(gradient.shape).to(gradient.dtype)


def epochs_of(
    images: Tensor, labels: Tensor, *, batch: int = BATCH, shift: int = 2, cutout: int = 0
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """Epoch after epoch of batches: flipped every second time, shifted by groups of one shift, a square cut out."""
    device = images.device
    mirrored = torch.rand(len(images), device=device) < 0.5
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    padded = F.pad(images, (shift,) * 4, mode="reflect")
    epoch = 0
    while True:
        corners = torch.randint(0, 2 * shift + 1, (len(images), 2), device=device)
        shown = torch.empty_like(images)
        for down in range(2 * shift + 1):
            for right in range(2 * shift + 1):
                chosen = (corners[:, 0] == down) & (corners[:, 1] == right)
                shown[chosen] = padded[chosen][:, :, down : 32 + down, right : 32 + right]
        shown = shown.flip(3) if epoch % 2 else shown
        shown = cut(shown, cutout) if cutout else shown
        order = torch.randperm(len(images), device=device)

        def batches(shown: Tensor = shown, order: Tensor = order) -> Iterator[tuple[Tensor, Tensor]]:
            for start in range(0, len(order) - batch + 1, batch):
                chosen = order[start : start + batch]
                yield shown[chosen].contiguous(memory_format=torch.channels_last), labels[chosen]

        yield batches()
        epoch += 1


def cut(images: Tensor, size: int) -> Tensor:
    """In each picture a square, anywhere within it, of the mean colour."""
    top, left = torch.randint(0, 33 - size, (2, len(images), 1), device=images.device)
    place = torch.arange(32, device=images.device)
    rows, columns = (((place >= first) & (place < first + size)) for first in (top, left))
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def train(net: Net, images: Tensor, labels: Tensor, epochs: float) -> None:
    decay = 2e-6 * BATCH
    filters = [p for p in net.layers.parameters() if p.ndim == 4]
    biases = [p for p in net.layers.parameters() if p.ndim == 1 and p.requires_grad]
    groups = [
        {"params": [net.whiten.bias], "rate": BIAS_RATE, "weight_decay": decay / BIAS_RATE},
        {"params": biases, "rate": BIAS_RATE, "weight_decay": decay / BIAS_RATE},
        {"params": [net.head.weight], "rate": HEAD_RATE, "weight_decay": decay / HEAD_RATE},
    ]
    others = torch.optim.SGD(groups, lr=0.0, momentum=0.85, nesterov=True)
    momenta = [torch.zeros_like(p) for p in filters]
    per_epoch = len(images) // BATCH
    steps, step = round(epochs * per_epoch), 0
    whitening_steps = WHITENING_EPOCHS * per_epoch
    for batches in epochs_of(images, labels):
        for inputs, targets in batches:
            with torch.autocast(inputs.device.type, torch.bfloat16):
                logits = net(inputs)
            F.cross_entropy(logits.float(), targets, label_smoothing=SMOOTHING, reduction="sum").backward()
            left = 1 - step / steps
            for group in others.param_groups:
                group["lr"] = group["rate"] * left
            others.param_groups[0]["lr"] = BIAS_RATE * max(0.0, 1 - step / whitening_steps)
            others.step()
            with torch.no_grad():
                for weight, momentum in zip(filters, momenta, strict=True):
                    momentum.mul_(0.6).add_(weight.grad)
                    weight.mul_(len(weight) ** 0.5 / weight.norm())
                    weight.add_(turned(weight.grad + 0.6 * momentum), alpha=-FILTER_RATE * left)
            net.zero_grad(set_to_none=True)
            step += 1
            if step == steps:
                return


@torch.no_grad()
def logits_of(net: Net, images: Tensor, *, augmented: bool) -> Tensor:
    """The mean over views and mirrored ones; `augmented` adds views shifted by a pixel, for half of it."""

    def mirrored(views: Tensor) -> Tensor:
        views = views.contiguous(memory_format=torch.channels_last)
        return 0.5 * net(views).float() + 0.5 * net(views.flip(3)).float()

    rows = []
    for chunk in images.split(CHUNK):
        with torch.autocast(chunk.device.type, torch.bfloat16):
            if not augmented:
                rows.append(net(chunk.contiguous(memory_format=torch.channels_last)).float())
                continue
            padded = F.pad(chunk, (1,) * 4, mode="reflect")
            shifted = 0.5 * mirrored(padded[:, :, :32, :32]) + 0.5 * mirrored(padded[:, :, 2:, 2:])
            rows.append(0.5 * mirrored(chunk) + 0.5 * shifted)
    return torch.cat(rows)


def run(make: type[Net], learn: Callable[..., None], *, epochs: float, description: str) -> None:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=epochs)
    parser.add_argument("--held-out", type=int, default=5000)
    asked = parser.parse_args()
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        library.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    torch.manual_seed(asked.seed)
    images, labels, test_images, test_labels = read_batches(asked.folder)
    kept = len(images) - asked.held_out
    judged = torch.cat([images[kept:], test_images])
    truth = torch.cat([labels[kept:], test_labels])
    started = time.perf_counter()
    normalised = (images[:kept].float() / 255 - MEAN) / STD
    net = make().to(memory_format=torch.channels_last)
    net.measure_whitening(normalised[:5000])
    learn(net, normalised, labels[:kept], asked.epochs)
    seconds = time.perf_counter() - started
    net.eval()
    judged = (judged.float() / 255 - MEAN) / STD
    plain, augmented = (
        float((logits_of(net, judged, augmented=way).argmax(1) == truth).double().mean()) for way in (False, True)
    )
    print(f"seed {asked.seed}: {seconds:.1f} s, {plain:.2%}, with test-time augmentation {augmented:.2%}", flush=True)


if __name__ == "__main__":
    run(Net, train, epochs=8, description=__doc__.splitlines()[0])
