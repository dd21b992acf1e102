"""Every layer of our own learns on a GPU as on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from convlens.explanation.preparation import all_digits
from convlens.layers import BiasNorm2d, LocalResponseNorm, WhiteningConv2d
from convlens.zoo import create


@pytest.fixture(autouse=True)
def _all_digits() -> Iterator[None]:
    """Convolutions in float32 as it is, not in TF32."""
    with all_digits():
        yield


@pytest.mark.parametrize(
    "layer", [BiasNorm2d(6), LocalResponseNorm(), WhiteningConv2d(6, 2)], ids=lambda layer: type(layer).__name__
)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_buffers_are_those_of_the_cpu(layer, training):
    torch.manual_seed(0)
    images = torch.randn(8, 6, 9, 9)
    answers = []
    for device in ("cpu", "cuda"):
        there = copy.deepcopy(layer).to(device).train(training)
        seen = images.to(device, copy=True).requires_grad_()
        outputs = there(seen)
        outputs.square().sum().backward()
        gradients = [seen.grad, *(p.grad for p in there.parameters() if p.requires_grad)]
        answers.append([outputs, *gradients, *there.buffers()])
    for here, there in zip(*answers, strict=True):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["sprint_cifar", "sprint_cifar_deep", "lenet5", "mobilenet_v3_small", "googlenet"])
def test_a_step_on_a_gpu_moves_every_weight(name):
    torch.manual_seed(0)
    network = create(name, num_classes=10).cuda().train()
    size = network.architecture.image_size
    images, labels = torch.randn(8, 3, *size, device="cuda"), torch.arange(8, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        loss = nn.functional.cross_entropy(network(images).float(), labels)
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters() if p.requires_grad)
