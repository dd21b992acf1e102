"""Networks small enough to be exported in a moment, and real handwritten digits to prove them on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from convlens.exporting import Facts
from convlens.pictures import Preprocess


def small(channels: int = 3, classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3),
        nn.BatchNorm2d(4),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, classes),
    )


@pytest.fixture
def network() -> nn.Module:
    return small().eval()


@pytest.fixture
def facts() -> Facts:
    preprocess = Preprocess((8, 6), channels=3, mean=(0.1, 0.2, 0.3), std=(0.2, 0.3, 0.4))
    return Facts(("a", "bü", '"c"<&', "d", "e"), preprocess, 0.7, provenance={"run": "r", "created": None})


@pytest.fixture
def pixels() -> np.ndarray:
    """uint8 (7, 3, 8, 6): rows of handwritten digits, three of them as the channels of one picture."""
    digits = np.rint(load_digits().images[:21] * (255 / 16)).astype(np.uint8)
    return np.ascontiguousarray(digits.reshape(7, 3, 8, 8)[..., 1:7])
