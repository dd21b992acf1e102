"""A network that answers by chance, or whose pictures mix, has no map; what only looks so has one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError
from convlens.explanation import explain


class Changed(nn.Module):
    """A small network with one more operation on its feature maps."""

    def __init__(self, change: Callable[[Tensor], Tensor] | nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features, self.change, self.head = nn.Conv2d(3, 8, 3, padding=1), change, nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.change(self.features(images).relu()).mean((2, 3)))


IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "change",
    [
        lambda maps: F.dropout(maps, 0.5, training=True),
        lambda maps: F.dropout2d(maps, 0.5, training=True),
        lambda maps: maps + 0.5 * torch.randn_like(maps),
        lambda maps: maps * torch.rand(1, 8, 1, 1),
    ],
    ids=["dropout", "dropout of maps", "noise", "random scale"],
)
@pytest.mark.parametrize("method", ["saliency", "grad_cam", "occlusion"])
def test_a_network_that_draws_at_random_has_no_map(change: Callable[[Tensor], Tensor], method: str) -> None:
    network = Changed(change)
    state = torch.get_rng_state()
    with pytest.raises(ExplanationError, match=r"draws at random at every pass.*training=self.training"):
        explain(network, IMAGES, method=method)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "change",
    [nn.BatchNorm2d(8, track_running_stats=False), lambda maps: F.batch_norm(maps, None, None, training=True)],
    ids=["module", "function"],
)
def test_a_network_whose_pictures_mix_has_no_map(change: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ExplanationError, match=r"hangs on the others of its batch.*running statistics"):
        explain(Changed(change), IMAGES, method="saliency")


class Attention(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        tokens = maps.flatten(2).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(tokens, tokens, tokens)
        return mixed.transpose(1, 2).reshape(maps.shape)


@pytest.mark.parametrize(
    "change",
    [nn.Dropout(), nn.RReLU(), nn.InstanceNorm2d(8), nn.GroupNorm(2, 8), nn.BatchNorm2d(8), Attention()],
    ids=lambda change: type(change).__name__,
)
def test_what_only_looks_like_chance_or_mixing_has_one(change: nn.Module) -> None:
    """Dropout and random slopes in evaluation mode; norms over each picture; attention without dropout."""
    assert explain(Changed(change), IMAGES, method="saliency").maps.any()


def test_pictures_and_networks_without_values_are_refused() -> None:
    with pytest.raises(UsageError, match="pictures lie on the meta device, which holds no values"):
        explain(Changed(nn.Identity()), IMAGES.to("meta"), method="saliency")
    with pytest.raises(UsageError, match="weights lie on the meta device"):
        explain(Changed(nn.Identity()).to("meta"), IMAGES, method="saliency")
