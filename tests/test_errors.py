"""The words that messages are made of."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from convlens.errors import UsageError, check_count, check_number, counted

SOURCE = Path(__file__).parents[1] / "src" / "convlens"
MANY = "pictures|classes|networks|tensors|epochs|steps|labels|files|threads"
UNCOUNTED = re.compile(rf"len\(\w+\)(:,)?\}} ({MANY})\b")


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures"), (1797, "1,797 pictures"), (1.0, "1 picture")],
)
def test_one_is_counted_in_the_singular(number, said):
    assert counted(number, "picture") == said


def test_a_plural_of_its_own_is_given():
    assert [counted(number, "class", "classes") for number in (1, 2)] == ["1 class", "2 classes"]
    assert counted(2.5, "epoch") == "2.5 epochs"


def test_no_message_counts_by_itself():
    """A length may be 1."""
    found = {file.name: UNCOUNTED.findall(file.read_text(encoding="utf-8")) for file in SOURCE.rglob("*.py")}
    assert {name for name, hits in found.items() if hits} == {"named.py"}  # 1,797 digits


def test_a_count_is_a_whole_number_of_python_or_numpy():
    assert [check_count("n", value, 0) for value in (0, 3, np.int64(4))] == [0, 3, 4]
    assert type(check_count("n", np.uint8(4))) is int
    for value in (0, -1, 2.0, "3", True, None):
        with pytest.raises(UsageError, match=rf"n is {re.escape(repr(value))}, expected a whole number of at least 1"):
            check_count("n", value)


def test_a_number_is_a_finite_one_of_python_or_numpy_within_its_bounds():
    assert [check_number("rate", value, 0) for value in (0, 0.5, np.float32(0.25), np.int64(3))] == [0, 0.5, 0.25, 3]
    assert type(check_number("rate", np.float32(0.5))) is float
    for value in (-0.1, float("nan"), float("inf"), np.float32("nan"), "1", None, True, 1j):
        with pytest.raises(UsageError, match=r"rate is .*; expected a number of at least 0$"):
            check_number("rate", value, 0)
    with pytest.raises(UsageError, match="rate is 0; expected a number above 0 and less than 1"):
        check_number("rate", 0, 0, 1, above=True)
    with pytest.raises(UsageError, match="rate is 1; expected a number of at least 0 and less than 1"):
        check_number("rate", 1, 0, 1)
    with pytest.raises(UsageError, match="rate is inf; expected a finite number"):
        check_number("rate", float("inf"))
