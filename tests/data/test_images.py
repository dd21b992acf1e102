"""Pictures chosen among others."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.data.images import ArrayReader, images_of_arrays
from convlens.errors import UsageError

PIXELS = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
IMAGES = images_of_arrays(
    {"": PIXELS}, {"": np.array([0, 2, 1, 2, 0])}, ("a", "b", "c"), name="five", source="five", notes=()
)


def test_a_mask_chooses_where_it_is_true() -> None:
    mask = IMAGES.labels == 2
    for chosen in (IMAGES.subset(mask), IMAGES.subset(mask.tolist())):
        assert chosen.labels.tolist() == [2, 2]
        assert [chosen.reader.read(index)[0, 0] for index in range(2)] == [1, 3]
    assert isinstance(IMAGES.reader, ArrayReader)
    stacked = IMAGES.reader.stacked(mask)
    assert stacked is not None and stacked[:, 0, 0].tolist() == [1, 3]


def test_indices_choose_in_their_order() -> None:
    for indices in ([3, 0], np.array([3, 0]), iter([3, 0]), np.array([3, 0], np.uint8)):
        assert IMAGES.subset(indices).labels.tolist() == [2, 0]
    assert len(IMAGES.subset([])) == 0 and len(IMAGES.subset(np.zeros(5, bool))) == 0


@pytest.mark.parametrize("wrong", [np.ones(4, bool), np.ones((5, 1), bool), np.array([0.0, 1.0]), ["0"]])
def test_what_is_neither_a_mask_nor_indices_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="came to choose among 5 pictures; expected whole numbers, or a mask of 5"):
        IMAGES.subset(wrong)
