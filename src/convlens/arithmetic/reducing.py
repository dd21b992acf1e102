"""One number of many: the mean, the sum, the largest or the smallest along some dimensions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convlens.arithmetic.asked import Asked, gathered, rule
from convlens.arithmetic.places import Index
from convlens.arithmetic.steps import ReduceStep, Step
from convlens.errors import counted

# fmt: off
KINDS: dict[str, tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = {
    "mean": ("mean",    "Σ x / n",         np.mean),
    "sum":  ("sum",     "Σ x",             np.sum),
    "amax": ("largest", "the largest x",   np.max),
    "amin": ("smallest", "the smallest x", np.min),
    "max":  ("largest", "the largest x",   np.max),
    "min":  ("smallest", "the smallest x", np.min),
}
# fmt: on


@rule("mean", "sum", "amax", "amin", "max", "min")
def reduced(asked: Asked) -> Step:
    x = asked.must("self")
    gone = _dimensions(asked, len(x.shape))
    index = _read(asked, x.shape, gone)
    inputs, _ = gathered(x.tensor, index)
    inputs = inputs.reshape([len(index[axis]) for axis in sorted(gone)])
    op, formula, function = KINDS[asked.node.op]
    picks = op in ("largest", "smallest")
    chosen = np.unravel_index(int((inputs.argmax if op == "largest" else inputs.argmin)()), inputs.shape)
    return ReduceStep(
        op=op,
        title=f"{op} of {counted(inputs.size, 'number')}",
        formula=formula,
        reads=asked.window(x, index),
        inputs=inputs,
        chosen=tuple(int(at) for at in chosen) if picks else None,
        computed=float(function(inputs)),
        **asked.own,
    )


def _dimensions(asked: Asked, rank: int) -> set[int]:
    given = asked.plain("dim")
    if given is None or given == ():
        return set(range(rank))
    return {axis % rank for axis in (given if isinstance(given, list | tuple) else (given,))}


def _read(asked: Asked, shape: Index, gone: set[int]) -> tuple[Index, ...]:
    """Along each dimension what is read: all of it where it vanishes."""
    kept = iter(asked.index)
    keepdim = len(asked.index) == len(shape)
    read: list[Index] = []
    for axis, size in enumerate(shape):
        if axis in gone:
            if keepdim:
                next(kept)
            read.append(tuple(range(size)))
        else:
            read.append((next(kept),))
    return tuple(read)
