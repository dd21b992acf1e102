"""The data doctor: look at every picture once, before anything is learnt from it.

Nothing is written, nothing is changed, and no more than one decoded picture a thread is held.
`benchmarks/scan.py` measures the time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlens.data.duplicates import MIN_SHORT_SIDE, Looks, exact_groups, near_groups
from convlens.data.findings import HUGE_PIXELS, TINY_SIDE, Finding, class_findings, group_findings, picture_findings
from convlens.data.hashing import LOOK_COLUMNS, LOOK_ROWS, cells, content_hash, file_hash, greys, tint
from convlens.data.images import Images, Reader
from convlens.data.reduced import REDUCED, large, same_looks
from convlens.data.threads import usable_cpus
from convlens.errors import PictureError, UsageError, counted
from convlens.pictures import PictureFacts, Preprocess, decode_and_inspect, failure_kind

__all__ = ["Finding", "Scan", "scan"]

Progress = Callable[[str, int, int, str], None]
_CHUNK = 64
_MEASURED = 500  # pictures, on which a reduction is measured


@dataclass(frozen=True)
class Scan:
    """What is in N pictures; the sizes of the looks are upright and full, 0 where a picture cannot be read.

    A hash is of every pixel. That of a JPEG of 512 px or more to the short side is of its file, unless the scan was
    exact or another picture has the same size and look.
    """

    num_pictures: int
    num_unreadable: int
    findings: tuple[Finding, ...]
    hashes: tuple[str | None, ...]
    looks: Looks
    channels: int  # 1 if every readable picture is grey, else 3
    seconds: float
    readable: np.ndarray  # (N,) bool

    def reduction(self, preprocess: Preprocess) -> float:
        """The 90th percentile of how many pixels a picture has for each that `preprocess` makes of it, on a side."""
        readable = np.flatnonzero(self.readable)
        some = self.looks.at(readable[:: max(1, len(readable) // _MEASURED)])
        sizes = zip(some.heights.tolist(), some.widths.tolist(), strict=True)
        return float(np.percentile([preprocess.geometry(*size).reduction for size in sizes], 90))

    def to_dict(self) -> dict[str, Any]:
        """JSON-friendly: the counts, and at most 20 examples of each finding."""
        return {
            "num_pictures": self.num_pictures,
            "num_unreadable": self.num_unreadable,
            "channels": self.channels,
            "seconds": round(self.seconds, 2),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def scan(
    images: Images,
    *,
    parts: Sequence[str] | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
    exact: bool = False,
) -> Scan:
    """Read every picture; `parts` divides them where the source does not. Progress comes in the calling thread.

    With `exact` large JPEGs are decoded at full size too, and every hash is of pixels.
    """
    started = time.perf_counter()
    parts = images.parts if parts is None else parts
    if parts is not None and len(parts) != len(images):
        raise UsageError(
            f"{counted(len(parts), 'part')} came for {counted(len(images), 'picture')}; one each is needed"
        )
    threads = threads or usable_cpus()
    notebook = _Notebook(len(images), exact)
    for done in _read_all(images.reader, notebook, threads):
        if progress:
            progress("scan", done, len(images), "")
    _settle(images.reader, notebook, threads)
    readable = np.array([content is not None for content in notebook.hashes], bool)
    equal = exact_groups(notebook.hashes)
    alike = near_groups(notebook.looks, notebook.hashes)
    findings = (
        *picture_findings(images, notebook.found),
        *group_findings(images, equal, alike, parts),
        *class_findings(images, readable, parts),
    )
    return Scan(
        num_pictures=len(images),
        num_unreadable=int((~readable).sum()),
        findings=findings,
        hashes=tuple(notebook.hashes),
        looks=notebook.looks,
        channels=1 if readable.any() and notebook.grey[readable].all() else 3,
        seconds=time.perf_counter() - started,
        readable=readable,
    )


class _Notebook:
    """What is noted about each picture; threads write to different places."""

    def __init__(self, num_pictures: int, exact: bool) -> None:
        self.short_side = None if exact else REDUCED
        self.named_by_file = np.zeros(num_pictures, bool)
        self.hashes: list[str | None] = [None] * num_pictures
        self.grey = np.zeros(num_pictures, bool)
        self.found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.looks = Looks(
            greys=np.zeros((num_pictures, LOOK_ROWS, LOOK_COLUMNS), np.uint8),
            tints=np.zeros((num_pictures, 2), np.int16),
            heights=np.zeros(num_pictures, np.int32),
            widths=np.zeros(num_pictures, np.int32),
        )

    def note(self, index: int, pixels: np.ndarray, height: int, width: int, path: Path | None) -> None:
        reduced = pixels.shape[:2] != (height, width)
        self.named_by_file[index] = reduced
        self.hashes[index] = file_hash(path) if reduced and path is not None else content_hash(pixels)
        self.grey[index] = pixels.ndim == 2
        self.looks.heights[index], self.looks.widths[index] = height, width
        if min(height, width) >= MIN_SHORT_SIDE:
            averages = cells(pixels)
            self.looks.greys[index] = greys(averages)
            self.looks.tints[index] = tint(averages)


def _read_all(reader: Reader, notebook: _Notebook, threads: int) -> Iterator[int]:
    """Yields how many are done; an interruption drops what has not begun."""

    def read_chunk(start: int) -> list[tuple[str, int, str]]:
        stop = min(start + _CHUNK, len(reader))
        return [
            (kind, index, detail) for index in range(start, stop) for kind, detail in _read(reader, index, notebook)
        ]

    pool = ThreadPoolExecutor(threads, thread_name_prefix="scan")
    try:
        starts = range(0, len(reader), _CHUNK)
        for start, found in zip(starts, pool.map(read_chunk, starts), strict=True):
            for kind, index, detail in found:
                notebook.found[kind].append((index, detail))
            yield min(start + _CHUNK, len(reader))
    finally:
        pool.shutdown(cancel_futures=True)


def _read(reader: Reader, index: int, notebook: _Notebook) -> list[tuple[str, str]]:
    """Note one picture down -> the kinds of findings it belongs to, each with a detail."""
    path = reader.path(index)
    try:
        if path is None:
            pixels = reader.read(index)
            height, width, kinds = *pixels.shape[:2], []
        else:
            pixels, facts = decode_and_inspect(path, short_side=notebook.short_side)
            height, width, kinds = facts.height, facts.width, list(_oddities(facts))
        notebook.note(index, pixels, height, width, path)
    except PictureError as error:
        return [(failure_kind(error.reason), error.reason)]
    return kinds + [(kind, f"{width} x {height}") for kind in _odd_sizes(height, width)]


def _settle(reader: Reader, notebook: _Notebook, threads: int) -> None:
    """Where a picture has the size and look of another and is named by its file, its pixels name it instead."""

    def settle(copies: list[int]) -> None:
        with suppress(PictureError):  # it was readable a moment ago; it keeps the name of its file
            content = content_hash(reader.read(copies[0]))
            for index in copies:
                notebook.hashes[index] = content

    if not notebook.named_by_file.any():
        return
    members: dict[str, list[int]] = defaultdict(list)
    for index in np.flatnonzero(large(notebook.looks)).tolist():
        members[str(notebook.hashes[index])].append(index)
    contents = list(members.values())
    looks = notebook.looks.at([content[0] for content in contents])
    doubtful = [
        content
        for content, alike in zip(contents, same_looks(looks, looks), strict=True)
        if len(alike) > 1 and notebook.named_by_file[content[0]]
    ]
    with ThreadPoolExecutor(threads, thread_name_prefix="settle") as pool:
        list(pool.map(settle, doubtful))


def _oddities(facts: PictureFacts) -> Iterator[tuple[str, str]]:
    if facts.wrong_suffix:
        yield "wrong_extension", f"is {facts.format}"
    if facts.orientation != 1:
        yield "rotated", f"orientation {facts.orientation}"
    if facts.bits > 8:
        yield "sixteen_bit", f"{facts.bits} bits"
    if facts.mode == "CMYK":
        yield "cmyk", ""
    if facts.has_alpha:
        yield "alpha", ""
    if facts.mode in ("P", "PA"):
        yield "palette", ""
    if facts.num_frames > 1:
        yield "animated", f"{facts.num_frames} frames"


def _odd_sizes(height: int, width: int) -> Iterator[str]:
    if min(height, width) == 1:
        yield "one_pixel"
    elif min(height, width) < TINY_SIDE:
        yield "tiny"
    if height * width > HUGE_PIXELS:
        yield "huge"
