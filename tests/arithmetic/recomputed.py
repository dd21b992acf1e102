"""What a page would do with the numbers of a unit: the sum once more, in NumPy, from the JSON alone."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import torch

from convlens.arithmetic import Recording, UnitSum, take_apart

Json = dict[str, Any]
UNKNOWN = {"mkldnn_rnn_layer"}  # all steps of torch's own LSTM in one operation of the CPU


def served(unit: UnitSum) -> Json:
    """As it comes over the wire."""
    return json.loads(json.dumps(unit.to_dict()))


def recomputed(step: Json) -> float | None:
    """The step's value from its own numbers; None where it says that it knows no rule."""
    if step.get("known") is False:
        return None
    if step["op"] == "moved":
        return step["value"]
    if "exponentials" in step:
        return probability(step)
    if "numbers" in step:
        return of_numbers(step["formula"], step["numbers"])
    inputs = np.array(step["inputs"], float)
    if "weights" in step and "padded" in step:
        assert not inputs[:, np.array(step["padded"])].any()
        sums = (inputs * np.array(step["weights"])).reshape(len(inputs), -1).sum(1)
        assert np.allclose(sums, step["channel_sums"], rtol=1e-9, atol=1e-9)
        return float(sums.sum() + step.get("bias", 0.0))
    if "weights" in step:
        total = step["alpha"] * (inputs @ np.array(step["weights"]))
        return float(total + step["beta"] * step.get("bias", 0.0))
    if "padded" in step and "divisor" in step:
        return float(inputs.sum() / step["divisor"])
    if "padded" in step:
        inside = inputs[~np.array(step["padded"])]
        assert inputs[tuple(step["chosen"])] == inside.max()
        return float(inside.max())
    return float({"mean": np.mean, "sum": np.sum, "largest": np.max, "smallest": np.min}[step["op"]](inputs))


def probability(step: Json) -> float:
    logits = np.array(step["logits"]) / step["temperature"]
    shares = np.exp(logits - logits.max())
    found = shares[step["chosen"]] / shares.sum()
    return float(np.log(found) if step["formula"].startswith("log") else found)


def of_numbers(formula: str, n: dict[str, float]) -> float:
    """By the words of the formula, each of which is written out here once more."""
    x, a, b = (n.get(name, math.nan) for name in "xab")
    if formula.startswith("(x − mean)"):
        return (x - n["mean"]) / math.sqrt(n["variance"] + n["epsilon"]) * n["weight"] + n["bias"]
    if "b" in n and "a" not in n:
        a = x
    if "a" in n and "b" not in n:
        b = x
    known = {
        "max(0, x)": lambda: max(x, 0),
        "x · clamp(x + 3, 0, 6) / 6": lambda: x * min(max(x + 3, 0), 6) / 6,
        "clamp(x + 3, 0, 6) / 6": lambda: min(max(x + 3, 0), 6) / 6,
        "x / (1 + exp(−x))": lambda: x / (1 + math.exp(-x)),
        "1 / (1 + exp(−x))": lambda: 1 / (1 + math.exp(-x)),
        "max(x, least)": lambda: max(x, n["least"]),
        "|x|": lambda: abs(x),
        "tanh x": lambda: math.tanh(x),
        "−x": lambda: -x,
        "x / 2 · (1 + erf(x / √2))": lambda: x / 2 * (1 + math.erf(x / math.sqrt(2))),
        "clamp(x, least, most)": lambda: min(max(x, n["least"]), n["most"]),
        "x where x > 0, else slope · x": lambda: x if x > 0 else n["slope"] * x,
        "√x": lambda: math.sqrt(x),
        "1 / x": lambda: 1 / x,
        "x rounded, halves to even": lambda: float(np.round(x)),
        "a + b": lambda: a + b,
        "x + b": lambda: a + b,
        "a + x": lambda: a + b,
        "a + α · b": lambda: a + n["α"] * b,
        "x + α · b": lambda: a + n["α"] * b,
        "a − b": lambda: a - b,
        "a − x": lambda: a - b,
        "x − b": lambda: a - b,
        "b − x": lambda: b - a,
        "a · b": lambda: a * b,
        "x · b": lambda: a * b,
        "a · x": lambda: a * b,
        "the larger of a and b": lambda: max(a, b),
        "a where c is true, else b": lambda: a if n["c"] else b,
        "a / b": lambda: a / b,
        "x / b": lambda: a / b,
        "a / x": lambda: a / b,
        "x ^ b": lambda: a**b,
        "a + w · (b − a)": lambda: a + n["w"] * (b - a),
    }
    return float(known[formula]())


def check(recording: Recording, node: int | str, position: tuple[int, ...], **options: Any) -> Json:
    """Takes the unit apart and does every step again; the last one's value must be the network's own."""
    unit = served(take_apart(recording, node, position, **options))
    for step in unit["steps"]:
        found = recomputed(step)
        if found is None and step["op"] in UNKNOWN:
            assert step["computed"] is None and step["operands"] and not step["agrees"]
            continue
        assert found is not None, f"{step['op']} has no rule"
        bound = 1e-4 * max(1.0, abs(step["value"]))
        same = found == step["value"] == step["computed"]  # infinities too
        assert same or abs(found - step["value"]) <= bound, (unit["layer"], step["title"], found, step["value"])
        assert step["agrees"] and (same or abs(step["computed"] - step["value"]) <= bound)
    if isinstance(node, int):
        assert unit["value"] == float(recording.tensor(node)[tuple(unit["position"]["index"])])
    return unit


def units(recording: Recording, node: int, count: int, random: np.random.Generator) -> list[tuple[int, ...]]:
    """Some whole indices of a node: its first, its last, and others by chance."""
    shape = tuple(recording.tensor(node).shape)
    drawn = [tuple(int(random.integers(size)) for size in shape) for _ in range(count)]
    return list(dict.fromkeys([tuple(size - 1 for size in shape), *drawn]))[:count]


def floating(recording: Recording) -> list[int]:
    """The nodes that give numbers."""
    tensors = ((node.index, recording.tensor(node.index)) for node in recording.graph.nodes)
    return [index for index, tensor in tensors if tensor.is_floating_point() and tensor.numel()]


def picture(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
