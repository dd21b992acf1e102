"""Explanations and latencies of a network on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.explanation import explain, occluded
from convlens.measurement import measure_latency
from convlens.zoo import create


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return create("resnet18", num_classes=10, image_size=(64, 64)).double().cuda().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("method", ["saliency", "grad_cam", "integrated_gradients", "occlusion", "score_cam"])
def test_the_map_is_that_of_the_cpu(network, images, method):
    """In float64: in float32 a ReLU or a maximum whose inputs are nearly equal may choose otherwise on each."""
    there = explain(network, images.cuda(), target=3, method=method).maps
    here = explain(network.cpu(), images, target=3, method=method).maps
    network.cuda()
    assert np.abs(there - here).max() < 1e-5 * np.abs(here).max()


def test_whole_pictures_are_covered_on_a_gpu(images, monkeypatch):
    """Many small operations take longer to launch there."""
    monkeypatch.setattr(occluded, "replayable", lambda *_: pytest.fail("only what a window changes was computed"))
    large = create("resnet50", num_classes=10).float().cuda().eval()
    maps = explain(large, torch.rand(1, 3, 224, 224), 3, method="occlusion", window=60, stride=20).maps
    assert np.isfinite(maps).all()


def test_latency_waits_for_the_gpu_and_tells_its_memory(network, images):
    latency = measure_latency(network, images.cuda(), seconds=1.0)
    assert latency.p50_ms > 0.1
    assert latency.peak_memory_bytes > 1 << 20
