"""How long does looking at 10,000 pictures take, and how much memory?

    python benchmarks/scan.py FOLDER [MEGAPIXELS] [--pictures 10000] [--repeats 3]

FOLDER holds a subfolder for each class. Its files are linked under new names until there are enough, so the files are
in the system's cache as after a copy; the time is the scan's own, memory the largest of the process. With
MEGAPIXELS, 40 of them are enlarged first, with noise like a sensor's, to JPEGs like a camera's.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from convlens.data import open_images, scan


def multiplied(source: Path, target: Path, count: int) -> None:
    """Hard or symbolic links to the pictures of `source`, class by class, `count` in all."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for number, path in zip(range(count), itertools.cycle(files), strict=False):
        place = target / path.relative_to(source).parent / f"{number:06d}{path.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:  # another file system
            place.symlink_to(path.resolve())


def enlarged(source: Path, target: Path, megapixels: float) -> Path:
    """The first 40 pictures that can be read, at `megapixels` each, as JPEGs of quality 92."""
    noise = np.random.default_rng(0)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for file in files[:: max(1, len(files) // 40)][:40]:
        with Image.open(file) as image:
            scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
            size = (round(image.width * scale), round(image.height * scale))
            large = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
        grain = noise.normal(0, 6, (*large.shape[:2], 1))
        place = (target / file.relative_to(source)).with_suffix(".jpg")
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)).save(place, quality=92)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("megapixels", type=float, nargs="?")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, TemporaryDirectory() as camera:
        source = enlarged(asked.folder, Path(camera), asked.megapixels) if asked.megapixels else asked.folder
        size = statistics.mean(path.stat().st_size for path in source.rglob("*") if path.is_file())
        multiplied(source, Path(folder), asked.pictures)
        images = open_images(folder)
        seconds = [scan(images).seconds for _ in range(asked.repeats)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spread = f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
    print(f"{len(images):,} pictures of {size / 1000:.0f} kB: {spread}, {memory:.0f} MiB at most")


if __name__ == "__main__":
    main()
