"""Where drawings go: asked before anything is computed."""

from __future__ import annotations

from pathlib import Path

from convlens.errors import UsageError
from convlens.storage import check_writable

OF_FILES = (".svg", ".png", ".gif", ".jpg", ".jpeg", ".webp", ".pdf", ".html", ".npy")


def drawing_file(option: str, path: str | Path | None) -> Path | None:
    """The file, if one is wanted; raises UsageError for a folder, and for another ending than that of an SVG,
    StorageError where none can be written.
    """
    if path is None:
        return None
    path = Path(path)
    if path.is_dir():
        name = option.lstrip("-")
        raise UsageError(f"{option} came as the folder {path}; expected a file, like {path / name}.svg")
    if path.suffix.lower() != ".svg":
        like = path.with_suffix(".svg")
        raise UsageError(f"{option} came as {path}; an SVG is drawn, so expected a name like {like}")
    check_writable(path, option=option)
    return path


def drawing_folder(option: str, path: str | Path) -> Path:
    """The folder; raises UsageError for an empty one, and for the name of a picture, which a folder would get."""
    if not str(path).strip():
        raise UsageError(f"{option} came empty; expected a folder ('.' is the one where you are)")
    path = Path(path)
    if path.suffix.lower() in OF_FILES and not path.is_dir():
        raise UsageError(f"{option} came as {path}; several files are drawn, so expected a folder, like {path.stem}")
    return path
