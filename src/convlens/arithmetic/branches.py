"""Operations of several numbers at the same position: the sum of two branches, a product with a gate.

An operand that is a parameter or a number of the network's own is no branch: then it is one number that is scaled or
shifted, a `NumbersStep`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from convlens.arithmetic.asked import Asked, rule
from convlens.arithmetic.steps import BranchStep, NumbersStep, Step

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Meeting:
    """`operands` maps names in the formula to those of torch's schema, tensors or numbers; `factors` only numbers."""

    op: str
    formula: str
    function: Callable[[Numbers], float]
    operands: Mapping[str, str]
    factors: Mapping[str, str]


def quotient(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):
        return math.nan if a < 0 else math.inf


TWO = {"a": "self", "b": "other"}
# fmt: off
MEETINGS = {
    "add":     Meeting("sum",        "a + b",        lambda n: n["a"] + n["α"] * n["b"],        TWO, {"α": "alpha"}),
    "sub":     Meeting("difference", "a − b",        lambda n: n["a"] - n["α"] * n["b"],        TWO, {"α": "alpha"}),
    "rsub":    Meeting("difference", "b − a",        lambda n: n["b"] - n["α"] * n["a"],        TWO, {"α": "alpha"}),
    "mul":     Meeting("product",    "a · b",        lambda n: n["a"] * n["b"],                 TWO, {}),
    "div":     Meeting("quotient",   "a / b",        lambda n: quotient(n["a"], n["b"]),        TWO, {}),
    "maximum": Meeting("larger",     "the larger of a and b",  lambda n: max(n["a"], n["b"]),   TWO, {}),
    "minimum": Meeting("smaller",    "the smaller of a and b", lambda n: min(n["a"], n["b"]),   TWO, {}),
    "pow":     Meeting("power",      "a ^ b",        lambda n: power(n["a"], n["b"]),
                       {"a": "self", "b": "exponent"}, {}),
    "addcmul": Meeting("sum",        "a + v · b · c", lambda n: n["a"] + n["v"] * n["b"] * n["c"],
                       {"a": "self", "b": "tensor1", "c": "tensor2"}, {"v": "value"}),
    "addcdiv": Meeting("sum",        "a + v · b / c", lambda n: n["a"] + n["v"] * quotient(n["b"], n["c"]),
                       {"a": "self", "b": "tensor1", "c": "tensor2"}, {"v": "value"}),
    "lerp":    Meeting("blend",      "a + w · (b − a)", lambda n: n["a"] + n["w"] * (n["b"] - n["a"]),
                       {"a": "self", "b": "end", "w": "weight"}, {}),
    "where":   Meeting("choice",     "a where c is true, else b", lambda n: n["a"] if n["c"] else n["b"],
                       {"c": "condition", "a": "self", "b": "other"}, {}),
    "masked_fill": Meeting("choice", "b where c is true, else a", lambda n: n["b"] if n["c"] else n["a"],
                       {"a": "self", "c": "mask", "b": "value"}, {}),
}
# fmt: on


@rule(*MEETINGS)
def meeting(asked: Asked) -> Step:
    found = MEETINGS[asked.node.op]
    numbers, terms = {}, []
    for name, argument in found.operands.items():
        read = asked.read(argument)
        numbers[name] = float(asked.plain(argument, 0.0)) if read is None else float(asked.at(read) or 0.0)
        if read is not None and read.node is not None:
            term = asked.term(read)
            terms.append(type(term)(name, term.reads, term.value))
    factors = {name: float(asked.plain(argument, 1.0)) for name, argument in found.factors.items()}
    spoilt = found.op != "choice" and any(map(math.isnan, numbers.values()))
    computed = math.nan if spoilt else found.function(numbers | factors)
    formula = _formula(found, factors)
    shown = {name: value for name, value in factors.items() if f"{name} " in f"{formula} "}
    if asked.node.op == "div" and asked.plain("rounding_mode") is not None:
        formula, computed = f"a / b, rounded ({asked.plain('rounding_mode')})", _rounded(asked, computed)
    if len(terms) == 1:
        return _scaled(asked, found, formula, numbers | shown, terms[0].name, computed)
    return BranchStep(
        op=found.op,
        title=f"{found.op} of {len(terms)} branches",
        formula=formula,
        operands=tuple(terms),
        numbers=numbers | shown,
        computed=computed,
        **asked.own,
    )


def _formula(found: Meeting, factors: Numbers) -> str:
    """A factor of 1 is not said."""
    if factors.get("α", 1.0) != 1.0:
        first, second = found.formula.split()[0], found.formula.split()[-1]
        return f"{first} {found.formula.split()[1]} α · {second}"
    return found.formula.replace("v · ", "") if factors.get("v") == 1.0 else found.formula


def _scaled(asked: Asked, found: Meeting, formula: str, numbers: Numbers, x: str, computed: float) -> Step:
    """One operand is what is looked at; it is called x."""
    words = [("x" if word == x else word) for word in formula.split(" ")]
    named = {("x" if name == x else name): value for name, value in numbers.items()}
    return NumbersStep(
        op=found.op,
        title=f"{found.op} with a number of the network's own",
        formula=" ".join(words),
        numbers=named,
        computed=computed,
        **asked.own,
    )


def _rounded(asked: Asked, value: float) -> float:
    if not math.isfinite(value):
        return value
    return float(math.floor(value) if asked.plain("rounding_mode") == "floor" else math.trunc(value))
