"""Two classifiers on the same pictures, against hand-counted tables and SciPy's own tests."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.errors import DataError
from convlens.measurement import compare_predictions
from convlens.measurement.paired import mcnemar


def test_agreement_and_who_is_right_are_counted_by_hand():
    truth = [0, 0, 1, 1, 2, 2, 2, 2]
    first = [0, 1, 1, 1, 2, 2, 0, 1]
    second = [0, 0, 1, 0, 2, 2, 0, 0]
    found = compare_predictions(first, second, truth)
    assert found.num_pictures == 8
    assert found.agreement == 5 / 8  # the seventh is wrong in the same way, the last in another
    assert (found.only_first_right, found.only_second_right) == (1, 1)
    assert found.difference == 0 and found.p_value == 1.0 and not found.told_apart
    assert found.low <= 0 <= found.high


def test_the_exact_p_value_by_hand():
    """9 of 10 for the one: twice (1 + 10) / 2^10."""
    assert mcnemar(9, 1) == mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(5, 5) == mcnemar(0, 0) == 1.0
    assert mcnemar(6, 0) == pytest.approx(2 / 64)


def test_a_better_one_is_said_to_be_better():
    truth = np.zeros(1000, int)
    first, second = truth.copy(), truth.copy()
    first[:100], second[60:100] = 1, 1  # 60 more wrong
    found = compare_predictions(first, second, truth)
    assert (found.only_first_right, found.only_second_right) == (0, 60)
    assert found.told_apart and found.difference == pytest.approx(0.06)
    spread = 1.96 * np.sqrt(0.06 * 0.94 / 1000)
    assert found.low == pytest.approx(0.06 - spread, abs=2e-3) and found.high == pytest.approx(0.06 + spread, abs=2e-3)


def test_other_shapes_are_refused():
    with pytest.raises(DataError, match=r"predictions of \(2,\) and \(3,\) came for labels of \(2,\)"):
        compare_predictions([0, 1], [0, 1, 1], [0, 1])
    with pytest.raises(DataError, match="expected"):
        compare_predictions([], [], [])
