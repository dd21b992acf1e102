"""A server on the trained run, started once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from convlens.server import ServeResult, running_server


@pytest.fixture(scope="session")
def served(trained_run: Path) -> Iterator[ServeResult]:
    with running_server(trained_run) as result:
        yield result


@pytest.fixture(scope="session")
def client(served: ServeResult) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


def png_of(pixels: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


@pytest.fixture(scope="session")
def digits() -> list[bytes]:
    """Eight of the bundled digits, as PNG files."""
    from sklearn.datasets import load_digits

    return [png_of((pixels * 15).astype(np.uint8)) for pixels in load_digits().images[:8]]
