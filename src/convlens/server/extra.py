"""What the server needs beside the rest of convlens."""

from __future__ import annotations

from importlib.util import find_spec

from convlens.errors import MissingExtra

NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def need_extra() -> None:
    """MissingExtra where a package of the extra `serve` is not installed."""
    for module, package in NEEDED.items():
        if find_spec(module) is None:
            raise MissingExtra(package, "serve", "the server")
