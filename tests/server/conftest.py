"""A server on the trained run, started once; pictures to send; raw sockets for clients that misbehave."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

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


@pytest.fixture
def distinct() -> Iterator[bytes]:
    """Pictures of noise without end, each another."""
    draws = np.random.default_rng(0)
    return (png_of(draws.integers(0, 256, (28, 28), dtype=np.uint8)) for _ in iter(int, 1))


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def answer_on(connection: socket.socket) -> bytes:
    """All that comes until the server closes; it closes the hard way where something is left unread."""
    found = b""
    with suppress(ConnectionResetError):
        while data := connection.recv(65536):
            found += data
    return found
