"""Skipped where there is no GPU. On a machine that has one: `pytest tests/cuda`."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
