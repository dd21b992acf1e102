"""Digests against published values."""

from __future__ import annotations

from pathlib import Path

from convlens.storage import sha256_bytes, sha256_file

OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4, example B.1


def test_the_digest_of_abc_is_the_standard_s(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == OF_ABC
