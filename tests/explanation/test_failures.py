"""What goes wrong in a network, in a target function or in a method is told in one line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError
from convlens.explanation import exciting, explain, feature_maps, maximise


class Failing(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.layer, self.error = nn.Conv2d(3, 4, 3), error

    def forward(self, pictures: Tensor) -> Tensor:
        raise self.error


class TwoInputs(nn.Module):
    def forward(self, pictures: Tensor, more: Tensor) -> Tensor:
        return pictures.mean((2, 3)) + more


def asked_of(network: nn.Module, images: Tensor) -> list[Callable[[], object]]:
    return [
        *(lambda method=method: explain(network, images, method=method) for method in ("saliency", "occlusion")),
        lambda: feature_maps(network, images, "layer"),
        lambda: exciting(network, [images], "layer", 0),
        lambda: maximise(network, 0, images.shape[1:], steps=1),
    ]


def test_whatever_a_network_raises_is_told_as_an_error_of_ours(images: Tensor) -> None:
    for error in (KeyError("planned"), AssertionError("planned"), ValueError("planned")):
        for ask in asked_of(Failing(error), images):
            with pytest.raises(ExplanationError, match=r"Failing failed on pictures \(\d, 3, 32, 24\).*planned"):
                ask()
    with pytest.raises(ExplanationError, match=r"TypeError: .*'more'; check .* that it takes them alone"):
        explain(TwoInputs(), images, method="saliency")


@pytest.mark.parametrize("method", ["saliency", "occlusion", "grad_cam", "score_cam"])
def test_an_error_in_a_target_function_names_the_function(method: str, residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"the target function failed on logits \(3, 5\): IndexError"):
        explain(residual, images, lambda logits: logits[:, 7], method=method)


def test_a_layer_without_feature_maps_is_told_what_to_name(mlp: nn.Module, images: Tensor) -> None:
    for ask in (lambda: feature_maps(mlp, images, "1"), lambda: exciting(mlp, [images], "1", 0)):
        with pytest.raises(ExplanationError, match=r"name a convolution or a block of them \(of the maps over"):
            ask()


def test_a_picture_of_one_pixel_is_occluded_as_a_whole() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert explain(network, torch.ones(1, 3, 1, 1), 1, method="occlusion").maps.any()
