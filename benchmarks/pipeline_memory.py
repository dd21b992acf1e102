"""How much memory do a scan, decoding and an epoch of batches take, for a folder and for one ten times as large?

    python benchmarks/pipeline_memory.py FOLDER [MEGAPIXELS] [--pictures 500] [--size 160]

As pipeline.py, each in a process of its own, as if the machine had 64 MiB: the pixels are in a memory map then. What
of a map is in memory belongs to the system, which takes it back at need, so anonymous memory is what counts (RssAnon
of Linux, the largest of samples 5 ms apart, with what the imports took); beside it the largest resident set. Twice the
larger folder, the second time with its pixels in the cache.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pipeline import BATCH, MEAN, STD
from scan import enlarged, multiplied

from convlens.data import Augment, Batches, decode_pixels, open_images, scan, usable_cpus
from convlens.data import pixels as pixels_file
from convlens.pictures import Preprocess
from convlens.workbench.task import kept_for_crops

MACHINE_BYTES = 64 << 20


def status(name: str) -> float:
    """MiB that /proc tells of this process under a name."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


class Watch:
    """The largest anonymous memory while the block runs."""

    def __enter__(self) -> Watch:
        self.before_mib = self.largest_mib = status("RssAnon")
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def _look(self) -> None:
        while not self.ended.wait(0.005):
            self.largest_mib = max(self.largest_mib, status("RssAnon"))

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def first_epoch(folder: Path, size: int) -> str:
    """Scan, decode, make an epoch of batches; what it took."""
    torch.set_num_threads(usable_cpus())
    pixels_file.memory_bytes = lambda: MACHINE_BYTES
    began = time.perf_counter()
    with Watch() as reading:
        images = open_images(folder)
        found = scan(images)
        images = replace(images, hashes=found.hashes)
        preprocess = Preprocess((size, size), mean=MEAN, std=STD)
        kept = kept_for_crops(preprocess, found)
        pixels = decode_pixels(images, range(len(images)), kept, for_crops=True)
    with Watch() as making:
        labels = torch.from_numpy(images.labels)
        batches = Batches(pixels, labels, preprocess, Augment(flip=True, zoom=0.35), batch=BATCH, seed=0)
        for step in range(batches.steps_per_epoch):
            batches(step)
    return (
        f"{len(labels):,} pictures, {pixels.nbytes / 2**20:,.0f} MiB of pixels: {time.perf_counter() - began:.1f} s, "
        f"{reading.before_mib:.0f} MiB anonymous before, {reading.largest_mib:.0f} while they are scanned and decoded, "
        f"{making.largest_mib:.0f} while batches are made, {status('VmHWM'):,.0f} MiB resident"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("megapixels", type=float, nargs="?")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--size", type=int, default=160)
    asked = parser.parse_args()
    with TemporaryDirectory() as scratch:
        os.environ["CONVLENS_CACHE"] = f"{scratch}/cache"
        source = asked.folder
        if asked.megapixels:
            source = enlarged(asked.folder, Path(scratch) / "camera", asked.megapixels)
        for times in (1, 10, 10):
            folder = Path(scratch) / f"times-{times}"
            if not folder.exists():
                multiplied(source, folder / "pictures", times * asked.pictures)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                print(process.submit(first_epoch, folder, asked.size).result(), flush=True)


if __name__ == "__main__":
    main()
