"""How far the activations of an ONNX graph reach: what an 8-bit scale is chosen from.

Each tensor's values are counted once, in 2 x 2,048 bins from -A to A, A being the largest |value| that occurs; every
method reads that histogram. `minmax`: all that occurs. `percentile`: without the outermost 0.005 % on either side.
`entropy`: the range whose 8-bit version tells least apart from it in Kullback and Leibler's sense (Migacz, 2017,
"8-bit inference with TensorRT", GTC).
Departures: from 131,072 values of a tensor in one batch on, every n-th is counted (n odd); the lowest and the highest
are of all. A tensor that is never negative has 256 levels in the entropy, any other 128 on each side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Range = tuple[float, float]
Ranges = dict[str, Range]

BINS = 2048  # on each side of zero
COUNTED = 65_536  # values of a tensor in a batch, about
CUT_OFF = 0.00005  # of the values, on either side
LEVELS = 128  # of an 8-bit number with a sign, on each side
FAR = -1e4  # a padding as low stands for -inf
STEP = 16  # bins from one candidate of the entropy to the next


@dataclass
class Histogram:
    """`counts`, (2 * BINS,): values from -reach to reach; 0 lies between the middle two bins."""

    lowest: float
    highest: float
    counts: np.ndarray

    @property
    def reach(self) -> float:
        return max(-self.lowest, self.highest)

    def add(self, values: np.ndarray) -> None:
        few = values.ravel()[:: 1 + 2 * (values.size // (2 * COUNTED))]
        if self.reach > 0:
            self.counts += np.histogram(few, 2 * BINS, (-self.reach, self.reach))[0]


def histograms(model: Any, batches: Sequence[np.ndarray], *, ground: float = -np.inf) -> dict[str, Histogram]:
    """An ONNX model (a proto with shapes inferred) and its inputs -> what stands in each of its float tensors.

    Without infinities and what is no more than `ground`, with which a max-pooling is padded: the least 8-bit number
    stands for it as well.
    """
    found: dict[str, Histogram] = {}
    run = _all_tensors(model, ground)
    for batch in batches:
        for name, values in run(batch):
            seen = found.setdefault(name, Histogram(np.inf, -np.inf, np.zeros(2 * BINS, dtype=np.int64)))
            seen.lowest = min(seen.lowest, float(values.min()))
            seen.highest = max(seen.highest, float(values.max()))
    for batch in batches:
        for name, values in run(batch):
            found[name].add(values)
    return found


def _all_tensors(model: Any, ground: float) -> Callable[[np.ndarray], Iterable[tuple[str, np.ndarray]]]:
    """A function that computes all float tensors of the graph, the input among them."""
    import onnx
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    graph, kinds = watched.graph, (onnx.TensorProto.FLOAT,)
    (given,) = graph.input
    made = {name for node in graph.node for name in node.output} - {value.name for value in graph.output}
    graph.output.extend(  # the optimiser leaves shapes of tensors that it renamed
        value for value in graph.value_info if value.type.tensor_type.elem_type in kinds and value.name in made
    )
    names = [value.name for value in graph.output]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # keeps every tensor
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(batch: np.ndarray) -> Iterable[tuple[str, np.ndarray]]:
        made = zip(names, session.run(names, {given.name: batch}), strict=True)
        return [(given.name, batch), *((name, _without_ground(values, ground)) for name, values in made)]

    return run


def _without_ground(values: np.ndarray, ground: float) -> np.ndarray:
    if not values.size or (values.min() > ground and values.max() < np.inf):
        return values
    left = values[(values > ground) & (values < np.inf)]
    return left if left.size else np.zeros(1, values.dtype)


def minmax(found: Histogram) -> Range:
    return found.lowest, found.highest


def percentile(found: Histogram) -> Range:
    if not found.reach:
        return 0.0, 0.0
    share = np.cumsum(found.counts) / found.counts.sum()
    edges = np.linspace(-found.reach, found.reach, 2 * BINS + 1)
    low = edges[np.searchsorted(share, CUT_OFF, side="right")]
    high = edges[1 + np.searchsorted(share, 1 - CUT_OFF)]
    return max(found.lowest, float(low)), min(found.highest, float(high))


def entropy(found: Histogram) -> Range:
    """Clipped at the |value| where the 8-bit histogram diverges least from that of all values."""
    sizes = found.counts[BINS:] + found.counts[BINS - 1 :: -1]  # of |value|
    sizes[0] = sizes[1]  # the zeros that ReLU leaves are exact in any range, and would outweigh all else
    levels = LEVELS if found.lowest < 0 else 2 * LEVELS
    kept = range(levels, BINS + 1, STEP)
    best = min(kept, key=lambda bins: _divergence(sizes, bins, levels))
    clip = found.reach * best / BINS
    return max(found.lowest, -clip), min(found.highest, clip)


def _divergence(sizes: np.ndarray, bins: int, levels: int) -> float:
    """Of the first `bins` bins, the rest in the last of them, from the same in `levels` levels."""
    whole = sizes[:bins].astype(float)
    starts = np.arange(levels) * bins // levels
    lengths = np.diff([*starts, bins])
    filled = np.repeat(np.add.reduceat((whole > 0).astype(float), starts), lengths)
    rough = np.repeat(np.add.reduceat(whole, starts), lengths)
    rough = np.divide(rough, filled, out=np.zeros(bins), where=(filled > 0) & (whole > 0))
    whole[-1] += sizes[bins:].sum()
    there = whole > 0
    p, q = whole[there] / whole.sum(), np.maximum(rough[there], 1e-3) / max(rough.sum(), 1e-3)
    return float((p * np.log(p / q)).sum())


METHODS: dict[str, Callable[[Histogram], Range]] = {"minmax": minmax, "entropy": entropy, "percentile": percentile}
