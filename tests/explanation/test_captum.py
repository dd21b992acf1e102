"""Every method that captum has too gives what captum gives, on networks of the zoo."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum import attr
from torch import Tensor, nn

from convlens import zoo
from convlens.explanation import explain

CLASSES = [1, 4]
PLAIN = ("resnet18", "vgg11", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small")
RELU = ("resnet18", "vgg11", "squeezenet1_1")
STEPS = 7


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.fixture(scope="module")
def network() -> Callable[[str], nn.Module]:
    made: dict[str, nn.Module] = {}

    def of(name: str) -> nn.Module:
        if name not in made:
            torch.manual_seed(0)
            made[name] = zoo.create(name, num_classes=6, image_size=64).double().eval()
            if name.startswith("squeezenet"):  # a ReLU ends it: every class must have something to say
                list(made[name].parameters())[-1].data.fill_(2.0)
        return made[name]

    return of


METHODS: dict[str, Any] = {
    "saliency": lambda model, x: attr.Saliency(model).attribute(x, CLASSES, abs=False),
    "gradient_input": lambda model, x: attr.InputXGradient(model).attribute(x, CLASSES),
    "integrated_gradients": lambda model, x: attr.IntegratedGradients(model).attribute(
        x, target=CLASSES, n_steps=STEPS
    ),
    "guided": lambda model, x: attr.GuidedBackprop(model).attribute(x, CLASSES),
    "deconv": lambda model, x: attr.Deconvolution(model).attribute(x, CLASSES),
    "occlusion": lambda model, x: attr.Occlusion(model).attribute(x, (3, 23, 23), (3, 16, 16), target=CLASSES),
}
OPTIONS = {"integrated_gradients": {"steps": STEPS}, "occlusion": {"window": 23, "stride": 16}}
LONG = [("integrated_gradients", "resnet18"), ("occlusion", "resnet18"), ("integrated_gradients", "vgg11")]
CASES = [
    pytest.param(method, name, marks=[pytest.mark.slow] * ((method, name) in LONG))
    for method in METHODS
    for name in (RELU if method in ("guided", "deconv") else PLAIN)
]


@pytest.mark.parametrize(("method", "name"), CASES)
def test_equal_to_captum(method: str, name: str, network: Callable[[str], nn.Module], pictures: Tensor) -> None:
    model = network(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's about its hooks
        theirs = METHODS[method](model, pictures.clone().requires_grad_()).detach().numpy()
    found = explain(model, pictures, CLASSES, method=method, **OPTIONS.get(method, {}))
    ours = found.maps[:, None] if found.attributions is None else found.attributions
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(np.broadcast_to(ours, theirs.shape), theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_guided_grad_cam_equals_captum(network: Callable[[str], nn.Module], pictures: Tensor) -> None:
    model = network("resnet18")
    layer = explain(model, pictures, CLASSES, method="guided_grad_cam").layer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        their = attr.GuidedGradCam(model, model.get_submodule(layer))
        theirs = (
            their.attribute(pictures.clone().requires_grad_(), CLASSES, interpolate_mode="bilinear").detach().numpy()
        )
    ours = explain(model, pictures, CLASSES, method="guided_grad_cam").attributions
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
