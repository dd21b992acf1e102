"""Occlusion from coarse to fine: few windows are asked, those exactly, and a map is each picture's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.errors import UsageError
from convlens.explanation import explain, occlusion

SIZES = {"method": "occlusion", "window": 4, "stride": 2}


class LooksAt(nn.Module):
    """Class 1 is the sum over a spot of 6 x 6 pixels; class 0 that of everything else, a little."""

    def forward(self, images: Tensor) -> Tensor:
        spot = images[:, :, 20:26, 8:14].sum((1, 2, 3))
        return torch.stack([0.01 * images.sum((1, 2, 3)), spot], 1)


def asked_windows(monkeypatch) -> list[int]:
    counts: list[int] = []
    asks = occlusion.scores_under
    monkeypatch.setattr(
        occlusion,
        "scores_under",
        lambda question, cover, places: counts.append(len(places)) or asks(question, cover, places),
    )
    return counts


def test_a_fifth_of_the_windows_finds_the_spot_exactly(monkeypatch):
    images = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)) + 0.5
    full = explain(LooksAt(), images, 1, **SIZES).maps[0]
    counts = asked_windows(monkeypatch)
    found = explain(LooksAt(), images, 1, refine=0.2, **SIZES).maps[0]
    assert counts == [16, round(0.2 * 19 * 19)]  # windows of 16 px in steps of 8, then a fifth of the 361
    np.testing.assert_allclose(found[20:26, 8:14], full[20:26, 8:14], rtol=1e-5)
    assert np.corrcoef(found.ravel(), full.ravel())[0, 1] > 0.97


def test_a_picture_has_its_own_windows_whoever_is_beside_it():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 4)
    ).eval()
    images = torch.randn(3, 3, 40, 40)
    together = explain(network, images, [0, 1, 2], refine=0.3, **SIZES).maps
    for n in range(3):
        alone = explain(network, images[n : n + 1], n, refine=0.3, **SIZES).maps[0]
        np.testing.assert_allclose(together[n], alone, atol=1e-5 * np.abs(alone).max())


def test_all_windows_are_the_plain_map():
    images = torch.rand(2, 3, 40, 40)
    plain = explain(LooksAt(), images, 1, **SIZES).maps
    nearly = explain(LooksAt(), images, 1, refine=0.9999, **SIZES).maps
    np.testing.assert_allclose(nearly, plain, atol=1e-5 * plain.max())


@pytest.mark.parametrize("refine", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_is_above_0_and_at_most_1(refine):
    with pytest.raises(UsageError, match="refine came as"):
        explain(LooksAt(), torch.rand(1, 3, 40, 40), 1, refine=refine, **SIZES)


def test_large_windows_tell_places_apart_and_rounding_chooses_none(residual):
    """Four windows of 9 px would cover all of 32: every guess would be the same."""
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2)).double()
    ask = {"method": "occlusion", "window": 9, "stride": 7, "refine": 0.5}
    together = explain(residual.double(), images, 1, **ask).maps
    alone = [explain(residual, image[None], 1, **ask).maps[0] for image in images]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5 * np.abs(together).max())
    residual.float()
