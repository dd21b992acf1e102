"""What every network of the zoo must obey, over the whole registry.

The networks are built for 32 px (thin where the family has a width), so that the smallest of a family takes a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

import convlens.zoo as zoo
from convlens.errors import NetworkError

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def thin(name: str, **arguments: Any) -> zoo.Network:
    """The network for 32 px and 10 classes, a quarter as wide where its family allows."""
    if "width" in zoo.entry(name).options:
        arguments.setdefault("width", 0.25)
    return zoo.create(name, **{"num_classes": 10, "image_size": 32, **arguments})


def pictures(network: zoo.Network, count: int = 2) -> torch.Tensor:
    height, width = network.architecture.image_size
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, network.architecture.in_channels, height, width, generator=generator)


def settled(name: str, **arguments: Any) -> zoo.Network:
    """A network in eval mode whose norms have seen pictures, as after training, so that logits have a usual size."""
    torch.manual_seed(0)
    network = thin(name, **arguments)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(pictures(network, 16))
    return network.eval()


@pytest.mark.parametrize(
    ("num_classes", "in_channels", "image_size"),
    [(10, 1, 28), (7, 4, 32), (10, 3, 64), (2, 3, (48, 80))],
)
def test_logits_have_one_column_per_class(
    name: str, num_classes: int, in_channels: int, image_size: int | tuple[int, int]
) -> None:
    with torch.device("meta"):
        network = thin(name, num_classes=num_classes, in_channels=in_channels, image_size=image_size).eval()
        height, width = network.architecture.image_size
        logits = network(torch.empty(3, in_channels, height, width))
    assert logits.shape == (3, num_classes)


def test_logits_have_one_column_per_class_at_the_paper_s_resolution(name: str) -> None:
    with torch.device("meta"):
        network = zoo.create(name).eval()
        height, width = network.architecture.image_size
        assert (height, width) == (zoo.entry(name).resolution,) * 2
        assert network(torch.empty(2, 3, height, width)).shape == (2, 1000)


@pytest.mark.computes
def test_forward_is_the_head_of_the_stages_of_the_stem(name: str) -> None:
    network = settled(name)
    images = pictures(network)
    children = [child for child, _ in network.named_children()]
    assert children in (["stages", "head"], ["stem", "stages", "head"])
    through = images
    for child in children:
        through = network.get_submodule(child)(through)
    assert torch.equal(network(images), through)


def test_the_last_feature_map_of_a_small_picture_has_two_to_eight_pixels_a_side(name: str) -> None:
    for size in (28, 32, 64):
        with torch.device("meta"):
            network = thin(name, image_size=size).eval()
            images = torch.empty(1, 3, size, size)
            features = network.stages(network.stem(images) if hasattr(network, "stem") else images)
        if features.dim() == 4 and not name.startswith("lenet"):
            assert 2 <= features.shape[-1] <= 8, (size, features.shape)


@pytest.mark.computes
def test_gradients_reach_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network = thin(name).train()
    nn.functional.cross_entropy(network(pictures(network, 8)), torch.arange(8)).backward()
    without = [
        key
        for key, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert not without


@pytest.mark.computes
def test_weights_are_decided_by_the_seed(name: str) -> None:
    first, again, other = ({}, {}, {})
    for seed, state in ((3, first), (3, again), (4, other)):
        torch.manual_seed(seed)
        state.update(thin(name).state_dict())
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_activations_are_modules_that_keep_their_input(name: str) -> None:
    assert not [key for key, module in thin(name).named_modules() if getattr(module, "inplace", False)]


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The parts of a chain, down to what is no chain."""
    for child in module.children() if isinstance(module, nn.Sequential) else ():
        yield from blocks(child)
    if not isinstance(module, nn.Sequential):
        yield module


@pytest.mark.computes
def test_bf16_is_close_at_every_block(name: str) -> None:
    """Block by block, for rounding grows without bound through fifty layers of random weights."""
    network = settled(name)
    images = pictures(network, 8)
    with torch.no_grad():
        for part in network.children():
            for block in blocks(part):
                expected = block(images)
                got = deepcopy(block).bfloat16()(tree_map(torch.Tensor.bfloat16, images))
                for ours, theirs in zip(tree_leaves(got), tree_leaves(expected), strict=True):  # one map, or a few
                    assert (ours.float() - theirs).norm() <= 0.02 * theirs.norm(), block
                images = expected


@pytest.mark.computes
def test_channels_last_gives_close_logits(name: str) -> None:
    network = settled(name)
    with torch.no_grad():
        expected = network(pictures(network))
        got = network.to(memory_format=torch.channels_last)(pictures(network).to(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@pytest.mark.computes
@pytest.mark.parametrize("width", [0.25, 0.125])
def test_every_convolution_of_a_narrow_network_has_the_same_gradients_in_nchw_and_nhwc(name: str, width: float) -> None:
    """oneDNN 6035: a 1x1 convolution of stride 2 with few channels may return wrong weight gradients in NHWC."""
    network = settled(name, **({"width": width} if "width" in zoo.entry(name).options else {}))
    seen = {str(module): (module, shape) for module, shape in inputs_of_convolutions(network)}
    for description, (convolution, shape) in seen.items():
        images = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        nchw, nhwc = (weight_gradient(convolution, images, layout) for layout in LAYOUTS)
        torch.testing.assert_close(nhwc, nchw, rtol=1e-3, atol=1e-4 * nchw.abs().max().item(), msg=description)


def inputs_of_convolutions(network: zoo.Network) -> list[tuple[nn.Conv2d, torch.Size]]:
    found: list[tuple[nn.Conv2d, torch.Size]] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: found.append((module, inputs[0].shape)))
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and module.weight.requires_grad
    ]
    with torch.no_grad():
        network(pictures(network, 4))
    for hook in hooks:
        hook.remove()
    return found


def weight_gradient(convolution: nn.Conv2d, images: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    """The gradient of the sum of squares of a convolution's output, its weights and its input in one layout."""
    convolution.to(memory_format=layout)
    output = convolution(images.to(memory_format=layout))
    (gradient,) = torch.autograd.grad(output.square().sum(), convolution.weight)
    return gradient.contiguous()


@pytest.mark.computes
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings(r"ignore:(?s).*_flat_weights:UserWarning")  # how torch's own LSTM keeps its weights
def test_torch_export_gives_the_same_logits_at_another_batch_size(name: str) -> None:
    network = settled(name)
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(network, (pictures(network),), dynamic_shapes=shapes).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(pictures(network, 5)), network(pictures(network, 5)), rtol=1e-4, atol=1e-4)


def test_an_architecture_builds_the_same_network_again(name: str) -> None:
    network = thin(name, image_size=(40, 32), in_channels=1)
    stored = network.architecture.to_dict()
    assert zoo.Architecture.from_dict(stored) == network.architecture
    with torch.device("meta"):
        again = zoo.build(zoo.Architecture.from_dict(stored))
    assert again.architecture == network.architecture
    assert {key: tensor.shape for key, tensor in again.state_dict().items()} == {
        key: tensor.shape for key, tensor in network.state_dict().items()
    }


def test_a_picture_that_is_too_small_is_refused_with_the_least_size(name: str) -> None:
    if zoo.entry(name).family in ("perceptron", "mlp", "recurrent"):
        assert thin(name, image_size=1)(torch.zeros(1, 3, 1, 1)).shape == (1, 10)
    else:
        with pytest.raises(NetworkError, match=r"needs pictures of at least \d+ x \d+ px, got 4 x 40"):
            thin(name, image_size=(4, 40))
