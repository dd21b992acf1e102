"""The usual first program with PyTorch: its MNIST example, at its defaults, against which a record is measured.

    python benchmarks/peers/mnist_example.py FOLDER [--epochs 14] [--measured 14]

Written anew from its description (github.com/pytorch/examples, mnist): two convolutions (32 and 64 filters of 3x3),
pooling, dropout 0.25, a hidden layer of 128, dropout 0.5; Adadelta at rate 1, times 0.7 an epoch; batches of 64 from a
DataLoader that makes each picture a tensor by itself, as torchvision's does. FOLDER holds the four IDX files. With
--measured 1 one epoch is timed, and the time of all is that times 14, which is said.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

MEAN, STD = 0.1307, 0.3081


class Digits(Dataset):
    """One picture at a time: through Pillow to a float tensor, normalised."""

    def __init__(self, folder: Path, part: str) -> None:
        images, labels = (next(folder.glob(f"{part}-{what}*.gz")) for what in ("images", "labels"))
        self.images = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)
        self.labels = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.images[index], mode=None)
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))[None]
        return (pixels.float().div(255) - MEAN) / STD, int(self.labels[index])


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    with torch.no_grad():
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in loader)
    return right / len(loader.dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--measured", type=int)
    asked = parser.parse_args()
    started = time.perf_counter()
    torch.manual_seed(1)
    train = DataLoader(Digits(asked.folder, "train"), batch_size=64, shuffle=True)
    test = DataLoader(Digits(asked.folder, "t10k"), batch_size=1000)
    model = network()
    optimiser = torch.optim.Adadelta(model.parameters(), lr=1.0)
    rates = torch.optim.lr_scheduler.StepLR(optimiser, step_size=1, gamma=0.7)
    done = asked.measured or asked.epochs
    for epoch in range(done):
        model.train()
        for images, labels in train:
            optimiser.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimiser.step()
        score = accuracy(model, test)
        rates.step()
        print(f"epoch {epoch + 1}: {score:.2%}, {time.perf_counter() - started:.1f} s", flush=True)
    seconds = (time.perf_counter() - started) * asked.epochs / done
    how = "measured" if done == asked.epochs else f"{done} measured, the others at the same pace"
    print(f"{asked.epochs} epochs ({how}): {seconds:.1f} s, {score:.2%}")


if __name__ == "__main__":
    main()
