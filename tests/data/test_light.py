"""Colours: each against a slow way of its own, or a property."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from convlens.data.light import LUMA, brightness, contrast, hue, lighting, principal_colours, saturation


def pictures(count=6, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, 5, 4), generator=generator).float()


def grey():
    return pictures(channels=1).expand(-1, 3, -1, -1)


FACTORS = torch.tensor([0.0, 0.5, 1.0, 1.2, 1.5, 2.0])
TURNS = torch.tensor([0.0, 0.1, -0.25, 0.5, -0.5, 0.31])


def test_contrast_stretches_away_from_the_mean_of_the_picture():
    seen = contrast(pictures(), FACTORS)
    torch.testing.assert_close(seen.mean(dim=(1, 2, 3)), pictures().mean(dim=(1, 2, 3)))
    torch.testing.assert_close(seen.std(dim=(1, 2, 3)), FACTORS * pictures().std(dim=(1, 2, 3)))


def test_brightness_multiplies_every_pixel():
    torch.testing.assert_close(brightness(pictures(), FACTORS)[3], 1.2 * pictures()[3])


def test_no_saturation_leaves_the_grey_of_each_pixel_and_a_factor_of_one_the_picture():
    seen = saturation(pictures(), FACTORS)
    luma = torch.einsum("chw,c->hw", pictures()[0], torch.tensor(LUMA))
    torch.testing.assert_close(seen[0], luma.expand(3, -1, -1))
    torch.testing.assert_close(seen[2], pictures()[2])


def test_saturation_keeps_the_brightness_of_each_pixel():
    before, after = (
        torch.einsum("nchw,c->nhw", p, torch.tensor(LUMA)) for p in (pictures(), saturation(pictures(), FACTORS))
    )
    torch.testing.assert_close(after, before)


def test_hue_is_that_of_the_standard_library():
    seen = hue(pictures(), TURNS)
    for picture, turn, after in zip(pictures(), TURNS.tolist(), seen, strict=True):
        for row in range(5):
            for column in range(4):
                h, s, v = colorsys.rgb_to_hsv(*(picture[:, row, column] / 255).tolist())
                wanted = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
                assert after[:, row, column].tolist() == pytest.approx([255 * x for x in wanted], abs=1e-2)


@pytest.mark.parametrize("change", [hue, saturation])
def test_a_grey_picture_stays_grey(change):
    torch.testing.assert_close(change(grey(), TURNS), grey())


def coloured(count=40):
    """Pixels that vary most along one direction, less along a second, least along a third."""
    draw = np.random.default_rng(0)
    spread = draw.normal(size=(count * 64, 3)) * [60, 20, 5] @ np.linalg.qr(draw.normal(size=(3, 3)))[0]
    return (
        torch.from_numpy(np.clip(np.rint(spread + 128), 0, 255).astype(np.uint8))
        .view(count, 8, 8, 3)
        .permute(0, 3, 1, 2)
    )


def eigen(pixels):
    values = pixels.permute(1, 0, 2, 3).reshape(3, -1).numpy() / 255
    return np.linalg.eigh(np.cov(values, bias=True))


def test_principal_colours_are_the_eigenvectors_of_the_pixels_covariance():
    pixels = coloured()
    eigenvalues, eigenvectors = eigen(pixels)
    colours = principal_colours(pixels).double().numpy() / 255
    np.testing.assert_allclose(np.linalg.norm(colours, axis=0), eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(np.abs((colours / eigenvalues * eigenvectors).sum(axis=0)), 1, rtol=1e-5)


def test_principal_colours_have_the_same_bits_in_any_order_and_on_any_number_of_threads():
    pixels, threads = coloured(), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = principal_colours(pixels)
        torch.set_num_threads(2)
        assert torch.equal(principal_colours(pixels.flip(0).contiguous()), alone)
    finally:
        torch.set_num_threads(threads)


def test_lighting_adds_one_colour_to_all_of_a_picture_along_the_eigenvectors():
    colours = principal_colours(coloured())
    factors = torch.zeros(6, 3)
    factors[torch.arange(6), torch.arange(6) % 3] = 0.1
    added = lighting(pictures(), factors, colours) - pictures()
    eigenvalues, eigenvectors = eigen(coloured())
    for number, picture in enumerate(added):
        colour = picture[:, 0, 0]
        torch.testing.assert_close(picture, colour[:, None, None].expand(-1, 5, 4), atol=1e-4, rtol=1e-4)
        along = eigenvectors.T @ colour.double().numpy() / 255
        wanted = np.zeros(3)
        wanted[number % 3] = 0.1 * eigenvalues[number % 3]
        np.testing.assert_allclose(np.abs(along), wanted, atol=1e-6)
