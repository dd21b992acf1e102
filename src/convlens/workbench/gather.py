"""From a source to pictures that are scanned, counted and divided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convlens.data import EXCLUDED, NAMED, Images, Scan, divide, open_images, scan
from convlens.data.folder import visible_folders
from convlens.errors import DataError, UnreadablePictures, UsageError, counted, listed
from convlens.runs import Run, RunFolder, SeenLooks, Splits, make_splits, seen_looks
from convlens.storage import sha256_bytes, write_bytes
from convlens.workbench.recognise import parts_in
from convlens.workbench.results import Progress, Tell

SHOWN = 5  # bad pictures named in an error; the doctor lists all


@dataclass(frozen=True)
class Gathered:
    images: Images
    scan: Scan
    splits: Splits
    source: str  # that any working folder understands
    data_dir: str | None = None
    looks: SeenLooks | None = None  # None where every hash is of pixels at full size
    num_known: int = 0  # pictures that the run knows whose weights a training begins with

    @property
    def num_classes(self) -> int:
        return len(self.images.classes)

    def median_side(self) -> int:
        """Median of the pictures' short sides, in pixels."""
        return int(np.median(np.minimum(self.scan.looks.heights, self.scan.looks.widths)[self.scan.readable]))

    def aspect(self) -> float:
        """The 90th percentile of long side over short side."""
        readable = self.scan.readable
        high, wide = self.scan.looks.heights[readable], self.scan.looks.widths[readable]
        return float(np.percentile(np.maximum(high, wide) / np.minimum(high, wide), 90))

    def facts(self) -> dict[str, Any]:
        """The `data` entry of a manifest."""
        looks = {} if self.looks is None else {"looks_sha256": sha256_bytes(self.looks.to_bytes())}
        return {
            "name": self.images.name,
            "source": self.source,
            "data_dir": self.data_dir,
            "num_pictures": len(self.images),
            "parts": self.splits.counts(),
            "fingerprint": sha256_bytes("".join(self.splits.hashes).encode()),
            "splits_sha256": sha256_bytes(self.splits.as_csv().encode()),
            **looks,
            "scan": self.scan.to_dict(),
        }

    def write(self, folder: RunFolder) -> None:
        """Which picture went to which part, and how the large ones look."""
        self.splits.write(folder.splits)
        if self.looks is not None:
            write_bytes(folder.looks, self.looks.to_bytes())


def gather(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    max_bad: float = 0.1,
    exact: bool = False,
    begins_with: Run | None = None,
    progress: Progress | None = None,
    tell: Tell,
) -> Gathered:
    """Raises DataError when more than `max_bad` of the pictures cannot be read, or fewer than two classes are there.

    With `exact` every hash is of pixels at full size, and no look need be kept, nor decoded pictures in the cache.
    Pictures keep the part that they had in the run whose weights a training `begins_with`.
    """
    if not 0 <= max_bad <= 1:
        raise UsageError(f"--max-bad came as {max_bad:g}; expected a share from 0 to 1, like 0.1")
    images = open_images(source, data_dir=data_dir, progress=progress)
    for note in images.notes:
        tell(note)
    found = scan(images, parts=images.parts, progress=progress, exact=exact)
    check_bad(found, max_bad, tell)
    if len(images.classes) < 2:
        raise DataError(
            f"{source} holds {len(images.classes)} class ({', '.join(images.classes) or 'none'}); "
            f"expected a folder for each of at least two classes{_one_level_down(source, images)}"
        )
    if len(readable := set(images.labels[found.readable].tolist()) - {-1}) == 1:
        raise DataError(
            f"only pictures of one class of {source} can be read ({images.classes[readable.pop()]}); expected two "
            "classes or more: `convlens doctor` lists what is wrong with the others"
        )
    known = np.full(len(images), "")
    if begins_with is not None:
        known = parts_in(begins_with, images, found, exact=exact, progress=progress, tell=tell)
    division = divide(
        images.labels, found.hashes, images.parts, seed=seed, fractions=fractions, groups=images.groups, known=known
    )
    if begins_with is not None:
        for line in _known_words(begins_with, images, known, division):
            tell(line)
    for line in _unjudged(images, found.readable, division):
        tell(line)
    keys = [images.reader.key(index) for index in range(len(images))]
    splits = make_splits(found.hashes, division, images.labels, keys)
    looked_in = None if data_dir is None else str(Path(data_dir).expanduser().resolve())
    looks = None if exact else seen_looks(found, splits)
    images = images if exact else replace(images, hashes=found.hashes)
    return Gathered(images, found, splits, lasting_name(source), looked_in, looks, int((known != "").sum()))


def _unjudged(images: Images, readable: np.ndarray, division: np.ndarray) -> Iterator[str]:
    """Of each part that is scored, the classes that are learnt and have too few pictures to be in it.

    What a part that the source brings lacks, the scan has told; it may lose copies of training pictures yet.
    """
    learnt = set(images.labels[division == "train"].tolist())
    brought = np.array([""] * len(images) if images.parts is None else images.parts)
    for part in ("val", "test"):
        there = set(images.labels[division == part].tolist())
        expected = set(images.labels[readable & (brought == part)].tolist()) if part in brought else learnt
        if lacking := [images.classes[label] for label in sorted((learnt & expected) - there) if there]:
            number = counted(len(lacking), "class", "classes")
            yield f"{number} with too few pictures for {part}: {listed(lacking)}; no score there can speak about them"


def _known_words(run: Run, images: Images, known: np.ndarray, division: np.ndarray) -> Iterator[str]:
    """What becomes of pictures that the run knows whose weights a training begins with."""
    if images.parts is None:
        if stay := int(((known == division) & (known != "")).sum()):
            yield f"{counted(stay, 'picture')} in the same part as in {run.path}, whose weights these are"
        return
    for part, done in (("val", "left out"), ("test", "never scored")):
        learnt = (np.array(images.parts) == part) & (known == "train")
        if learnt.any():
            yield (
                f"{counted(int(learnt.sum()), 'picture')} of {part} {done}: {run.path}, whose weights these are, was "
                "trained on them"
            )


def _one_level_down(source: str | Path, images: Images) -> str:
    inner = Path(source).expanduser() / "".join(images.classes[:1])
    return f"; if they are in there, give {inner}" if inner.is_dir() and len(visible_folders(inner)) > 1 else ""


def lasting_name(source: str | Path) -> str:
    """The name of a set as it is, anything else as an absolute path."""
    if isinstance(source, str) and source in NAMED:
        return source
    return str(Path(source).expanduser().resolve())


def check_data_dir(source: str | Path | None, data_dir: str | Path | None) -> None:
    """UsageError for a folder of named sets beside a source that is none, or beside nothing."""
    if data_dir is None or (isinstance(source, str) and source in NAMED):
        return
    if source is not None and not Path(source).expanduser().exists():
        return  # a name misspelt, which is told when it is opened
    beside = "without pictures" if source is None else f"with {source}"
    raise UsageError(
        f"--data-dir came {beside}; it is where named sets ({', '.join(NAMED)}) are looked for, so leave it out"
    )


def check_bad(found: Scan, max_bad: float, tell: Tell) -> None:
    """Say what the scan found; refuse a source that is broken beyond the bound."""
    for finding in found.findings:
        if finding.severity != "note":
            named = listed(finding.keys, SHOWN)
            tell(f"{finding.message}: {named}" if named else finding.message)
    if found.num_unreadable > max_bad * found.num_pictures:
        raise UnreadablePictures(
            f"{found.num_unreadable:,} of {found.num_pictures:,} pictures cannot be read, more than the bound of "
            f"{max_bad:.0%}; `convlens doctor` lists them, --max-bad moves the bound",
            tuple(key for finding in found.findings if finding.severity == "error" for key in finding.keys),
            found.num_pictures,
        )


def same_pictures(gathered: Gathered, before: Splits, source: str) -> None:
    """Raises DataError when a source no longer holds the pictures that a training began with."""
    if gathered.splits.hashes != before.hashes or gathered.splits.labels != before.labels:
        raise DataError(
            f"{source} holds other pictures than when this training began; restore them, or start a new training"
        )


def excluded(splits: Splits) -> int:
    return len(splits.indices(EXCLUDED))
