"""What every rule has: for unit o of an output, which units of the input does it read? One rule an operation.

An operation without a rule is taken to see all that its inputs see, so the field is never too small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from convlens.graph.factors import plain
from convlens.graph.layout import Sight
from convlens.graph.merging import merged
from convlens.graph.nodes import Node

Rule = Callable[[Node, list[Sight]], "Sight | tuple[Sight, ...]"]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def each(value: Any, count: int) -> tuple[int, ...]:
    """[2] for every dimension, [2, 1] for two: as torch's schema has them."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * count if len(values) == 1 else values


def anything(node: Node, seen: list[Sight]) -> Sight:
    """All that any input sees."""
    sights = [sight.all_mixed(node.output_shape) for sight in seen]
    return merged(sights, node.output_shape)


@rule("detach", "alias", "lift_fresh")
def pointwise(node: Node, seen: list[Sight]) -> Sight:
    return merged(seen, node.output_shape)


@rule("channel_shuffle")
def channel_shuffle(node: Node, seen: list[Sight]) -> Sight:
    """Afterwards any neighbouring channels are of every kind."""
    return replace(seen[0].mixed([1], keep=False, exact=False), uneven=False)


@rule("copy")
def copied(node: Node, seen: list[Sight]) -> Sight:
    """What was there before is gone."""
    return merged(seen[-1:], node.output_shape)


def along(sight: Sight, place: int, first: np.ndarray, last: np.ndarray, scale: Fraction) -> Sight:
    """Dimension `place` is read anew: unit o reads first[o] to last[o]; `scale` multiplies the stride."""
    anew = sight.read(place, first, last, scale)
    if anew is not None:
        return anew
    return sight.mixed([place], keep=False, exact=False).with_dim(place, plain(len(first)))
