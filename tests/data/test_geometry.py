"""Where pixels go: each against a slow way of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from convlens.data.geometry import centre, crop, mirror, pad, plain_view, rotate, shift


def pictures(count=8, height=12, width=10, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def interleaved(images):
    return images.contiguous(memory_format=torch.channels_last)


def test_the_middle_is_as_far_from_each_edge():
    assert torch.equal(centre(pictures(), (6, 4)), pictures()[:, :, 3:9, 3:7])


def test_those_that_are_drawn_are_mirrored_and_no_others():
    which = torch.arange(8) % 3 == 0
    before = pictures()
    seen = mirror(before, which)
    assert all(torch.equal(seen[i], before[i].flip(2) if which[i] else before[i]) for i in range(8))
    assert torch.equal(before, pictures())


@pytest.mark.parametrize(("border", "mode"), [("edge", "replicate"), ("reflect", "reflect")])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("reach", [1, 2, 5])
def test_a_padded_picture_is_that_of_torch(border, mode, channels, reach):
    images = pictures(channels=channels)
    wanted = F.pad(images.float(), (reach,) * 4, mode=mode)
    assert np.array_equal(pad(images.numpy(), reach, border), wanted.numpy())


@pytest.mark.parametrize("border", ["edge", "reflect"])
def test_a_shift_is_a_window_of_the_padded_picture(border):
    images = pictures(25)
    rows, columns = torch.arange(25) // 5, torch.arange(25) % 5
    seen = shift(images, rows, columns, reach=2, border=border)
    padded = pad(images.numpy(), 2, border)
    for i, (y, x) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        assert np.array_equal(seen[i], padded[i, :, y : y + 12, x : x + 10])


def test_the_middle_window_is_the_picture():
    twos = torch.full((8,), 2)
    assert torch.equal(shift(pictures(), twos, twos, reach=2), pictures())


BOXES = torch.tensor([[0, 0, 40, 30], [3, 5, 20, 21], [10, 0, 12, 16], [39, 29, 1, 1]])  # top, left, height, width


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("laid_out", [torch.Tensor.contiguous, interleaved])
def test_a_crop_is_what_pillow_makes_of_the_box(channels, laid_out):
    images = pictures(4, 40, 30, channels)
    seen = crop(laid_out(images), BOXES, (16, 12))
    for picture, (top, left, height, width), after in zip(images, BOXES.tolist(), seen, strict=True):
        box = (left, top, left + width, top + height)
        planes = [Image.fromarray(p.numpy()).crop(box).resize((12, 16), Image.Resampling.BILINEAR) for p in picture]
        assert np.abs(np.stack(planes).astype(int) - after.numpy().astype(int)).max() <= 1


def test_a_crop_of_all_of_a_picture_to_its_own_size_is_the_picture():
    whole = torch.tensor([[0, 0, 12, 10]]).expand(8, 4)
    assert torch.equal(crop(pictures(), whole, (12, 10)), pictures())


def test_a_crop_keeps_the_order_of_the_channels_in_memory():
    images = pictures(4, 40, 30)
    assert crop(images, BOXES, (16, 12)).is_contiguous()
    assert crop(interleaved(images), BOXES, (16, 12)).is_contiguous(memory_format=torch.channels_last)
    grey = images[:, :1].contiguous()
    assert crop(grey, BOXES, (16, 12)).stride() == (192, 192, 12, 1)


def test_a_mirrored_crop_is_the_crop_mirrored():
    images, which = pictures(4, 40, 30), torch.tensor([True, False, True, False])
    plain = crop(images, BOXES, (16, 12))
    assert torch.equal(crop(images, BOXES, (16, 12), mirrored=which), mirror(plain, which))


@pytest.mark.parametrize(("side", "border"), [(12, "edge"), (11, "reflect")])
def test_a_quarter_turn_of_a_square_is_rot90(side, border):
    square = pictures(4, side, side)
    for degrees, quarters in ((90, 1), (-90, -1), (180, 2)):
        turned = rotate(square, torch.full((4,), float(degrees)), border=border)
        torch.testing.assert_close(turned, square.rot90(quarters, (2, 3)).float(), atol=1e-2, rtol=0)


def test_half_a_turn_of_any_picture_turns_both_axes():
    turned = rotate(pictures(), torch.full((8,), 180.0))
    torch.testing.assert_close(turned, pictures().flip((2, 3)).float(), atol=1e-2, rtol=0)


def test_a_turn_of_a_picture_that_is_no_square_keeps_its_angles():
    """The middle of a wide picture turned by 90 degrees is that of its middle square."""
    wide = pictures(2, 9, 21)
    turned = rotate(wide, torch.full((2,), 90.0))[..., 6:15]
    torch.testing.assert_close(turned, wide[..., 6:15].rot90(1, (2, 3)).float(), atol=1e-2, rtol=0)


def slowly_rotated(plane: np.ndarray, degrees: float, border: str) -> np.ndarray:
    """Pixel by pixel: where each comes from, its place folded back into the picture, four neighbours weighed."""
    height, width = plane.shape
    turn, seen = np.deg2rad(degrees), np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            down, right = row - (height - 1) / 2, column - (width - 1) / 2
            y = (height - 1) / 2 + np.sin(turn) * right + np.cos(turn) * down
            x = (width - 1) / 2 + np.cos(turn) * right - np.sin(turn) * down
            y, x = folded(y, height - 1, border), folded(x, width - 1, border)
            top, left = min(int(y), height - 2), min(int(x), width - 2)
            for i, part_i in ((top, 1 - (y - top)), (top + 1, y - top)):
                for j, part_j in ((left, 1 - (x - left)), (left + 1, x - left)):
                    seen[row, column] += part_i * part_j * plane[i, j]
    return seen


def folded(place: float, last: int, border: str) -> float:
    if border == "edge":
        return min(max(place, 0), last)
    place = abs(place) % (2 * last)
    return min(place, 2 * last - place)


@pytest.mark.parametrize("border", ["edge", "reflect"])
def test_a_turn_is_that_of_a_slow_loop(border):
    images = pictures(3, 9, 14, channels=1)
    degrees = torch.tensor([10.0, -33.0, 120.0])
    seen = rotate(images, degrees, border=border)
    wanted = [slowly_rotated(p[0].numpy(), d, border) for p, d in zip(images, degrees.tolist(), strict=True)]
    np.testing.assert_allclose(seen[:, 0], np.stack(wanted), atol=0.02)


@pytest.mark.parametrize("side", [6, 9, 12])
def test_the_plain_view_has_the_size_asked_and_the_middle_of_the_picture(side):
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    images[:, :, side // 2 - 1 : side // 2 + 1, side // 2 - 1 : side // 2 + 1] = 200
    seen = plain_view(images, (9, 9))
    assert seen.shape == (2, 3, 9, 9) and seen[:, :, 3:6, 3:6].max() >= 150
