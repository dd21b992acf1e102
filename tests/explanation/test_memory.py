"""How much a pass may take, on each device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from convlens.explanation import memory
from convlens.explanation.memory import BOUND, GPU_SHARE, NEAR, bound_on, pictures_at_once


def test_a_processor_stays_near_its_cache():
    here = torch.device("cpu")
    assert [bound_on(here, gradient=gradient) for gradient in (True, False)] == [BOUND, NEAR]


@pytest.mark.parametrize(("gib", "most"), [(4, BOUND), (144, (144 << 30) // GPU_SHARE)])
def test_a_gpu_takes_a_share_of_its_memory_for_gradients(monkeypatch: pytest.MonkeyPatch, gib: int, most: int):
    sizes = SimpleNamespace(total_memory=gib << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: sizes)
    assert bound_on(torch.device("cuda"), gradient=True) == most
    assert bound_on(torch.device("cuda"), gradient=False) == BOUND
    assert bound_on(torch.device("mps"), gradient=True) == BOUND


def test_as_many_pictures_go_at_once_as_the_bound_holds(monkeypatch: pytest.MonkeyPatch):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2)).eval()
    images = torch.zeros(1, 1, 8, 8)
    one = 4 * (4 * 6 * 6 + 2) + 4 * 8 * 8  # what the layers give, and the picture
    monkeypatch.setattr(memory, "bound_on", lambda device, gradient: 5 * one)
    assert pictures_at_once(network, images, gradient=True) == 5
