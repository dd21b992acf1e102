"""Files of TensorFlow and others with norms folded into the convolutions, and what such a file tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import convlens.zoo as zoo
from convlens.errors import NetworkError
from convlens.zoo.weights.layout import units_of
from convlens.zoo.weights.reading import COUNTER
from tests.zoo.weight_files import State, small_mobilenet, with_other_tensors, write


@pytest.fixture
def trained() -> zoo.Network:
    return with_other_tensors(small_mobilenet())


def folded(network: zoo.Network) -> dict[str, torch.Tensor]:
    """One weight and one bias a layer, each norm folded in, and TensorFlow's axes."""
    tensors: dict[str, torch.Tensor] = {}
    for number, unit in enumerate(units_of(network)):
        weight, bias = unit.layer.weight, unit.layer.bias
        if unit.norm is not None:
            scale = unit.norm.weight / (unit.norm.running_var + unit.norm.eps).sqrt()
            weight = weight * scale[:, None, None, None]
            bias = unit.norm.bias - unit.norm.running_mean * scale
        if weight.dim() == 2:
            weight = weight[:, :, None, None]
        depthwise = weight.shape[1] == 1 and unit.norm is not None
        turned = weight.permute(1, 2, 3, 0) if depthwise else weight.permute(0, 2, 3, 1)
        tensors |= {f"{number:02d}_conv_w": turned.detach(), f"{number:02d}_conv_b": bias.detach()}
    return tensors


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_a_folded_file_of_tensorflow_gives_the_same_logits(tmp_path: Path, trained: zoo.Network, padding: str) -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    original = small_mobilenet(padding=padding)
    original.load_state_dict(trained.state_dict())
    file = write(tmp_path / "folded.npz", folded(original.eval()))
    network = small_mobilenet(weights=file, padding=padding).eval()
    with torch.no_grad():
        expected = original(images)
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert small_mobilenet(num_classes=7, weights=file).weights_record.left_out == (
        "head.linear.weight",
        "head.linear.bias",
    )


@pytest.mark.parametrize("axes", ["ours", "tensorflow"])
def test_a_folded_bias_comes_in_place_of_a_convolution_s_own(tmp_path: Path, axes: str) -> None:
    """VGG's convolutions have biases, which a norm behind them cancels."""
    torch.manual_seed(0)
    original = zoo.create("vgg11_bn", num_classes=4, image_size=32)
    for module in original.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    tensors: State = {}
    for number, unit in enumerate(units_of(original.eval())):
        weight, bias = unit.layer.weight, unit.layer.bias
        if unit.norm is not None:
            scale = unit.norm.weight / (unit.norm.running_var + unit.norm.eps).sqrt()
            weight = weight * scale[:, None, None, None]
            bias = unit.norm.bias + (bias - unit.norm.running_mean) * scale
        if axes == "tensorflow" and weight.dim() == 4:
            weight = weight.permute(0, 2, 3, 1)
        tensors |= {f"{number}.conv_w": weight.detach(), f"{number}.conv_b": bias.detach()}
    file = write(tmp_path / "folded.npz", tensors)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        network = zoo.create("vgg11_bn", num_classes=4, image_size=32, weights=file).eval()
        torch.testing.assert_close(network(images), original(images), rtol=1e-4, atol=1e-5)


def test_a_folded_tensor_that_does_not_fit_is_called_by_its_name_in_the_file(
    tmp_path: Path, trained: zoo.Network
) -> None:
    tensors = folded(trained.eval())
    tensors["03_conv_b"] = tensors["03_conv_b"][:3]
    with pytest.raises(NetworkError, match=r"'03_conv_b' has shape \(3,\)"):
        small_mobilenet(weights=write(tmp_path / "folded.npz", tensors))


def test_a_file_tells_its_classes_width_side_and_padding(tmp_path: Path) -> None:
    thin = zoo.create("mobilenet_v1", num_classes=11, width=0.5)
    told = zoo.describe_weights("mobilenet_v1", write(tmp_path / "mobilenet_v1_0.5_160.npz", folded(thin)))
    assert (told.num_classes, told.image_size, told.options) == (11, 160, {"padding": "same", "width": 0.5})
    told = zoo.describe_weights("mobilenet_v1", write(tmp_path / "v1.pth", thin.state_dict()))
    assert (told.num_classes, told.image_size, told.options) == (11, None, {"width": 0.5})
    told = zoo.describe_weights("mobilenet_v1", tmp_path / "v1.pth", {"width": 0.25})
    assert told.options == {"width": 0.25}


def in_tensorflow_s_axes(network: zoo.Network, axes: str) -> State:
    """Every norm by itself, beta first as TensorFlow sorts them, and what a flattened map gives in its order."""
    tensors: State = {}
    channels = 0
    for number, unit in enumerate(units_of(network)):
        weight = unit.layer.weight.detach()
        if weight.dim() == 2:
            positions = weight.shape[1] // channels if channels else 1
            weight = weight.unflatten(1, (-1, positions)).transpose(1, 2).flatten(1)
            weight, channels = (weight.t() if axes == "HWIO" else weight), 0
        else:
            channels = len(weight)
            depthwise = weight.shape[1] == 1 < unit.layer.groups
            if axes == "HWIO":
                weight = weight.permute(2, 3, 0, 1) if depthwise else weight.permute(2, 3, 1, 0)
            else:
                weight = weight.permute(1, 2, 3, 0) if depthwise else weight.permute(0, 2, 3, 1)
        tensors[f"layer_{number}/kernel"] = weight
        if unit.layer.bias is not None:
            tensors[f"layer_{number}/bias"] = unit.layer.bias.detach()
        if unit.norm is not None:
            norm = {"beta": unit.norm.bias, "gamma": unit.norm.weight}
            norm |= {"moving_mean": unit.norm.running_mean, "moving_variance": unit.norm.running_var}
            tensors |= {f"norm_{number}/{name}": tensor.detach() for name, tensor in norm.items()}
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


@pytest.mark.parametrize("axes", ["OHWI", "HWIO"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lenet5", {"in_channels": 1}),
        ("lenet5", {"in_channels": 3}),
        ("vgg11", {"image_size": 32}),
        ("resnet20", {}),
        ("mobilenet_v1", {"width": 0.25, "image_size": 64}),
        ("mobilenet_v2", {"width": 0.25, "image_size": 64}),
    ],
)
def test_a_file_in_tensorflow_s_axes_gives_the_same_weights(
    tmp_path: Path, axes: str, name: str, options: dict[str, Any]
) -> None:
    original = with_other_tensors(zoo.create(name, num_classes=5, **options)).eval()
    file = write(tmp_path / "file.npz", in_tensorflow_s_axes(original, axes))
    told = zoo.describe_weights(name, file)
    assert (told.num_classes, told.in_channels) == (5, original.architecture.in_channels)
    loaded = zoo.create(name, num_classes=5, weights=file, **options)
    for expected, (key, found) in zip(original.state_dict().values(), loaded.state_dict().items(), strict=True):
        assert key.endswith(COUNTER) or torch.equal(found, expected), key
