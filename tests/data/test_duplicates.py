"""Groups of equal and of similar pictures."""

from __future__ import annotations

import time

import numpy as np
from PIL import Image

from convlens.data.duplicates import Looks, exact_groups, near_groups
from convlens.data.hashing import LOOK_COLUMNS, LOOK_ROWS, dhashes

RNG = np.random.default_rng(0)


def scenes(count: int, seed: int = 0) -> np.ndarray:
    """(count, 16, 18) smooth looks, no two alike."""
    small = np.random.default_rng(seed).integers(0, 255, (count, 5, 6), np.uint8)
    size = (LOOK_COLUMNS, LOOK_ROWS)
    return np.stack([np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)) for grey in small])


def looks_of(greys: np.ndarray, tints: np.ndarray | None = None, side: int = 100) -> Looks:
    sides = np.full(len(greys), side, np.int32)
    return Looks(greys, np.zeros((len(greys), 2), np.int16) if tints is None else tints, sides, sides.copy())


def names(count: int) -> list[str | None]:
    return [f"{index:032x}" for index in range(count)]


def test_equal_hashes_are_one_group_and_unreadable_pictures_none() -> None:
    assert exact_groups(["a", "b", None, "a", None, "b", "a", "c"]) == [[0, 3, 6], [1, 5]]


def test_noisy_copies_are_found_and_nothing_else() -> None:
    greys = scenes(400)
    noise = RNG.integers(-2, 3, (40, LOOK_ROWS, LOOK_COLUMNS))
    copies = (greys[:40].astype(int) + noise).clip(0, 255).astype(np.uint8)
    groups = near_groups(looks_of(np.concatenate([greys, copies])), names(440))
    assert len(groups) >= 36  # a copy may differ in more than six bits
    assert all(group == [group[0], group[0] + 400] for group in groups)


def test_every_pair_within_six_bits_is_compared() -> None:
    """The bands miss nothing: all pairs by brute force give the same groups."""
    greys = scenes(60)
    for _ in range(9):
        noise = RNG.integers(-6, 7, (60, LOOK_ROWS, LOOK_COLUMNS))
        greys = np.concatenate([greys, (greys[:60].astype(int) + noise).clip(0, 255).astype(np.uint8)])
    looks = looks_of(greys)
    found = dhashes(greys)
    first, second = np.triu_indices(len(greys), 1)
    close = np.bitwise_count(found[first] ^ found[second]) <= 6
    first, second = first[close], second[close]
    alike = ~looks.tell_apart(first, second)
    group_of = {index: number for number, group in enumerate(near_groups(looks, names(600))) for index in group}
    assert alike.sum() > 500
    assert all(group_of[a] == group_of[b] for a, b in zip(first[alike].tolist(), second[alike].tolist(), strict=True))


def test_six_bits_anywhere_are_bridged_by_the_bands() -> None:
    """A rising ramp, and the same with six cells lifted over their neighbours: six bits differ, wherever they are."""
    ramp = np.broadcast_to(np.arange(20, 200, 20), (8, 9)).astype(np.uint8)
    for _ in range(60):
        lifted = ramp.copy()
        lifted[RNG.choice(8, 6, replace=False), RNG.integers(0, 8, 6)] += 21
        greys = np.stack([ramp, lifted]).repeat(2, axis=1).repeat(2, axis=2)
        assert int(np.bitwise_count(np.bitwise_xor.reduce(dhashes(greys)))) == 6
        assert near_groups(looks_of(greys), names(2)) == [[0, 1]]


def test_equal_copies_alone_are_no_near_duplicates_but_join_one() -> None:
    greys = scenes(3)[[0, 0, 1, 1, 2]]
    greys[3] = np.clip(greys[3].astype(int) + 1, 0, 255)
    hashes = ["same", "same", "one", "other", "else"]
    assert near_groups(looks_of(greys), hashes) == [[2, 3]]
    assert near_groups(looks_of(greys[[2, 2, 3, 4]]), ["one", "one", "other", "else"]) == [[0, 1, 2]]


def test_flat_and_tiny_pictures_are_never_alike() -> None:
    flat = (128 + RNG.integers(0, 2, (50, LOOK_ROWS, LOOK_COLUMNS))).astype(np.uint8)
    assert near_groups(looks_of(flat), names(50)) == []
    even = np.arange(50, dtype=np.uint8)[:, None, None].repeat(LOOK_ROWS, axis=1).repeat(LOOK_COLUMNS, axis=2)
    assert near_groups(looks_of(even), names(50)) == []
    twice = np.concatenate([scenes(5)] * 2)
    assert near_groups(looks_of(twice, side=28), names(10)) == []
    assert len(near_groups(looks_of(twice, side=32), names(10))) == 5


def test_another_tint_or_shape_tells_pictures_apart() -> None:
    greys = np.concatenate([scenes(1)] * 2)
    assert near_groups(looks_of(greys, np.array([[0, 0], [40, 0]], np.int16)), names(2)) == []
    looks = looks_of(greys)
    looks.widths[1] = 150
    assert near_groups(looks, names(2)) == []


def test_crowds_of_similar_pictures_take_no_quadratic_time() -> None:
    """Frames of a film: 20,000 that nearly share one hash would be 200 million pairs."""
    drift = RNG.integers(-1, 2, (20_000, LOOK_ROWS, LOOK_COLUMNS))
    greys = (scenes(1).astype(int) + drift).clip(0, 255).astype(np.uint8)
    started = time.perf_counter()
    groups = near_groups(looks_of(greys), names(len(greys)))
    assert time.perf_counter() - started < 60
    assert max(len(group) for group in groups) > 19_000


def test_crowds_of_one_hash_that_are_not_alike_take_no_quadratic_time() -> None:
    """Fine texture that the hash does not see: the second look fails for every pair, and is asked a bounded number."""
    texture = RNG.integers(-60, 61, (4000, LOOK_ROWS // 2, 1, LOOK_COLUMNS, 1))
    stripes = np.concatenate([texture, -texture], axis=2).reshape(4000, LOOK_ROWS, LOOK_COLUMNS)
    rising = np.broadcast_to(np.linspace(60, 190, LOOK_COLUMNS), (LOOK_ROWS, LOOK_COLUMNS))
    greys = (rising + stripes).clip(0, 255).astype(np.uint8)
    assert len(np.unique(dhashes(greys))) == 1
    started = time.perf_counter()
    assert near_groups(looks_of(greys), names(len(greys))) == []
    assert time.perf_counter() - started < 60


def test_no_pictures_give_no_groups() -> None:
    assert near_groups(looks_of(np.zeros((0, LOOK_ROWS, LOOK_COLUMNS), np.uint8)), []) == []
