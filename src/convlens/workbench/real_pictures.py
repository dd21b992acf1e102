"""Real pictures for an exported file: held-out ones that prove it, training ones that calibrate it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convlens.data import Reader, open_images
from convlens.errors import ConvlensError, DataError, PictureError, UsageError, counted
from convlens.runs import Run
from convlens.workbench.predict import Picture, Read, name_pictures

CALIBRATION = 200
SHOWN = 3  # unreadable pictures in an error
CALLED = {"test": "the test part", "val": "the validation part", "train": "the training part"}
HELD_OUT_FIRST, TRAINED_FIRST = ("test", "val", "train"), ("train", "val", "test")


@dataclass(frozen=True)
class RealPictures:
    """uint8 (N, C, H, W) of the network's size, where they are from, and which could not be read."""

    pixels: np.ndarray
    source: str
    unreadable: tuple[str, ...] = ()


def proving_pictures(run: Run, pictures: Picture | Sequence[Picture], most: int) -> RealPictures:
    """Those given, else the run's own, else its thumbnails: `most` of them, evenly over all there are.

    Raises UsageError where there is none, DataError where none can be read.
    """
    if isinstance(pictures, str | Path | np.ndarray) or len(pictures):
        return _read(run, name_pictures(pictures), "the pictures given", most)
    own = own_pictures(run, HELD_OUT_FIRST, most)
    if own is not None:
        return own
    with suppress(ConvlensError, OSError):
        if run.folder.thumbnails.is_dir():
            return _read(run, name_pictures(run.folder.thumbnails), "the run's thumbnails", most)
    raise UsageError(
        f"{run.path} has no pictures at hand that the file could be proved on; give some: files, folders or globs "
        "after the run"
    )


def calibrating_pictures(run: Run, proving: RealPictures) -> RealPictures:
    """Of the training part; where that is gone, those that prove the file."""
    return own_pictures(run, TRAINED_FIRST, CALIBRATION) or proving


def own_pictures(run: Run, parts: Sequence[str], most: int) -> RealPictures | None:
    """Of the first part that is still there, of what the run was trained on; None where nothing is."""
    with suppress(ConvlensError, OSError):
        facts, splits = run.manifest.data, run.splits
        if facts is None or splits is None:
            return None
        images = open_images(facts["source"], data_dir=facts.get("data_dir"))
        place = {images.reader.key(index): index for index in range(len(images))}
        for part in parts:
            there = [place[splits.keys[row]] for row in splits.indices(part) if splits.keys[row] in place]
            if there:
                named = [(images.reader.key(i), _reader(images.reader, i)) for i in there]
                return _read(run, named, f"{CALLED[part]} of {images.name}", most)
    return None


def _reader(reader: Reader, index: int) -> Read:
    return lambda side: reader.read(index, short_side=side)


def _read(run: Run, named: list[tuple[str, Read]], source: str, most: int) -> RealPictures:
    good, bad = [], []
    for place in np.unique(np.linspace(0, len(named) - 1, most).round().astype(int)):
        name, read = named[place]
        try:
            good.append(run.preprocess.pixels(read(run.preprocess.decode_side)))
        except PictureError as error:
            bad.append(f"{name}: {error.reason}")
    if not good:
        raise DataError(
            f"of {counted(len(bad), 'picture')} to prove the file on none could be read ({'; '.join(bad[:SHOWN])}"
            f"{'; …' if len(bad) > SHOWN else ''}); give others"
        )
    return RealPictures(np.stack(good), source, tuple(bad))
