"""Divide pictures into train, val and test: by class, by seed, duplicates kept together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from convlens.data.draws import hashed
from convlens.data.images import PARTS
from convlens.errors import DataError, UsageError

EXCLUDED = "excluded"  # unreadable, or without a label


def divide(
    labels: np.ndarray,
    hashes: Sequence[str | None],
    parts: Sequence[str] | None = None,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> np.ndarray:
    """(N,) labels, (N,) content hashes -> (N,) part names.

    A division that the source brings is kept; a missing `val` is taken from its `train`. Pictures with no hash
    (unreadable) or no label are "excluded". Raises UsageError when the fractions are no fractions.
    """
    if len(fractions) != 3 or min(fractions) < 0 or fractions[0] <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"--split came as {fractions}; expected shares of train, val and test that sum to 1, like 0.8,0.1,0.1"
        )
    usable = np.array([h is not None for h in hashes], bool) & (labels >= 0)
    if not usable.any():
        raise DataError("none of the pictures can be read; `convlens doctor` lists what is wrong with each")
    division = np.full(len(labels), EXCLUDED, dtype="<U8")
    if parts is None:
        _deal(division, np.flatnonzero(usable), labels, hashes, dict(zip(PARTS, fractions, strict=True)), seed)
        return division
    division[usable] = np.asarray(parts)[usable]
    if "train" not in division:
        raise DataError("the source has no training part; it has " + ", ".join(sorted(set(parts))))
    if "val" not in division and fractions[1] > 0:
        shares = {"train": 1 - fractions[1], "val": fractions[1]}
        _deal(division, np.flatnonzero(division == "train"), labels, hashes, shares, seed)
    return division


def _deal(
    division: np.ndarray,
    indices: np.ndarray,
    labels: np.ndarray,
    hashes: Sequence[str | None],
    shares: dict[str, float],
    seed: int,
) -> None:
    """Give each class's groups of equal pictures to the parts in the given shares; the rest goes to train."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index in indices.tolist():
        groups[str(hashes[index])].append(index)
    by_class: dict[int, list[list[int]]] = defaultdict(list)
    for members in groups.values():
        by_class[int(labels[members[0]])].append(members)
    for label, members_of_class in by_class.items():
        order = np.argsort(hashed(seed, label, "split", np.arange(len(members_of_class))), kind="stable")
        _deal_class(division, [members_of_class[i] for i in order], shares)


def _deal_class(division: np.ndarray, groups: list[list[int]], shares: dict[str, float]) -> None:
    total = sum(len(group) for group in groups)
    queue = list(groups)
    for part in ("test", "val"):
        # a class of three or more pictures is seen in every part
        wanted = max(round(shares.get(part, 0) * total), int(shares.get(part, 0) > 0 and len(groups) >= 3))
        taken = 0
        while queue and taken < wanted and len(queue) > 1:
            group = queue.pop()
            division[group] = part
            taken += len(group)
    for group in queue:
        division[group] = "train"
