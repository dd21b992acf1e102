"""Data that the classics' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks as small as these are slower on two, and many times so where something else runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Tensor:
    """(1797, 64) in 0..1: scikit-learn's handwritten digits."""
    return torch.from_numpy(load_digits().data).float() / 16


@pytest.fixture(scope="session")
def ten_digits(digits: Tensor) -> Tensor:
    """(10, 64) of 0 and 1: the first of each digit."""
    labels = torch.from_numpy(load_digits().target)
    return torch.stack([(digits[labels == digit][0] > 0.5).double() for digit in range(10)])


@pytest.fixture
def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)
