"""What a scan found, in plain words, with what convlens does about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from convlens.data.duplicates import exact_groups
from convlens.data.images import Images
from convlens.errors import counted, listed

Severity = Literal["error", "warning", "note"]

TINY_SIDE = 8
HUGE_PIXELS = 50_000_000
IMBALANCE = 10  # pictures of the largest class for each of the smallest, from which it is worth a word
MAX_EXAMPLES = 20

# fmt: off
# kind              severity   what is said behind "12 pictures ": what they are, and what convlens does about it
WORDS: dict[str, tuple[Severity, str]] = {
    "unreadable":       ("error",   "unreadable: left out"),
    "truncated":        ("error",   "truncated: left out"),
    "zero_byte":        ("error",   "with zero bytes: left out"),
    "bomb":             ("error",   "claiming too many pixels to be safe (decompression bombs): left out"),
    "wrong_extension":  ("note",    "with the suffix of another format: read by their content"),
    "rotated":          ("note",    "rotated by EXIF: read upright"),
    "sixteen_bit":      ("note",    "of more than 8 bits a channel: scaled to 8 bits, not clipped"),
    "cmyk":             ("note",    "in CMYK: converted to RGB"),
    "alpha":            ("note",    "with transparency: composited on white"),
    "palette":          ("note",    "with a palette: read in full colour"),
    "animated":         ("note",    "with several frames or pages: only the first is used"),
    "one_pixel":        ("warning", "one pixel wide or high: used, though nothing can be seen in that"),
    "tiny":             ("note",    f"less than {TINY_SIDE} pixels wide or high: used, enlarged"),
    "huge":             ("note",    f"of more than {HUGE_PIXELS // 10**6} megapixels: used, slow to read"),
    "exact_duplicate":  ("note",    "in {groups} of equal content: kept together when the source is divided"),
    "duplicate_across_parts":
                        ("warning", "in {groups} of equal content across parts: never scored if trained on"),
    "near_duplicate":   ("note",    "in {groups} that look alike: kept, worth a look"),
    "near_duplicate_across_parts":
                        ("warning", "in {groups} that look alike across parts: kept, but the scores may flatter"),
    "group_across_parts":
                        ("warning", "of {groups} spread over several parts: kept, but the scores may flatter"),
    "label_conflict":   ("warning", "in {groups} of equal content under different labels: kept, one label is wrong"),
}
# fmt: on


@dataclass(frozen=True)
class Finding:
    """One kind of thing, and every picture it holds for.

    `keys` are all of them (class names where classes are meant); `details` says more about each, where there is more;
    `groups` has the keys that belong together.
    """

    kind: str
    severity: Severity
    message: str
    keys: tuple[str, ...]
    details: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-friendly, with the first 20 keys."""
        told = {"kind": self.kind, "severity": self.severity, "message": self.message, "count": len(self.keys)}
        told["examples"] = list(self.keys[:MAX_EXAMPLES])
        return told | ({"details": list(self.details[:MAX_EXAMPLES])} if self.details else {})


def picture_findings(images: Images, found: Mapping[str, Sequence[tuple[int, str]]]) -> Iterator[Finding]:
    """{kind: (index, detail) of each picture} -> findings, in the order of the table."""
    for kind, (severity, words) in WORDS.items():
        members = sorted(found.get(kind, ()))
        if members:
            keys = tuple(images.reader.key(index) for index, _ in members)
            details = tuple(detail for _, detail in members)
            yield Finding(
                kind, severity, f"{counted(len(keys), 'picture')} {words}", keys, details if any(details) else ()
            )


def group_findings(
    images: Images, equal: Sequence[list[int]], alike: Sequence[list[int]], parts: Sequence[str] | None
) -> Iterator[Finding]:
    """Groups of indices -> duplicates, leaks between parts, and conflicts of labels."""
    labels = images.labels
    named = [group or None for group in images.groups or ()]
    chosen = {
        "exact_duplicate": equal,
        "duplicate_across_parts": [group for group in equal if _across(group, parts)],
        "near_duplicate": alike,
        "near_duplicate_across_parts": [group for group in alike if _across(group, parts)],
        "group_across_parts": [group for group in exact_groups(named) if _across(group, parts)],
        "label_conflict": [group for group in equal if len({int(labels[i]) for i in group} - {-1}) > 1],
    }
    for kind, groups in chosen.items():
        if groups:
            yield _group_finding(images, kind, groups)


def _group_finding(images: Images, kind: str, groups: Sequence[list[int]]) -> Finding:
    named = tuple(tuple(images.reader.key(index) for index in group) for group in groups)
    keys = tuple(key for group in named for key in group)
    severity, words = WORDS[kind]
    said = words.format(groups=counted(len(groups), "group"))
    finding = Finding(kind, severity, f"{counted(len(keys), 'picture')} {said}", keys, groups=named)
    if kind != "label_conflict":
        return finding
    return replace(finding, details=tuple(_class_of(images, index) for group in groups for index in group))


def class_findings(images: Images, readable: np.ndarray, parts: Sequence[str] | None) -> Iterator[Finding]:
    """Classes without pictures, in all or in one part, and classes of very different sizes."""
    classes = images.classes
    labels = np.where(readable, images.labels, -1)
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    empty = (*images.empty_classes, *(name for name, count in zip(classes, counts, strict=True) if count == 0))
    if empty:
        number = counted(len(empty), "class", "classes")
        said = f"{number} without a readable picture: {listed(empty)}; nothing can be learnt about it"
        yield Finding("empty_class", "warning", said, empty)
    if counts.max(initial=0) >= IMBALANCE * counts[counts > 0].min(initial=len(labels)) and len(labels):
        yield _imbalance(classes, counts)
    missing = tuple(_missing(classes, labels, counts, parts))
    if missing:
        number = counted(len(missing), "class", "classes")
        said = f"{number} missing in a part: {listed(missing)}; no score there can speak about them"
        if any(one.startswith("train/") for one in missing):
            said += ", and what train lacks cannot be learnt"
        yield Finding("missing_class_in_part", "warning", said, missing)


def _imbalance(classes: Sequence[str], counts: np.ndarray) -> Finding:
    present = np.flatnonzero(counts)
    most, fewest = counts.max(), counts[present].min()
    largest, smallest = classes[int(counts.argmax())], classes[int(present[counts[present].argmin()])]
    said = (
        f"the largest class has {most / fewest:.0f} times as many pictures as the smallest "
        f"({largest} {most:,}, {smallest} {fewest:,}), and counts as much more where --class-weights is left out"
    )
    return Finding("imbalance", "warning", said, (largest, smallest))


def _missing(
    classes: Sequence[str], labels: np.ndarray, counts: np.ndarray, parts: Sequence[str] | None
) -> Iterator[str]:
    """ "val/roses" for each class that the source has and the part has not."""
    if parts is None:
        return
    part_of = np.asarray(parts)
    for part in dict.fromkeys(parts):
        there = np.bincount(labels[(part_of == part) & (labels >= 0)], minlength=len(classes))
        if there.any():  # a part of unlabelled pictures misses nothing
            yield from (f"{part}/{classes[label]}" for label in np.flatnonzero((there == 0) & (counts > 0)).tolist())


def _across(group: list[int], parts: Sequence[str] | None) -> bool:
    return parts is not None and len({parts[index] for index in group}) > 1


def _class_of(images: Images, index: int) -> str:
    label = int(images.labels[index])
    return images.classes[label] if label >= 0 else "no label"
