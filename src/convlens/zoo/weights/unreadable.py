"""What a file is that cannot be read as weights: told by how it begins, never by the words of a library."""

from __future__ import annotations

import re
import zipfile
from contextlib import suppress
from pathlib import Path

# fmt: off
BEGINNINGS = {
    b"\x89HDF":     "it is an HDF5 file, as Keras writes them",
    b"\x93NUMPY":   "it is a single array of NumPy",
    b"\x1f\x8b":    "it is compressed with gzip",
    b"version http": "it is the pointer of git-lfs to a file, which `git lfs pull` fetches",
    b"<":           "it is a page of HTML or XML",
}
INSIDE = {  # of a zip
    "constants.pkl": "it is a TorchScript archive, which is a program",
    "model.json":    "it is an archive of torch.export, which is a program",
    ".npy":          "it is an archive of NumPy, which ends in .npz",
}
INSIDE_AN_NPZ = {"data.pkl": "it is a checkpoint of torch, which ends in .pth"}
# fmt: on
UNKNOWN = "it is damaged, cut short or of another kind than its name says"
REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")


def reason_of(path: Path, error: Exception) -> str:
    """One clause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if found := REFUSED.search(str(error)):
        return f"it holds a Python object, {found[1]}, where only tensors can be loaded"
    if path.stat().st_size == 0:
        return "it is empty"
    if kind := _by_its_beginning(path):
        return kind
    if path.suffix.lower() == ".npz" and isinstance(error, TypeError | ValueError):
        return "it holds arrays that are not of numbers"
    return UNKNOWN


def _by_its_beginning(path: Path) -> str | None:
    with suppress(OSError, zipfile.BadZipFile):
        with path.open("rb") as file:
            head = file.read(16)
        for beginning, kind in BEGINNINGS.items():
            if head.startswith(beginning):
                return kind
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
            inside = INSIDE_AN_NPZ if path.suffix.lower() == ".npz" else INSIDE
            return next((kind for ending, kind in inside.items() if any(name.endswith(ending) for name in names)), None)
    return None
