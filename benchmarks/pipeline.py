"""Pictures a second from a folder of JPEGs to normalised batches, beside the usual Dataset and DataLoader.

    python benchmarks/pipeline.py FOLDER [MEGAPIXELS] [--pictures 1500] [--size 160] [--repeats 5]

The files of FOLDER are linked until there are enough, and with MEGAPIXELS some are
enlarged first, as in scan.py. Both ways draw crops of 35 to 100 % of a picture's area, resize them bilinearly to SIZE,
mirror half of them and normalise, in batches of 64. The peer is what ImageFolder, RandomResizedCrop and a DataLoader
with two workers that persist do, in Pillow and torch alone. Our first epoch decodes and makes its batches; later ones
only make batches; the next training finds the pixels in the cache (if decoding took two seconds). Ours keeps freed
buffers while it makes batches, as a training does; the peer has a process of its own, whose allocator nothing has
touched, and starts its workers in its first epoch. The two take turns; medians, and from the slowest to the fastest.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from scan import enlarged, multiplied
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from convlens.data import Augment, Batches, Images, decode_pixels, open_images, scan, usable_cpus
from convlens.pictures import Preprocess
from convlens.training.allocator import kept_memory
from convlens.workbench.task import kept_for_crops

BATCH, WORKERS, SMALLEST, ASPECT = 64, 2, 0.35, 4 / 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LATER = 3  # epochs after the first


class Pictures(Dataset):
    """The peer: files, decoded and cropped when they are asked for."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int], size: int) -> None:
        self.files, self.labels, self.size = files, labels, size
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.files[index]) as image:
            picture = image.convert("RGB")
        picture = picture.crop(self.box(*picture.size)).resize((self.size, self.size), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float().div_(255)
        return values.sub_(self.mean).div_(self.std), self.labels[index]

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """As RandomResizedCrop draws it: ten tries, then the middle."""
        for _ in range(10):
            area = width * height * random.uniform(SMALLEST, 1)
            aspect = math.exp(random.uniform(-math.log(ASPECT), math.log(ASPECT)))
            across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if across <= width and down <= height:
                left, top = random.randint(0, width - across), random.randint(0, height - down)
                return left, top, left + across, top + down
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side


def peer(images: Images, size: int) -> tuple[float, float]:
    """-> pictures a second in the first epoch, and in later ones."""
    files = [images.reader.path(index) for index in range(len(images))]
    dataset = Pictures(files, images.labels.tolist(), size)
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True, drop_last=True)
    first = timed(lambda: [None for _ in loader])
    later = timed(lambda: [None for _ in range(LATER) for _ in loader])
    shown = len(loader) * BATCH
    return shown / first, LATER * shown / later


def ours(images: Images, kept: Preprocess, size: int) -> tuple[float, float, float]:
    """-> pictures a second in the first epoch, in later ones, and in the first epoch of the next training."""
    preprocess = Preprocess((size, size), mean=MEAN, std=STD)
    labels = torch.from_numpy(images.labels)

    def begin() -> Batches:
        pixels = decode_pixels(images, range(len(labels)), kept, for_crops=True)
        batches = Batches(pixels, labels, preprocess, Augment(flip=True, zoom=SMALLEST), batch=BATCH, seed=0)
        epoch(batches, 0)
        return batches

    def epoch(batches: Batches, number: int) -> None:
        with kept_memory():
            for step in range(batches.steps_per_epoch):
                batches(number * batches.steps_per_epoch + step)

    began = time.perf_counter()
    batches = begin()
    first = time.perf_counter() - began
    later = timed(lambda: [epoch(batches, 1 + number) for number in range(LATER)])
    shown = batches.steps_per_epoch * BATCH
    return shown / first, LATER * shown / later, shown / timed(begin)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spread(values: Sequence[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def compare(images: Images, kept: Preprocess, size: int, repeats: int) -> None:
    theirs, own = [], []
    for _ in range(repeats):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            theirs.append(alone.submit(peer, images, size).result())
        with TemporaryDirectory() as cache:
            os.environ["CONVLENS_CACHE"] = cache
            own.append(ours(images, kept, size))
    for place, name in enumerate(("first epoch", "later epochs")):
        pair = [[speeds[place] for speeds in way] for way in (theirs, own)]
        ratios = [mine / yours for yours, mine in zip(*pair, strict=True)]
        print(f"{name}: peer {spread(pair[0])}, convlens {spread(pair[1])} pictures/s; {spread(ratios, 1)} times")
    print(f"first epoch of the next training: {spread([speeds[2] for speeds in own])} pictures/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("megapixels", type=float, nargs="?")
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    with TemporaryDirectory() as folder, TemporaryDirectory() as camera:
        source = enlarged(asked.folder, Path(camera), asked.megapixels) if asked.megapixels else asked.folder
        multiplied(source, Path(folder) / "pictures", asked.pictures)
        images = open_images(folder)
        found = scan(images)
        megapixels = float(np.median(found.looks.heights.astype(float) * found.looks.widths)) / 1e6
        print(f"{len(images):,} pictures of {megapixels:.2f} megapixels to {asked.size} px, {usable_cpus()} processors")
        print(f"the scan before, which the peer does without: {found.seconds:.1f} s")
        kept = kept_for_crops(Preprocess((asked.size, asked.size)), found)
        compare(replace(images, hashes=found.hashes), kept, asked.size, asked.repeats)


if __name__ == "__main__":
    main()
