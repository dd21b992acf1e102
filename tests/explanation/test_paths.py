"""Networks whose path hangs on values: each picture is explained as if it were alone, whatever is asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.explanation import check_method, explain, sanity_check
from convlens.graph import trace

Asks = Callable[[Tensor], object]


class Path(nn.Module):
    """Two convolutions, of which one is taken for bright pictures and the other for dark ones."""

    def __init__(self, bright: Asks) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.f, self.bright = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Linear(4, 3), bright

    def forward(self, x: Tensor) -> Tensor:
        return 4 * self.f((self.a(x) if self.bright(x) else 3 * self.b(x)).relu().mean((2, 3)))


BRIGHT: dict[str, Asks] = {
    "a number": lambda x: x.mean() > 0,
    "a mask": lambda x: x[x > 0].numel() > x[x < 0].numel(),
    "masked_select": lambda x: len(x.masked_select(x > 0)) > x.numel() / 2,
    "equal": lambda x: not torch.equal(x.clamp(max=2.5), x),
    "allclose": lambda x: not torch.allclose(x, x.clamp(max=2.5)),
    "nonzero": lambda x: len((x > 0).nonzero()) > x.numel() / 2,
    "numpy": lambda x: x.detach().numpy().mean() > 0,
    "tolist": lambda x: np.mean(x.tolist()) > 0,
}


@pytest.fixture
def pictures() -> Tensor:
    noise = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(1))
    return noise + torch.tensor([0.5, -1.0])[:, None, None, None]


@pytest.mark.parametrize("bright", BRIGHT)
def test_however_values_are_read(bright: str, pictures: Tensor) -> None:
    network = Path(BRIGHT[bright])
    together = explain(network, pictures, 0, method="saliency").maps
    alone = [explain(network, one[None], 0, method="saliency").maps for one in pictures]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


def test_a_mask_that_hangs_on_no_picture_is_no_such_path() -> None:
    class Chosen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            some = torch.arange(4) > 1
            return x[:, :, some].mean((2, 3)) + x.flatten(2)[:, :, torch.tensor([0, 2])].mean(2)

    assert not trace(Chosen(), torch.randn(1, 3, 4, 4)).hangs_on_values


def test_a_function_is_asked_about_each_picture_as_a_class_is(pictures: Tensor) -> None:
    network = Path(BRIGHT["a number"])
    seen: list[tuple[int, ...]] = []

    def first(logits: Tensor) -> Tensor:
        seen.append(tuple(logits.shape))
        return logits[:, 0]

    by_class = explain(network, pictures, 0, method="saliency").maps
    np.testing.assert_allclose(explain(network, pictures, first, method="saliency").maps, by_class, atol=1e-6)
    assert set(seen) == {(2, 3)}  # it is given the logits of all pictures
    check_method("saliency", network, pictures)


def test_the_curves_of_the_badge_are_the_mean_of_the_single_ones(pictures: Tensor) -> None:
    network = Path(BRIGHT["a number"])
    curves = []
    for given in (pictures, pictures[:1], pictures[1:]):
        faithful = sanity_check(network, given, 0, method="saliency").faithfulness
        assert faithful is not None
        curves.append(faithful.map.deletion)
    np.testing.assert_allclose(curves[0], np.mean(curves[1:], axis=0), atol=1e-6)
