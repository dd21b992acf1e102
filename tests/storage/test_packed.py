"""Packed tensors: every bit comes back, few values take few bytes, and what is damaged is told."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from convlens.errors import StorageError
from convlens.storage import pack, unpack
from convlens.storage.packed import HEAD, MAGIC, _with_gaps


def shared(*shape: int, values: int = 32, zeros: float = 0.0, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed)
    book = drawn.normal(size=values).astype(np.float32)
    chosen = book[np.clip(drawn.normal(values / 2, values / 8, shape), 0, values - 1).astype(int)]
    return np.where(drawn.random(shape) < zeros, np.float32(0), chosen)


# fmt: off
ARRAYS: dict[str, Any] = {
    "floats":           np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32),
    "shared":           shared(16, 8, 3, 3),
    "sparse":           shared(64, 32, 3, 3, zeros=0.7),
    "sparse and dense": shared(128, 100, zeros=0.9),
    "nearly all zeros": np.bincount([3, 70_000], minlength=200_000).astype(np.float32).reshape(2, 10, 100, 100),
    "long gaps":        np.bincount([0, 31, 64, 97], minlength=300).astype(np.float32),
    "all zeros":        np.zeros((40, 50), dtype=np.float32),
    "all ones":         np.ones(64, dtype=np.float32),
    "none":             np.zeros((0, 3), dtype=np.float32),
    "a number":         np.array(12345),
    "whole numbers":    np.arange(10, dtype=np.int64) - 5,
    "truths":           np.array([True, False]),
    "minus zero":       np.array([0.0, -0.0, 1.0] * 400, dtype=np.float32),
    "NaN and infinity": np.array([np.nan, np.inf, -np.inf] * 400, dtype=np.float32),
    "half":             shared(30, 30).astype(np.float16),
    "double":           shared(30, 30).astype(np.float64),
    "turned":           shared(30, 20).T,
}
# fmt: on


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


def test_every_bit_comes_back_and_so_does_the_order_of_the_names() -> None:
    found = unpack(pack(ARRAYS))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert_same(found[name], array)


def test_what_comes_back_can_be_written_to() -> None:
    for array in unpack(pack(ARRAYS)).values():
        array[...] = 1


def test_shared_values_take_a_fifth_and_many_zeros_less_again() -> None:
    dense, sparse = (len(pack({"weight": shared(256, 128, 3, 3, zeros=zeros)})) for zeros in (0.0, 0.7))
    assert dense < 0.16 * 4 * 256 * 128 * 9  # 4.1 bits of 32 in entropy, and Huffman's part of a bit
    assert sparse < 0.075 * 4 * 256 * 128 * 9


def test_a_gap_that_is_too_long_is_bridged_by_stored_zeros() -> None:
    """The weights at 1, 4 and 15 are those of figure 2 of the paper, which has gaps of 3 bits and one bridge."""
    indices = np.zeros(16, dtype=np.int64)
    indices[[1, 4, 15]] = [1, 2, 3]
    _, facts = _with_gaps(np.arange(4, dtype=np.uint32), indices, 2)
    assert facts["stored"] == 3  # with 5 bits there is room for all
    far = np.zeros(200, dtype=np.int64)
    far[[0, 32, 65, 199]] = 1  # 32 on is the longest; 33 needs one bridge, 134 four
    _, facts = _with_gaps(np.arange(2, dtype=np.uint32), far, 2)
    assert facts["stored"] == 4 + 1 + 4
    _, facts = _with_gaps(np.arange(2, dtype=np.uint32), far, 4)
    assert facts["stored"] == 4


def damaged(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_what_is_damaged_cut_short_newer_or_something_else_is_told() -> None:
    data = pack({"weight": shared(20, 20)})
    for place in (len(MAGIC) + 1, HEAD, len(data) - 1):
        with pytest.raises(StorageError, match="its SHA-256 differs"):
            unpack(damaged(data, place))
    with pytest.raises(StorageError, match="its SHA-256 differs"):
        unpack(data[:-1])
    for other in (b"", b"PK\x03\x04" + data, data[: HEAD - 1]):
        with pytest.raises(StorageError, match="it is no file of packed tensors"):
            unpack(other)
    newer = MAGIC + bytes([2]) + hashlib.sha256(b"").digest() + bytes(4)
    with pytest.raises(StorageError, match="its format is 2, this convlens reads up to 1; update convlens"):
        unpack(newer)


def test_numbers_that_have_no_place_in_the_format_are_refused() -> None:
    with pytest.raises(StorageError, match="'weight' is of complex64, which cannot be packed"):
        pack({"weight": np.zeros(3, dtype=np.complex64)})
