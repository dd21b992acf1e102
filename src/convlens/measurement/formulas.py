"""What is multiplied in a layer, as a teacher writes it: letters and numbers of the same product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

# fmt: off
LEGEND = {
    "B": "pictures, or matrices, at a time",
    "D": "side of the output",
    "E": "numbers in the result, or those of a query",
    "G": "groups",
    "H": "hidden units",
    "I": "inputs",
    "J": "second inputs",
    "K": "side of the kernel",
    "L": "rows: positions, or pictures",
    "M": "channels in",
    "N": "channels out",
    "S": "keys",
    "T": "steps",
    "V": "numbers of a value",
    "d": "side of the input",
    "h": "of it, the height",
    "t": "of it, the depth",
    "w": "of it, the width",
}
# fmt: on
AXES = {1: ("",), 2: ("h", "w"), 3: ("t", "h", "w")}  # depth or time, height, width


class Factor(NamedTuple):
    """`D` and 112; a plain number is its own letter."""

    letter: str
    number: int


Term = tuple[Factor, ...]


@dataclass(frozen=True)
class Formula:
    """A sum of products. As text it is its letters: K·K·M·N·D·D."""

    terms: tuple[Term, ...] = ()

    @property
    def value(self) -> int:
        return sum(prod(factor.number for factor in term) for term in self.terms)

    @property
    def numbers(self) -> str:
        """3·3·3·64·112·112"""
        return " + ".join("·".join(str(factor.number) for factor in term) or "1" for term in self.terms) or "0"

    def __str__(self) -> str:
        return " + ".join("·".join(factor.letter for factor in term) or "1" for term in self.terms) or "0"

    def times(self, *factors: Factor) -> Formula:
        return Formula(tuple((*factors, *term) for term in self.terms))


def product(*factors: Factor | Iterable[Factor]) -> Formula:
    """One term; factors that come as a sequence are put in their place."""
    flat: list[Factor] = []
    for one in factors:
        flat.extend([one] if isinstance(one, Factor) else one)
    return Formula((tuple(flat),))


def number(value: int) -> Factor:
    return Factor(str(value), value)


def sides(letter: str, lengths: tuple[int, ...]) -> tuple[Factor, ...]:
    """(3, 3) -> K·K; (1, 7) -> Kh·Kw."""
    if len(set(lengths)) <= 1 or len(lengths) not in AXES:
        return tuple(Factor(letter, length) for length in lengths)
    return tuple(Factor(letter + axis, length) for axis, length in zip(AXES[len(lengths)], lengths, strict=True))


def several(letter: str, value: int) -> tuple[Factor, ...]:
    """Left out where there is one."""
    return () if value == 1 else (Factor(letter, value),)


def elements(shape: tuple[int, ...], side: str = "D") -> tuple[Factor, ...]:
    """(N, C, H, W) -> B·N·D·D; of other ranks, but for (N, F), just how many there are."""
    if len(shape) >= 4:
        return (*several("B", shape[0]), Factor("N", shape[1]), *sides(side, shape[2:]))
    if len(shape) == 2:
        return (*several("B", shape[0]), Factor("N", shape[1]))
    return (Factor("E", prod(shape)),)


def total(formulas: Iterable[Formula]) -> Formula:
    """The sum; a term that comes twice is written once, with a 2."""
    counts = Counter(term for formula in formulas for term in formula.terms)
    return Formula(tuple((number(times), *term) if times > 1 else term for term, times in counts.items()))


def legend(formulas: Iterable[Formula]) -> dict[str, str]:
    """What the letters that occur stand for."""
    used = {factor.letter for formula in formulas for term in formula.terms for factor in term}
    letters = {letter for name in used for letter in name if letter in LEGEND}
    return {letter: meaning for letter, meaning in LEGEND.items() if letter in letters}
