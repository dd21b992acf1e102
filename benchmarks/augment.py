"""How long does a batch take, decoded pixels to normalised tensor, on one thread?

    python benchmarks/augment.py [FOLDER] [--steps 100]

Made-up pictures of the shapes of MNIST, CIFAR-10 and photographs, with what is drawn by default and with one
augmentation at a time. With FOLDER, which holds a subfolder for each class, its pictures at 224 px also go through a
DataLoader of torch, which decodes, crops, mirrors and lights each with Pillow in as many processes as there are
processors, and the two take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader, Dataset

from convlens.data import Augment, Batches, decode_pixels, open_images, usable_cpus
from convlens.pictures import Preprocess
from convlens.workbench.task import MARGIN, default_augment

# fmt: off
SHAPES = {  # pictures, channels, side, side kept, batch
    "MNIST":       (60_000, 1,  28,  28, 128),
    "CIFAR-10":    (50_000, 3,  32,  32, 500),
    "photographs": (   256, 3, 224, 256,  64),
}
ALONE: list[dict[str, Any]] = [
    {}, {"flip": True}, {"shift": 2}, {"shift": 2, "border": "reflect"}, {"rotate": 10}, {"brightness": 0.2},
    {"contrast": 0.2}, {"saturation": 0.2}, {"hue": 0.1}, {"lighting": 0.1}, {"cutout": 8}, {"mixup": 0.2},
    {"cutmix": 1.0},
]
# fmt: on
BATCH = 64


class Pictures(Dataset):
    """Files decoded and augmented one by one: what torch's documentation shows, with Pillow alone."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        draw = np.random.default_rng(index)
        with Image.open(self.files[index]) as file:
            image = file.convert("RGB")
        height, width = (int(side * draw.uniform(0.35, 1) ** 0.5) for side in (image.height, image.width))
        top, left = draw.integers(image.height - height + 1), draw.integers(image.width - width + 1)
        image = image.resize((224, 224), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
        if draw.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = ImageEnhance.Contrast(image).enhance(draw.uniform(0.8, 1.2))
        image = ImageEnhance.Brightness(image).enhance(draw.uniform(0.8, 1.2))
        return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()).float().div_(255).sub_(0.5).div_(0.25)


def preprocess(side: int, channels: int = 3) -> Preprocess:
    return Preprocess((side, side), "crop", channels, (0.5,) * channels, (0.25,) * channels)


def made_up(kind: str, ask: Augment | None) -> Batches:
    count, channels, side, kept, batch = SHAPES[kind]
    pixels = torch.randint(0, 256, (count, channels, kept, kept), dtype=torch.uint8)
    if kept > side:
        pixels = pixels.contiguous(memory_format=torch.channels_last)  # as training keeps what it crops
    seen = preprocess(side, channels)
    return Batches(pixels, torch.arange(count) % 10, seen, ask or default_augment(seen), batch=batch, seed=0)


def milliseconds(batches: Callable[[int], object], steps: int) -> float:
    """Median over steps, after one whose time is not counted."""
    times = []
    for step in range(steps + 1):
        began = time.perf_counter()
        batches(step)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[1:])


def compare(folder: Path) -> None:
    """Pictures a second of both, of one pass over the folder, three times in turns."""
    images, seen = open_images(folder), preprocess(224)
    began = time.perf_counter()
    pixels = decode_pixels(images, range(len(images)), preprocess(round(224 * MARGIN)), for_crops=True)
    print(f"{len(images):,} pictures of {folder} decoded once in {time.perf_counter() - began:.1f} s")
    batches = Batches(pixels, torch.from_numpy(images.labels), seen, default_augment(seen), batch=BATCH, seed=0)
    loader = DataLoader(Pictures(folder), BATCH, shuffle=True, num_workers=usable_cpus(), drop_last=True)
    for epoch in range(3):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        show("resident, one thread", (batches(step) for step in steps))
        show(f"DataLoader, {usable_cpus()} processes", loader)


def show(name: str, epoch: Iterable[object]) -> None:
    began = time.perf_counter()
    count = BATCH * sum(1 for _ in epoch)
    print(f"  {name:<28} {count / (time.perf_counter() - began):>8,.0f} pictures/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for kind, (_, channels, side, _, batch) in SHAPES.items():
        steps = given.steps if side < 100 else min(10, given.steps)
        print(f"{kind}, {batch} x {channels} x {side} x {side}: ms a batch")
        print(f"  {'by default':<28}{milliseconds(made_up(kind, None), steps):>9.2f}")
        for options in ALONE:
            if channels == 3 or not {"saturation", "hue", "lighting"} & set(options):
                name = " ".join(f"{key}={value}" for key, value in options.items()) or "nothing drawn"
                print(f"  {name:<28}{milliseconds(made_up(kind, Augment(**options)), steps):>9.2f}", flush=True)
    if given.folder:
        compare(given.folder)


if __name__ == "__main__":
    main()
