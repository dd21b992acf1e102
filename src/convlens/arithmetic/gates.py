"""Functions of one number: activations, and what scales or shifts by numbers that the network has.

A gate is its formula, the node's arguments that stand in it, and the function in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from convlens.arithmetic.asked import RULES, Asked, Read
from convlens.arithmetic.steps import NumbersStep, Step

Numbers = Mapping[str, float]
Function = Callable[[Numbers], float]


@dataclass(frozen=True)
class Gate:
    """`arguments` maps names in the formula to names in torch's schema; `x` is the operand `operand`."""

    formula: str
    function: Function
    arguments: Mapping[str, str]
    operand: str = "self"


GATES: dict[str, Gate] = {}


def gate(op: str, formula: str, function: Function, *, operand: str = "self", **arguments: str) -> None:
    GATES[op] = Gate(formula, function, arguments, operand)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def exponential(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def clamped(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def inverse(x: float) -> float:
    return 1 / x if x else math.copysign(math.inf, x)


def logarithm(x: float) -> float:
    return math.log(x) if x else -math.inf


# fmt: off
gate("relu",       "max(0, x)",                    lambda n: max(0.0, n["x"]))
gate("hardswish",  "x · clamp(x + 3, 0, 6) / 6",   lambda n: n["x"] * clamped(n["x"] + 3, 0, 6) / 6)
gate("hardsigmoid", "clamp(x + 3, 0, 6) / 6",      lambda n: clamped(n["x"] + 3, 0, 6) / 6)
gate("silu",       "x / (1 + exp(−x))",            lambda n: n["x"] * sigmoid(n["x"]))
gate("sigmoid",    "1 / (1 + exp(−x))",            lambda n: sigmoid(n["x"]))
gate("tanh",       "tanh x",                       lambda n: math.tanh(n["x"]))
gate("mish",       "x · tanh(log(1 + exp x))",     lambda n: n["x"] * math.tanh(softplus(n["x"])))
gate("log_sigmoid_forward", "−log(1 + exp(−x))",   lambda n: -softplus(-n["x"]))
gate("_to_copy",   "x, in another precision",      lambda n: n["x"])
gate("neg",        "−x",                           lambda n: -n["x"])
gate("abs",        "|x|",                          lambda n: abs(n["x"]))
gate("square",     "x²",                           lambda n: n["x"] ** 2)
gate("sqrt",       "√x",                           lambda n: math.sqrt(n["x"]))
gate("rsqrt",      "1 / √x",                       lambda n: inverse(math.sqrt(n["x"])))
gate("reciprocal", "1 / x",                        lambda n: inverse(n["x"]))
gate("exp",        "exp x",                        lambda n: exponential(n["x"]))
gate("log",        "log x",                        lambda n: logarithm(n["x"]))
gate("log1p",      "log(1 + x)",                   lambda n: math.log1p(n["x"]) if n["x"] != -1 else -math.inf)
gate("erf",        "erf x",                        lambda n: math.erf(n["x"]))
gate("sin",        "sin x",                        lambda n: math.sin(n["x"]))
gate("cos",        "cos x",                        lambda n: math.cos(n["x"]))
gate("sign",       "sign x",                       lambda n: float((n["x"] > 0) - (n["x"] < 0)))
gate("floor",      "x rounded down",               lambda n: float(np.floor(n["x"])))
gate("ceil",       "x rounded up",                 lambda n: float(np.ceil(n["x"])))
gate("round",      "x rounded, halves to even",    lambda n: float(np.round(n["x"])))
gate("hardtanh",   "clamp(x, least, most)",        lambda n: clamped(n["x"], n["least"], n["most"]),
     least="min_val", most="max_val")
gate("clamp_min",  "max(x, least)",                lambda n: max(n["x"], n["least"]), least="min")
gate("clamp_max",  "min(x, most)",                 lambda n: min(n["x"], n["most"]), most="max")
gate("leaky_relu", "x where x > 0, else slope · x", lambda n: n["x"] if n["x"] > 0 else n["slope"] * n["x"],
     slope="negative_slope")
gate("_prelu_kernel", "x where x > 0, else slope · x", lambda n: n["x"] if n["x"] > 0 else n["slope"] * n["x"],
     slope="weight")
gate("threshold",  "x where x > threshold, else value", lambda n: n["x"] if n["x"] > n["threshold"] else n["value"],
     threshold="threshold", value="value")
gate("hardshrink", "x where |x| > λ, else 0",      lambda n: n["x"] if abs(n["x"]) > n["λ"] else 0.0, λ="lambd")
gate("softshrink", "x less λ towards 0",
     lambda n: math.copysign(max(abs(n["x"]) - n["λ"], 0.0), n["x"]), λ="lambd")
gate("elu",        "scale · (x where x > 0, else α · (exp(rate · x) − 1))",
     lambda n: n["scale"] * (n["x"] if n["x"] > 0 else n["α"] * math.expm1(n["rate"] * n["x"])),
     α="alpha", scale="scale", rate="input_scale")
gate("softplus",   "log(1 + exp(β · x)) / β",
     lambda n: n["x"] if n["β"] * n["x"] > n["threshold"] else softplus(n["β"] * n["x"]) / n["β"],
     β="beta", threshold="threshold")
gate("fake_quantize_per_tensor_affine_cachemask", "scale · (clamp(round(x / scale + zero), least, most) − zero)",
     lambda n: n["scale"] * (clamped(np.round(n["x"] / n["scale"]) + n["zero"], n["least"], n["most"]) - n["zero"]),
     scale="scale", zero="zero_point", least="quant_min", most="quant_max")
# fmt: on


def gated(asked: Asked) -> Step:
    """One number through its gate."""
    found = GATES[asked.node.op]
    numbers = {"x": _x(asked, found.operand)}
    for name, argument in found.arguments.items():
        read = asked.read(argument)
        numbers[name] = float(asked.plain(argument, 0.0)) if read is None else float(asked.at(read) or 0.0)
    return NumbersStep(
        op=asked.node.op,
        title=asked.node.module_type if _says_it(asked) else asked.node.op,
        formula=found.formula,
        numbers=numbers,
        computed=_computed(found.function, numbers),
        **asked.own,
    )


def gelu(asked: Asked) -> Step:
    """Exact, or by tanh."""
    x = _x(asked, "self")
    if asked.plain("approximate", "none") == "tanh":
        formula = "x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))"
        computed = x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    else:
        formula, computed = "x / 2 · (1 + erf(x / √2))", x / 2 * (1 + math.erf(x / math.sqrt(2)))
    return NumbersStep(op="gelu", title="GELU", formula=formula, numbers={"x": x}, computed=computed, **asked.own)


def clamp(asked: Asked) -> Step:
    """With one end or both."""
    x = _x(asked, "self")
    ends = {"least": asked.node.arguments.get("min"), "most": asked.node.arguments.get("max")}
    reads = {"least": asked.read("min"), "most": asked.read("max")}
    numbers = {"x": x}
    for name, plain in ends.items():
        read: Read | None = reads[name]
        if read is not None:
            numbers[name] = float(asked.at(read) or 0.0)
        elif plain is not None:
            numbers[name] = float(plain)
    computed = min(max(x, numbers.get("least", -math.inf)), numbers.get("most", math.inf))
    formula = f"clamp({', '.join(numbers)})"
    return NumbersStep(op="clamp", title="clamp", formula=formula, numbers=numbers, computed=computed, **asked.own)


def _x(asked: Asked, operand: str) -> float:
    return asked.must(operand).number(asked.index)


def _computed(function: Function, numbers: Numbers) -> float:
    """NaN of NaN, and of what the function is not defined for."""
    try:
        return math.nan if math.isnan(numbers["x"]) else float(function(numbers))
    except (ValueError, OverflowError):
        return math.nan


def _says_it(asked: Asked) -> bool:
    """A module of one activation is named after it: ReLU6, Hardswish."""
    same = [node for node in asked.recording.graph.nodes if node.module == asked.node.module]
    return bool(asked.node.module) and len(same) == 1


RULES.update(dict.fromkeys(GATES, gated))
RULES.update({"gelu": gelu, "clamp": clamp})
