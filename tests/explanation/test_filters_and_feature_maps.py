"""Filters and feature maps as arrays and as pictures that can be looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens import pictures
from convlens.errors import ExplanationError, UsageError
from convlens.explanation import feature_maps, feature_maps_picture, filters, filters_picture
from convlens.explanation.contract import difference, network_state
from convlens.explanation.filters import full_columns, shades


def test_filters_of_the_first_convolution_are_colours(residual: nn.Module) -> None:
    found = filters(residual)
    assert found.layer == "stem.0" and found.colour and found.kernels.shape == (8, 1, 3, 3, 3)
    weight = residual.get_submodule("stem.0").weight.detach()
    np.testing.assert_array_equal(found.kernels[:, 0], weight.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(found.norms, weight.flatten(1).norm(dim=1).numpy(), rtol=1e-6)


def test_deeper_filters_are_sorted_by_the_norm_of_each_input(residual: nn.Module) -> None:
    found = filters(residual, "stages.0.conv")
    assert found.kernels.shape == (8, 8, 3, 3, 1) and not found.colour
    norms = np.sqrt((found.kernels**2).sum((2, 3, 4)))
    assert (np.diff(norms, axis=1) <= 0).all()
    weight = residual.get_submodule("stages.0.conv").weight.detach().numpy()
    np.testing.assert_array_equal(found.kernels[3, 2, :, :, 0], weight[3, found.inputs[3, 2]])


def test_inputs_of_grouped_filters_are_numbered_through() -> None:
    depthwise = filters(nn.Sequential(nn.Conv2d(4, 8, 3, groups=4)))
    assert depthwise.inputs[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    grouped = filters(nn.Sequential(nn.Conv2d(8, 4, 1, groups=2)))
    assert [sorted(row) for row in grouped.inputs.tolist()] == [[0, 1, 2, 3]] * 2 + [[4, 5, 6, 7]] * 2


def test_zero_is_mid_grey_and_the_strongest_weight_an_end() -> None:
    kernel = np.array([-2.0, 0, 1, 2])[None, :, None, None]
    assert shades(kernel).ravel().tolist() == [1, 128, 192, 255]
    assert (shades(0 * kernel) == 128).all()


def test_a_layer_without_filters_is_refused_and_the_convolutions_inside_are_named(
    residual: nn.Module, mlp: nn.Module
) -> None:
    with pytest.raises(ExplanationError, match=r"'stages' is a Sequential, not a Conv2d.*inside it are stages.0.conv"):
        filters(residual, "stages")
    with pytest.raises(ExplanationError, match="no 2-D convolution"):
        filters(mlp)
    with pytest.raises(UsageError, match=r"no layer is called 'stem.9'"):
        filters(residual, "stem.9")


@pytest.mark.parametrize(("layer", "num_tiles"), [("stem.0", 8), ("stages.0.conv", 64)])
def test_a_picture_of_filters_shows_each_tile(layer: str, num_tiles: int, residual: nn.Module) -> None:
    sheet = filters_picture(residual, layer, tile=60)
    columns = {8: 4, 64: 8}[num_tiles]
    assert sheet.mode == "RGB" and sheet.width == 2 * 16 + columns * 60 + (columns - 1) * 10
    pixels = np.asarray(sheet)
    assert np.unique(pixels.reshape(-1, 3), axis=0).shape[0] > 30
    expected = shades(filters(residual, layer).kernels[0 if num_tiles == 8 else _strongest(residual, layer)])[0]
    top = int(np.flatnonzero((pixels[:, 26] != 255).any(1))[-1])  # a tile's column, clear of the title
    assert top > 60
    corner = expected[0, 0]
    colour = np.broadcast_to(corner, 3) if corner.size == 1 else corner
    assert (pixels[:, 17:35] == colour).all(-1).any()


def test_a_picture_of_some_filters_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(pictures, "contact_sheet", lambda tiles, **given: drawn.update(given))
    model = nn.Sequential(nn.Conv2d(3, 80, 3), nn.Conv2d(80, 16, 5))
    filters_picture(model)
    assert drawn["title"] == "0: the first 64 of 80 filters 3x3"
    filters_picture(model, "1")
    assert drawn["title"] == "1: the 5 strongest of 16 filters 5x5, of each the 12 strongest of 80 inputs"
    found = filters(model, "1")
    strongest = int(found.norms.argmax())
    assert drawn["labels"][0] == f"{strongest} · {found.norms.max():.3g}\nfrom {found.inputs[strongest, 0]}"
    filters_picture(model, "1", max_filters=192)
    assert drawn["title"] == "1: 16 filters 5x5, of each the 12 strongest of 80 inputs"


def _strongest(model: nn.Module, layer: str) -> int:
    return int(np.argmax(filters(model, layer).norms))


def test_feature_maps_are_the_output_of_the_layer(residual: nn.Module, images: Tensor) -> None:
    before = network_state(residual)
    found = feature_maps(residual, images, "stem.1")
    with torch.no_grad():
        stem = residual.get_submodule("stem")
        expected = stem[1](stem[0](images))  # not yet through the in-place gate that follows
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert found.dtype == np.float32 and (found < 0).any()
    assert difference(before, network_state(residual)) == ""


def test_feature_maps_come_from_the_last_layer_with_an_extent_by_default(residual: nn.Module, images: Tensor) -> None:
    assert feature_maps(residual, images).shape == (3, 8, 8, 6)


def test_a_picture_of_feature_maps_is_of_one_picture(residual: nn.Module, images: Tensor) -> None:
    sheet = feature_maps_picture(residual, images[:1], "stages.0", tile=64)
    assert sheet.size == (2 * 16 + 4 * 64 + 3 * 10, sheet.height)
    assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 100
    with pytest.raises(UsageError, match="one picture; got 3"):
        feature_maps_picture(residual, images)


def test_the_title_says_what_is_drawn_and_what_a_unit_sees(
    residual: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(pictures, "contact_sheet", lambda tiles, **given: drawn.update(given))
    feature_maps_picture(residual.train(), images[:1], "stages.0.conv")
    assert drawn["title"] == "stages.0.conv: 8 maps 16x12, each unit sees 7x7 px"
    feature_maps_picture(residual, images[:1], "stages.0.conv", max_maps=5)
    assert drawn["title"] == "stages.0.conv: the 5 strongest of 8 maps 16x12, each unit sees 7x7 px"
    twice = nn.Sequential(residual.stem[0], nn.Conv2d(8, 8, 1))
    twice.append(twice[1]).append(nn.Flatten()).append(nn.LazyLinear(2))
    twice(images)
    feature_maps_picture(twice, images[:1], "1")
    assert drawn["title"].endswith(
        "sees 3x3 px; layer '1' runs 2 times in a pass, and only what its last run gave was looked at"
    )


def test_flat_maps_are_drawn_without_nan(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.LazyLinear(2))
    model(images)
    nn.init.zeros_(model[0].weight)
    assert feature_maps_picture(model, images[:1], "0").mode == "RGB"


@pytest.mark.parametrize(("num_tiles", "columns"), [(1, 1), (6, 3), (16, 4), (64, 8), (96, 12), (7, 3), (20, 5)])
def test_sheets_have_no_short_last_row_where_that_is_possible(num_tiles: int, columns: int) -> None:
    assert full_columns(num_tiles) == columns


def test_three_inputs_of_a_group_are_no_colours() -> None:
    grouped = nn.Sequential(nn.Conv2d(6, 4, 3, groups=2), nn.Conv2d(4, 3, 1), nn.Conv2d(3, 2, 3))
    first = filters(grouped)
    assert not first.colour and sorted(first.inputs[3].tolist()) == [3, 4, 5]
    assert not filters(grouped, "2").colour
    assert filters(nn.Sequential(nn.Conv2d(3, 4, 3))).colour
