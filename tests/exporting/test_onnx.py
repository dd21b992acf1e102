"""A network as ONNX: what ONNX Runtime computes is what torch computes, at any batch."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from convlens.errors import ExportError
from convlens.exporting import INPUT, onnx_bytes


class Branching(nn.Module):
    """Its path depends on values: nothing that a graph can express."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_onnx_runtime_gives_torchs_logits_at_any_batch(batch: int) -> None:
    network = small().eval()
    session = onnxruntime.InferenceSession(onnx_bytes(network, (3, 8, 8)))
    images = torch.rand(batch, 3, 8, 8)
    found = session.run(None, {INPUT: images.numpy()})[0]
    np.testing.assert_allclose(found, network(images).detach().numpy(), atol=1e-6)


def test_the_network_stays_as_it_was() -> None:
    network = small().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    onnx_bytes(network, (3, 8, 8))
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_what_is_told_stands_in_the_file() -> None:
    session = onnxruntime.InferenceSession(onnx_bytes(small(), (3, 8, 8), metadata={"classes": '["a", "b"]'}))
    assert session.get_modelmeta().custom_metadata_map == {"classes": '["a", "b"]'}


def test_a_network_whose_path_depends_on_values_is_refused_in_one_line() -> None:
    with pytest.raises(ExportError, match="Branching does not go into ONNX") as found:
        onnx_bytes(Branching(), (3, 8, 8))
    assert "\n" not in str(found.value)
