"""SHA-256 of bytes and files, in hexadecimal."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_bytes(data: bytes | bytearray | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """The digest of a file of any size, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
