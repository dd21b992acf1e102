"""What the pictures of a source are to a run: trained on, held out, or new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from convlens.data import Images, Scan, content_hash, file_hash, large, open_images, same_looks, scan
from convlens.errors import ConvlensError, PictureError, counted
from convlens.runs import Run, SeenLooks
from convlens.workbench.lineage import earlier_run
from convlens.workbench.results import Progress, Tell, silent

TRAINED_ON, LOOKS_TRAINED_ON = "trained on", "looks trained on"
UNREADABLE, UNKNOWN = "unreadable", "of an unknown class"


@dataclass(frozen=True)
class Candidates:
    """The pictures of a source before a run: (N,) labels in the run's numbering, and what a scan found."""

    run: Run
    images: Images
    labels: np.ndarray
    scan: Scan
    progress: Progress | None = None  # of another scan, should one be needed


def look_over(run: Run, images: Images, labels: np.ndarray, progress: Progress | None) -> Candidates:
    """A run that keeps no looks knows what it was trained on by pixels at full size, so these are scanned so too."""
    found = scan(images, parts=images.parts, progress=progress, exact=_by_pixels(run))
    return Candidates(run, images, labels, found, progress)


def _by_pixels(run: Run) -> bool:
    return run.splits is not None and run.looks is None


def parts_in(
    run: Run, images: Images, found: Scan, *, exact: bool, progress: Progress | None, tell: Tell
) -> np.ndarray:
    """(N,) parts that pictures had in an earlier run, "" for new ones; `exact` is how they were scanned."""
    roles = roles_of(_before(run, Candidates(run, images, images.labels, found, progress), exact=exact), tell)
    parts = {TRAINED_ON: "train", LOOKS_TRAINED_ON: "train", "val": "val", "test": "test"}
    return np.array([parts.get(role, "") for role in roles.tolist()], dtype="<U8")


def _before(run: Run, given: Candidates, *, exact: bool) -> Candidates:
    """To an earlier run, whose classes are no matter; scanned again where it knows pictures in another way."""
    labels = np.zeros(len(given.images), np.int64)
    if run.splits is None or exact == _by_pixels(run):
        return replace(given, run=run, labels=labels)
    return look_over(run, given.images, labels, given.progress)


def roles_of(given: Candidates, tell: Tell = silent) -> np.ndarray:
    """What each picture is to the run: "trained on", "val", "test", "new", "unreadable" or "of an unknown class".

    What the run whose weights it began with was trained on, this one was, too, as long as that one is there. "looks
    trained on" is a large picture of the size and look of one that was trained on and is no longer there to be compared
    pixel by pixel.
    """
    found = _own_roles(given, tell)
    earlier, why = earlier_run(given.run)
    if why and np.char.startswith(found, "new").any():
        tell(why)
    if earlier is not None:
        before = roles_of(_before(earlier, given, exact=_by_pixels(given.run)), tell)
        learnt = np.isin(before, [TRAINED_ON, LOOKS_TRAINED_ON]) & ~np.isin(found, [UNREADABLE, UNKNOWN, TRAINED_ON])
        found[learnt] = before[learnt]
    return found


def _own_roles(given: Candidates, tell: Tell) -> np.ndarray:
    """Without what an earlier run was trained on."""
    splits, parts = given.run.splits, given.images.parts
    known: dict[str, str] = {}
    for name in ("test", "val", "train"):  # train last: a picture in several parts was trained on
        known |= dict.fromkeys(splits.hashes_of(name) if splits else (), TRAINED_ON if name == "train" else name)
    has_test = parts is not None and "test" in parts
    roles = []
    for index, content in enumerate(given.scan.hashes):
        if content is None:
            roles.append(UNREADABLE)
        elif given.labels[index] < 0:
            roles.append(UNKNOWN)
        elif content in known:
            roles.append(known[content])
        else:
            outside = has_test and parts is not None and parts[index] != "test"
            roles.append("new, not in its test part" if outside else "new")
    found = np.array(roles, dtype="<U32")
    told = _seen_in_other_files(given, np.flatnonzero(np.char.startswith(found, "new")))
    for index, role in told.items():
        found[index] = found[index] if role is None else role
    if alike := sum(role is None for role in told.values()):
        tell(f"{counted(alike, 'new picture')} with the look of ones trained on, but other pixels: scored")
    return found


def new_to(run: Run, images: Images, labels: np.ndarray, kept: np.ndarray, progress: Progress | None) -> np.ndarray:
    """Of the pictures `kept`, (n,) places, those that this run was not trained on; labels (N,) in its numbering."""
    roles = roles_of(look_over(run, images, labels, progress))[kept]
    return kept[~np.isin(roles, [TRAINED_ON, LOOKS_TRAINED_ON])]


def _seen_in_other_files(given: Candidates, new: np.ndarray) -> dict[int, str | None]:
    """Large pictures, new by their hashes, that look like ones that were trained or fitted on -> what they are.

    None is for those that differ in a pixel from all that they look like.
    """
    seen = given.run.looks
    if seen is None or not len(seen.rows):
        return {}
    suspects = new[large(given.scan.looks)[new]]
    originals = _Originals(given.run, seen)
    found = zip(suspects.tolist(), same_looks(given.scan.looks.at(suspects), seen.looks), strict=True)
    return {index: originals.role(given.images, index, places.tolist()) for index, places in found if len(places)}


class _Originals:
    """The pictures that a run was trained on, where they still are, to be compared pixel by pixel."""

    def __init__(self, run: Run, seen: SeenLooks) -> None:
        self._run, self._seen = run, seen
        self._hashes: dict[int, str | None] = {}

    def role(self, images: Images, index: int, places: Iterable[int]) -> str | None:
        """The part of the original with the same pixels; None where all that look the same are others."""
        try:
            content = content_hash(images.reader.read(index))
        except PictureError:
            return None  # it will be counted as unreadable
        splits = self._run.splits
        assert splits is not None
        missing: set[str] = set()
        for place in places:
            row = int(self._seen.rows[place])
            original, part = self._hash(row), splits.parts[row]
            if original == content:
                return TRAINED_ON if part == "train" else part
            missing |= {part} if original is None else set()
        return LOOKS_TRAINED_ON if "train" in missing else "val" if missing else None

    def _hash(self, row: int) -> str | None:
        """Of all pixels of the original; None where it is gone or was changed."""
        if row not in self._hashes:
            self._hashes[row] = self._read(row)
        return self._hashes[row]

    def _read(self, row: int) -> str | None:
        splits = self._run.splits
        assert splits is not None
        index = self._places.get(splits.keys[row])
        if self._source is None or index is None:
            return None
        try:
            content, path = content_hash(self._source.reader.read(index)), self._source.reader.path(index)
            unchanged = splits.hashes[row] in (content, file_hash(path) if path is not None else content)
        except PictureError:
            return None
        return content if unchanged else None

    @cached_property
    def _source(self) -> Images | None:
        facts = self._run.manifest.data or {}
        try:
            return open_images(facts["source"], data_dir=facts.get("data_dir"))
        except (ConvlensError, OSError):
            return None

    @cached_property
    def _places(self) -> dict[str, int]:
        source = self._source
        return {} if source is None else {source.reader.key(index): index for index in range(len(source))}
