"""Softmax: exp(x / T) over the sum of all; the greatest is taken away first, which changes nothing but the range."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.arithmetic.asked import Asked, gathered, rule
from convlens.arithmetic.places import Window
from convlens.arithmetic.recording import Recording
from convlens.arithmetic.steps import SoftmaxStep, Step
from convlens.errors import NetworkError, UsageError, counted

PROBABILITIES = "probabilities"


@rule("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax")
def softmax(asked: Asked) -> Step:
    x = asked.must("self")
    axis = asked.plain("dim", -1) % len(x.shape)
    index = tuple((tuple(range(x.shape[axis])) if d == axis else (at,)) for d, at in enumerate(asked.index))
    logits = gathered(x.tensor, index)[0].ravel()
    reads, chosen = asked.window(x, index), asked.index[axis]
    return _step(logits, chosen, 1.0, log="log" in asked.node.op, reads=reads, **asked.own)


def of_logits(recording: Recording, temperature: float, chosen: int) -> SoftmaxStep:
    """The probability of a class: softmax of the network's output at a temperature, which is no node of the graph."""
    node, classes = logits_of(recording)
    if not 0 < temperature < float("inf"):
        raise UsageError(f"the temperature is {temperature}, expected a positive number; 1.0 changes nothing")
    if not 0 <= chosen < classes:
        raise UsageError(f"class {chosen} came; it has {counted(classes, 'class', 'classes')}, numbered from 0")
    given = recording.tensor(node)
    reads = Window(node, recording.layers[node], ((0,), tuple(range(classes))))
    value = float((given.float() / temperature).softmax(1)[0, chosen])
    own = {"reads": reads, "node": node, "layer": PROBABILITIES, "value": value}
    return _step(gathered(given, reads.index)[0].ravel(), chosen, temperature, log=False, **own)


def logits_of(recording: Recording) -> tuple[int, int]:
    """The node that gives the logits, and how many there are; NetworkError where the output is none."""
    graph = recording.graph
    node = graph.output_nodes[0] if graph.output_nodes else -1
    shape = graph.nodes[node].output_shape if node >= 0 else ()
    if len(shape) != 2 or shape[0] != 1:
        raise NetworkError(f"the network gives {shape or 'no tensor'}; probabilities need logits, (1, classes)")
    return node, shape[1]


def _step(logits: np.ndarray, chosen: int, temperature: float, *, log: bool, **own: Any) -> SoftmaxStep:
    greatest = float(logits.max())
    exponentials = np.exp((logits - greatest) / temperature)
    total = float(exponentials.sum())
    share = "exp(x − greatest) / Σ" if temperature == 1 else "exp((x − greatest) / T) / Σ"
    warmth = "" if temperature == 1 else f", temperature {temperature:.4g}"
    computed = (logits[chosen] - greatest) / temperature - np.log(total) if log else exponentials[chosen] / total
    return SoftmaxStep(
        op="softmax",
        title=f"softmax over {counted(len(logits), 'class', 'classes')}{warmth}",
        formula=f"log({share})" if log else share,
        logits=logits,
        exponentials=exponentials,
        sum=total,
        greatest=greatest,
        temperature=temperature,
        chosen=chosen,
        computed=float(computed),
        **own,
    )
