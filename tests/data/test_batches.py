"""Batches and resident pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.data import Augment, Batches, decode_pixels, mean_and_std, open_images
from convlens.data import pixels as pixels_file
from convlens.data.images import ArrayReader
from convlens.pictures import Preprocess

PREPROCESS = Preprocess((8, 8), "crop", 1, (0.5,), (0.25,))


def batches(count=50, batch=16, ask=None):
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 1, 8, 8).contiguous()
    return Batches(pixels, torch.arange(count), PREPROCESS, ask or Augment(), batch=batch, seed=3)


def test_an_epoch_shows_every_picture_at_most_once_with_its_own_label():
    source = batches()
    seen = []
    for step in range(source.steps_per_epoch):
        images, labels = source(step)
        assert torch.allclose((images[:, 0, 0, 0] * 0.25 + 0.5) * 255, labels.float(), atol=1e-3)
        seen += labels.tolist()
    assert len(seen) == len(set(seen)) == 48


def test_a_step_gives_the_same_batch_whenever_it_is_asked():
    source = batches(ask=Augment(shift=1, flip=True))
    later = source(7)
    for step in range(7):
        source(step)
    again = source(7)
    assert torch.equal(later[0], again[0]) and torch.equal(later[1], again[1])


def test_a_batch_is_never_larger_than_the_source():
    source = batches(count=5, batch=64)
    assert source.steps_per_epoch == 1 and len(source(0)[1]) == 5


def test_decoded_pixels_are_in_the_order_asked():
    images = open_images("digits")
    chosen = [5, 0, 900]
    pixels = decode_pixels(images, chosen, PREPROCESS)
    for row, index in zip(pixels, chosen, strict=True):
        assert np.array_equal(row[0].numpy(), images.reader.read(index))


def test_arrays_of_the_right_size_are_taken_as_they_are():
    images = open_images("digits")
    slow = np.stack([PREPROCESS.pixels(images.reader.read(i)) for i in (3, 1700, 4)])
    assert np.array_equal(decode_pixels(images, [3, 1700, 4], PREPROCESS).numpy(), slow)


def test_several_parts_are_stacked_in_the_order_asked():
    parts = {
        "train": np.arange(12, dtype=np.uint8).reshape(3, 2, 2),
        "test": 50 + np.arange(8, dtype=np.uint8).reshape(2, 2, 2),
    }
    reader = ArrayReader(parts)
    chosen = [4, 0, 3, 2]
    assert np.array_equal(reader.stacked(chosen), np.stack([reader.read(i) for i in chosen]))


def test_pixels_beyond_the_memory_go_to_a_map_that_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path))
    images = open_images("digits")
    resident = decode_pixels(images, range(40), PREPROCESS)
    monkeypatch.setattr(pixels_file, "memory_bytes", lambda: 4 * 40 * 64 - 4)
    mapped = decode_pixels(images, range(40), PREPROCESS)
    assert torch.equal(resident, mapped)
    assert list((tmp_path / "pixels").iterdir()) == []


def test_mean_and_deviation_are_those_of_the_pixels():
    pixels = torch.randint(0, 256, (30, 3, 9, 9), dtype=torch.uint8)
    mean, std = mean_and_std(pixels)
    values = pixels.double() / 255
    assert mean == pytest.approx(values.mean(dim=(0, 2, 3)).tolist(), abs=1e-4)
    assert std == pytest.approx(values.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-4)


def test_a_constant_channel_has_a_deviation_above_zero():
    assert mean_and_std(torch.zeros(3, 1, 4, 4, dtype=torch.uint8))[1][0] > 0
