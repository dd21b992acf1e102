"""Huffman codes: what is decoded is what was encoded, in as few bits as any code of whole bits can."""

from __future__ import annotations

import heapq
from time import perf_counter

import numpy as np
import pytest

from convlens.storage.huffman import BLOCK, code_lengths, decode, encode


def normal(count: int) -> np.ndarray:
    return np.clip(np.random.default_rng(0).normal(32, 8, count).round(), 0, 63).astype(np.int64)


# fmt: off
ROWS = {
    "nothing":          np.zeros(0, dtype=np.int64),
    "one symbol":       np.full(5, 3),
    "two symbols":      np.array([7, 0, 0, 7, 7]),
    "a whole block":    normal(BLOCK),
    "one more":         normal(BLOCK + 1),
    "three groups":     normal(600_000),
    "every byte once":  np.arange(256),
    "gaps":             np.random.default_rng(1).geometric(0.3, 50_000) - 1,
    "Fibonacci":        np.repeat(np.arange(24), [round(1.618**k) for k in range(24)]),
}
# fmt: on


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_decoded_is_what_was_encoded(kind: str) -> None:
    row = ROWS[kind]
    lengths = code_lengths(np.bincount(row, minlength=1))
    np.testing.assert_array_equal(decode(encode(row, lengths), len(row), lengths), row)


def test_the_lengths_of_an_example_worked_by_hand() -> None:
    """The five letters of counts 15, 7, 6, 6, 5: 1 bit for the first, 3 for each of the others, 87 bits in all."""
    counts = np.array([15, 7, 6, 6, 5, 0])
    lengths = code_lengths(counts)
    assert lengths.tolist() == [1, 3, 3, 3, 3, 0]
    assert int(counts @ lengths) == 87


def test_codes_are_counted_upwards_by_length_and_then_by_symbol() -> None:
    lengths = np.array([2, 1, 0, 3, 3], dtype=np.uint8)  # codes 10, 0, -, 110, 111
    assert encode(np.array([1, 0, 3, 4]), lengths) == bytes([2, 0, 0b01011011, 0b10000000])


@pytest.mark.parametrize("seed", range(5))
def test_no_code_of_whole_bits_takes_less(seed: int) -> None:
    """Against the sum of the weights of all inner nodes of Huffman's own tree."""
    counts = np.random.default_rng(seed).integers(1, 1000, 200)
    heap, total = sorted(counts.tolist()), 0
    while len(heap) > 1:
        pair = heapq.heappop(heap) + heapq.heappop(heap)
        total += pair
        heapq.heappush(heap, pair)
    assert int(counts @ code_lengths(counts)) == total


def test_no_code_is_longer_than_sixteen_bits_and_all_are_apart() -> None:
    counts = np.array([round(1.618**k) for k in range(40)])
    lengths = code_lengths(counts).astype(float)
    assert lengths.max() == 16 and (2**-lengths).sum() == 1


def test_a_code_stays_within_a_bit_of_the_entropy() -> None:
    row = normal(100_000)
    share = np.bincount(row) / len(row)
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    bits = 8 * len(encode(row, code_lengths(np.bincount(row)))) / len(row)
    assert entropy < bits < entropy + 0.1


def test_as_many_symbols_as_a_squeezenet_has_weights_take_less_than_two_seconds() -> None:
    row, start = normal(1_235_496), perf_counter()
    lengths = code_lengths(np.bincount(row))
    data = encode(row, lengths)
    middle = perf_counter()
    assert len(decode(data, len(row), lengths)) == len(row)
    assert middle - start < 2 and perf_counter() - middle < 2


def test_data_that_is_cut_short_and_lengths_of_no_code_are_refused() -> None:
    row = normal(5000)
    lengths = code_lengths(np.bincount(row))
    with pytest.raises(ValueError, match="5 blocks do not fill"):
        decode(encode(row, lengths)[:-1], len(row), lengths)
    with pytest.raises(ValueError, match="no code"):
        decode(bytes([1, 0, 0]), 2, np.array([1, 1, 1], dtype=np.uint8))
