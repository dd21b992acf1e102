"""How long does looking at 10,000 pictures take, and how much memory?

    python benchmarks/scan.py FOLDER [--pictures 10000] [--repeats 3]

FOLDER holds a subfolder for each class. Its files are linked under new names until there are enough, so the files are
in the system's cache as after a copy; the time is the scan's own, memory the largest of the process.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        multiplied(asked.folder, Path(folder), asked.pictures)
        images = open_images(folder)
        seconds = [scan(images).seconds for _ in range(asked.repeats)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
    print(f"{len(images):,} pictures: {statistics.median(seconds):.1f} s ({spread}), {memory:.0f} MiB at most")


if __name__ == "__main__":
    main()
