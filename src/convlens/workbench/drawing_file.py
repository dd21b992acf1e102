"""Where a drawing goes: asked before anything is computed."""

from __future__ import annotations

from pathlib import Path

from convlens.errors import UsageError


def drawing_file(option: str, path: str | Path | None) -> Path | None:
    """The file, if one is wanted; raises UsageError for a folder."""
    if path is None:
        return None
    path = Path(path)
    if path.is_dir():
        name = option.lstrip("-")
        raise UsageError(f"{option} came as the folder {path}; expected a file, like {path / name}.svg")
    return path
