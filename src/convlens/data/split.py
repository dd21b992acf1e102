"""Divide pictures into train, val and test: by class, by seed, duplicates and groups kept together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from convlens.data.draws import hashed
from convlens.data.images import PARTS
from convlens.errors import DataError, UsageError

EXCLUDED = "excluded"  # unreadable, without a label, or a validation picture that is trained on


def divide(
    labels: np.ndarray,
    hashes: Sequence[str | None],
    parts: Sequence[str] | None = None,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    groups: Sequence[str] | None = None,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """(N,) labels, (N,) content hashes, (N,) groups, "" for none -> (N,) part names.

    Pictures of equal hash, or of one group, go to the same part; a group of several classes counts as the commonest.
    `known` are the parts that earlier weights had them in, "" for new ones: what these were trained on stays in train.
    A division that the source brings is kept, but for `val` pictures that are copies of `train` pictures; a missing
    `val` is taken from `train`. Those copies, and pictures with no hash (unreadable) or no label, are "excluded";
    copies in `test` stay, and `evaluate` leaves them out. Raises UsageError when the fractions are no fractions.
    """
    divides = len(fractions) == 3 and all(share >= 0 for share in fractions) and fractions[0] > 0
    if not divides or not abs(sum(fractions) - 1) <= 1e-6:  # so that NaN is none either
        raise UsageError(
            f"--split came as {fractions}; expected shares of train, val and test that sum to 1, like 0.8,0.1,0.1"
        )
    usable = np.array([h is not None for h in hashes], bool) & (labels >= 0)
    if not usable.any():
        raise DataError("none of the pictures can be read; `convlens doctor` lists what is wrong with each")
    division = np.full(len(labels), EXCLUDED, dtype="<U8")
    together = _together(hashes, groups)
    shares = dict(zip(PARTS, fractions, strict=True))
    known = np.full(len(labels), "") if known is None else known
    stays = _staying(known, together, shares)
    if parts is None:
        kept = usable & (stays != "")
        division[kept] = stays[kept]
        _deal(division, np.flatnonzero(usable & ~kept), labels, together, shares, seed)
        return division
    division[usable] = np.asarray(parts)[usable]
    if "train" not in division:
        raise DataError("the source has no training part; it has " + ", ".join(sorted(set(parts))))
    trained_on = {hashes[index] for index in np.flatnonzero((division == "train") | (known == "train")).tolist()}
    for index in np.flatnonzero(division == "val").tolist():
        if hashes[index] in trained_on:
            division[index] = EXCLUDED
    if "val" not in division and fractions[1] > 0:
        free = (division == "train") & ~np.isin(stays, ("train", "val"))
        division[(division == "train") & (stays == "val")] = "val"
        shares = {"train": 1 - fractions[1], "val": fractions[1]}
        _deal(division, np.flatnonzero(free), labels, together, shares, seed)
    return division


def _staying(known: np.ndarray, together: np.ndarray, shares: dict[str, float]) -> np.ndarray:
    """(N,) parts of pictures that were in one before, and of what stays together with them; "" for the others.

    What was in several, or in one that gets no share now, goes to train.
    """
    before: dict[int, set[str]] = defaultdict(set)
    for index in np.flatnonzero(known != "").tolist():
        before[int(together[index])].add(str(known[index]))
    stays = {
        number: part if len(parts) == 1 and shares[part] else "train"
        for number, parts in before.items()
        for part in parts
    }
    return np.array([stays.get(number, "") for number in together.tolist()], dtype="<U8")


def _together(hashes: Sequence[str | None], groups: Sequence[str] | None) -> np.ndarray:
    """(N,) numbers; pictures that are equal or of one group, directly or through others, have the same one."""
    contents = _numbered(content or f"unread {index}" for index, content in enumerate(hashes))
    if groups is None or not any(groups):
        return contents
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components  # takes a tenth of a second to import

    named = _numbered(f"group {group}" if group else f"alone {index}" for index, group in enumerate(groups))
    size = int(contents.max() + named.max()) + 2
    links = coo_matrix((np.ones(len(named)), (contents, contents.max() + 1 + named)), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1][contents])


def _numbered(names: Iterable[str]) -> np.ndarray:
    """(N,) numbers from 0 on, the same for the same name."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def _deal(
    division: np.ndarray,
    indices: np.ndarray,
    labels: np.ndarray,
    together: np.ndarray,
    shares: dict[str, float],
    seed: int,
) -> None:
    """Give each class's groups of pictures to the parts in the given shares; the rest goes to train."""
    groups: dict[int, list[int]] = defaultdict(list)
    for index in indices.tolist():
        groups[int(together[index])].append(index)
    by_class: dict[int, list[list[int]]] = defaultdict(list)
    classes = labels.tolist()
    for members in groups.values():
        first, *others = (classes[index] for index in members)
        by_class[Counter([first, *others]).most_common(1)[0][0] if others else first].append(members)
    for label, members_of_class in by_class.items():
        order = np.argsort(hashed(seed, label, "split", np.arange(len(members_of_class))), kind="stable")
        _deal_class(division, [members_of_class[i] for i in order], shares)


def _deal_class(division: np.ndarray, groups: list[list[int]], shares: dict[str, float]) -> None:
    queue = groups
    for part, wanted in _wanted(groups, shares).items():
        taken, queue = _take(queue, wanted)
        for group in taken:
            division[group] = part
    for group in queue:
        division[group] = "train"


def _wanted(groups: list[list[int]], shares: dict[str, float]) -> dict[str, int]:
    """How many pictures of a class go to test and to val: its share of them, as far as `train` keeps the largest group.

    A class of three or more different pictures is seen in every part.
    """
    sizes = [len(group) for group in groups]
    asked = {part: shares.get(part, 0) * sum(sizes) for part in ("test", "val")}
    fits = min(1, (sum(sizes) - max(sizes)) / max(1, sum(round(count) for count in asked.values())))
    seen = int(len(groups) >= 3)
    return {part: max(int(round(count) * fits), seen * (count > 0)) for part, count in asked.items()}


def _take(groups: list[list[int]], wanted: int) -> tuple[list[list[int]], list[list[int]]]:
    """-> (groups of `wanted` pictures in all, the others): from the end, each that still fits.

    Where none fits the smallest is taken; one group is always left.
    """
    taken: list[list[int]] = []
    others: list[list[int]] = []
    missing = wanted
    for group in reversed(groups):
        if len(group) <= missing and len(taken) < len(groups) - 1:
            taken.append(group)
            missing -= len(group)
        else:
            others.append(group)
    others.reverse()
    if wanted and not taken and len(groups) > 1:
        smallest = min(range(len(others)), key=lambda place: len(others[place]))
        taken.append(others.pop(smallest))
    return taken, others
