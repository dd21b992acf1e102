"""Pictures of the classics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens.classics import RBM, Load, capacity_plot, filters_sheet, pictures_sheet, rows_sheet
from convlens.errors import DataError, UsageError


def test_rows_stand_below_each_other_with_their_pixels_in_place(ten_digits: Tensor) -> None:
    sheet = np.asarray(rows_sheet({"stored": ten_digits, "turned": 1 - ten_digits}, (8, 8), tile=16))
    first = sheet[16 : 16 + 16 : 2, 16 : 16 + 16 : 2, 0]  # a margin of 16 px, then 2 x 2 px each
    assert np.array_equal(first, 255 * ten_digits[0].reshape(8, 8).numpy())
    assert sheet.shape[1] == 2 * 16 + 10 * 16 + 9 * 10


def test_filters_are_drawn_largest_first_red_above_and_blue_below_zero() -> None:
    rbm = RBM(4, 3)
    rbm.weights.data.copy_(torch.tensor([[0.1, 2, 0], [0, 0, 0], [0, 0, 0], [0, -2, 0]]))
    sheet = np.asarray(filters_sheet(rbm, (2, 2), num=1, tile=2)).astype(int)
    red, blue = sheet[16, 16], sheet[17, 17]
    assert red[0] > 150 > red[2] + 80 and blue[2] > 150 > blue[0] + 50


def test_the_plot_of_capacity_is_drawn_without_changing_matplotlibs_state() -> None:
    import matplotlib.pyplot

    open_figures = matplotlib.pyplot.get_fignums()
    image = capacity_plot({"500 units": [Load(0.1, 1.0, 1.0), Load(0.2, 0.7, 0.1)]}, title="Capacity")
    assert image.mode == "RGB" and image.size == (770, 440)
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 20
    assert matplotlib.pyplot.get_fignums() == open_figures


def test_arrays_make_the_sheets_that_tensors_do(ten_digits: Tensor) -> None:
    array = ten_digits.numpy()
    for ours, theirs in (
        (pictures_sheet(array, (8, 8)), pictures_sheet(ten_digits, (8, 8))),
        (rows_sheet({"a": array.astype(np.uint8)}, (8, 8)), rows_sheet({"a": ten_digits}, (8, 8))),
    ):
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_shapes_and_rows_that_do_not_fit_are_told(ten_digits: Tensor) -> None:
    with pytest.raises(UsageError, match=r"shape came as \(8, 9\) for pictures of 64 pixels; expected \(height, width"):
        pictures_sheet(ten_digits, (8, 9))
    with pytest.raises(UsageError, match="a side of the shape is -8, expected a whole number of at least 1"):
        pictures_sheet(ten_digits, (-8, -8))
    with pytest.raises(UsageError, match=r"pictures came with shape \(64,\); expected \(N, H \* W\)"):
        pictures_sheet(ten_digits[0], (8, 8))
    with pytest.raises(DataError, match="pictures hold NaN"):
        pictures_sheet(ten_digits * torch.nan, (8, 8))
    with pytest.raises(UsageError, match=r"rows of \[3, 10\] pictures came; expected one row or more"):
        rows_sheet({"a": ten_digits, "b": ten_digits[:3]}, (8, 8))
