"""The maps themselves: equal to captum's, and to what their equations say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.explanation import explain

LAYERS = {
    "residual": ["stem", "stem.0", "stem.1", "stages.0", "stages.0.conv", "stages.2"],
    "plain": ["0", "2", "3", "4"],
}
CASES = [(network, layer) for network, layers in LAYERS.items() for layer in layers]


@pytest.mark.parametrize(("network", "layer"), CASES)
def test_grad_cam_equals_captum(network: str, layer: str, images: Tensor, request: pytest.FixtureRequest) -> None:
    from captum.attr import LayerGradCam

    model = request.getfixturevalue(network)
    theirs = LayerGradCam(model, model.get_submodule(layer)).attribute(images, [0, 3, 4], relu_attributions=True)
    theirs = F.interpolate(theirs.detach(), images.shape[2:], mode="bilinear", align_corners=False)[:, 0].numpy()
    ours = explain(model, images, [0, 3, 4], method="grad_cam", layer=layer).maps
    assert theirs.max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * theirs.max())


@pytest.mark.parametrize("network", ["residual", "plain", "mlp"])
def test_saliency_equals_captum(network: str, images: Tensor, request: pytest.FixtureRequest) -> None:
    from captum.attr import Saliency

    model = request.getfixturevalue(network)
    theirs = Saliency(model).attribute(images.clone().requires_grad_(), [0, 3, 4]).detach().amax(1).numpy()
    ours = explain(model, images, [0, 3, 4], method="saliency").maps
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * theirs.max())


def test_grad_cam_of_a_linear_head_is_cam() -> None:
    """Where a mean and a linear layer follow, the weights are those of the class over the area (section 3.1, proof)."""
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 2)
    model = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    image = torch.randn(1, 1, 8, 8)
    cam = F.relu(torch.einsum("k,nkhw->nhw", linear.weight[1] / 64, conv(image))).detach().numpy()
    np.testing.assert_allclose(explain(model, image, 1, layer="0").maps, cam, atol=1e-7)


def test_an_in_place_gate_above_the_layer_does_not_reach_into_its_feature_maps(images: Tensor) -> None:
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear]
    in_place = explain(nn.Sequential(conv, nn.ReLU(inplace=True), *tail), images, 1, layer="0").maps
    apart = explain(nn.Sequential(conv, nn.ReLU(), *tail), images, 1, layer="0").maps
    np.testing.assert_array_equal(in_place, apart)


def test_a_network_may_begin_with_an_in_place_gate(images: Tensor) -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(3 * 32 * 24, 2))
    before = images.clone()
    assert explain(model, images, 0, method="saliency").maps.any()
    assert torch.equal(images, before)


def test_a_reused_module_is_taken_at_its_last_run(images: Tensor) -> None:
    class Reusing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(4)
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
            self.act, self.last_act = nn.ReLU(), nn.ReLU()
            self.linear = nn.Linear(4, 2)
            self.reuse = True

        def forward(self, x: Tensor) -> Tensor:
            x = self.second(self.act(self.first(x)))
            x = self.act(x) if self.reuse else self.last_act(x)
            return self.linear(x.mean((2, 3)))

    model = Reusing()
    reused = explain(model, images, 0, layer="act").maps
    model.reuse = False
    np.testing.assert_array_equal(reused, explain(model, images, 0, layer="last_act").maps)
    assert reused.any()


def test_no_graph_is_built_below_the_layer(residual: nn.Module, images: Tensor) -> None:
    wants = {}
    for name in ("stages.0", "stages.2", "head"):
        residual.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, name=name: wants.__setitem__(name, output.requires_grad)
        )
    explain(residual, images, layer="stages.1")
    assert wants == {"stages.0": False, "stages.2": True, "head": True}
