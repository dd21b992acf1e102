"""Networks whose maps are (N, H, W, C) on the way, as between the permutations of a ConvNeXt block."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.explanation import exciting, explain, feature_maps, maximise
from convlens.graph import trace


class Block(nn.Module):
    """Liu et al. 2022: depthwise, then norm and two linear layers over the channels, which come last there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, maps: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(maps).permute(0, 2, 3, 1))
        return maps + self.narrow(F.gelu(self.widen(inner))).permute(0, 3, 1, 2)


class Last(nn.Module):
    """Channels last to the end: 12 x 8 positions of 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 16, 4, stride=4), Block(16)
        self.mix, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.rest(self.mix(self.block(self.stem(images)).permute(0, 2, 3, 1)))

    def rest(self, maps: Tensor) -> Tensor:
        return self.head(F.relu(maps).square().mean((1, 2)))


@pytest.fixture(scope="module")
def network() -> Last:
    torch.manual_seed(0)
    return Last().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 48, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def by_hand(network: Last, images: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of `mix` and their gradients for class 1, (N, 16, 12, 8)."""
    with torch.no_grad():
        maps = network.mix(network.block(network.stem(images)).permute(0, 2, 3, 1))
    maps = maps.requires_grad_()
    (gradient,) = torch.autograd.grad(network.rest(maps)[:, 1].sum(), maps)
    return maps.detach().permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)


def enlarged(maps: Tensor) -> np.ndarray:
    return F.interpolate(maps[:, None], (48, 32), mode="bilinear", align_corners=False)[:, 0].numpy()


def test_the_default_layer_is_read_with_its_channels_last(network, images, by_hand):
    maps, gradient = by_hand
    found = explain(network, images, 1, method="grad_cam")
    assert found.layer == "mix"
    expected = enlarged(F.relu((gradient.mean((2, 3), keepdim=True) * maps).sum(1)))
    np.testing.assert_allclose(found.maps, expected, atol=1e-6 * expected.max())
    layered = enlarged(F.relu((F.relu(gradient) * maps).sum(1)))
    found = explain(network, images, 1, method="layer_cam")
    np.testing.assert_allclose(found.maps, layered, atol=1e-6 * layered.max())


def test_score_cam_masks_with_the_channels(network, images, by_hand):
    maps = by_hand[0]
    with torch.no_grad():
        low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
        masks = F.interpolate((maps - low) / (high - low), (48, 32), mode="bilinear", align_corners=False)
        plain = network(torch.zeros_like(images))[:, 1]
        scores = torch.stack([network(images * masks[:, c : c + 1])[:, 1] - plain for c in range(16)], dim=1)
    expected = enlarged(F.relu((scores.softmax(1)[:, :, None, None] * maps).sum(1)))
    found = explain(network, images, 1, method="score_cam").maps
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_feature_maps_and_what_excites_and_grows_are_of_channels(network, images, by_hand):
    maps = by_hand[0].numpy()
    np.testing.assert_allclose(feature_maps(network, images, "mix"), maps, atol=1e-6)
    (first, *_) = exciting(network, [images], "mix", [5])[5]
    assert (first.index, first.value) == (int(maps[:, 5].max((1, 2)).argmax()), pytest.approx(maps[:, 5].max()))
    grown = maximise(network, 15, (3, 48, 32), layer="mix", steps=8)
    pixels = torch.from_numpy(grown.pictures).permute(0, 3, 1, 2) / 255
    assert grown.values[0] == pytest.approx(feature_maps(network, pixels, "mix")[0, 15].mean(), abs=0.01)


@pytest.mark.parametrize("layer", ["block", "block.depthwise", "stem"])
def test_maps_beside_them_are_as_they_were(network, images, layer):
    kept = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        network(images)
    hook.remove()
    np.testing.assert_allclose(feature_maps(network, images, layer), kept[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 8), (8, 1), (4, 8)], ids=str)
def test_maps_of_one_row_or_column_are_read_so_too(size):
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.mix, self.head = nn.Conv2d(3, 16, 1), nn.Linear(16, 16), nn.Linear(16, 4)

        def forward(self, images):
            return self.head(self.mix(self.conv(images).permute(0, 2, 3, 1)).relu().mean((1, 2)))

    network, images = Flat().eval(), torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = network.mix(network.conv(images).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    np.testing.assert_allclose(feature_maps(network, images, "mix"), expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(feature_maps(network, images, "conv"), network.conv(images).detach().numpy(), atol=1e-6)


def test_the_graph_knows_where_rows_and_columns_lie(network, images):
    graph = trace(network, (1, 3, 48, 32))
    dims = {call.path: graph.map_dims(call.node) for call in graph.finished if len(call.output_shape) == 4}
    last = {"block.norm", "block.widen", "block.narrow", "mix"}
    assert dims == {name: (1, 2) if name in last else (2, 3) for name in dims}
    assert last <= dims.keys()
