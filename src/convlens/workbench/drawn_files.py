"""What `explain` draws, as files: PNG, SVG, GIF, arrays, and one page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convlens.explanation import SanityCheck
from convlens.pictures import gif_bytes, png_bytes
from convlens.reports import MapFigure, maps_page, maps_svg
from convlens.storage import guard, write_bytes, write_json, write_text

PAGE = "explained.html"


@dataclass(frozen=True)
class Sheet:
    """A picture and its caption; with `frames` an animation of them, with `figures` an SVG beside it."""

    name: str
    picture: Image.Image
    caption: str
    method: str
    checks: tuple[SanityCheck, ...] = ()
    figures: tuple[MapFigure, ...] = ()
    frames: tuple[Image.Image, ...] = field(default=(), repr=False)


def slug(name: str) -> str:
    """A file's name without what no file system likes."""
    return re.sub(r"[\W_]+", "-", Path(name).stem).strip("-").lower() or "picture"


def write_sheets(
    folder: Path, sheets: Sequence[Sheet], title: str = "", refused: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Pictures, their facts beside them, and a page of all maps, if there are any."""
    with guard(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files, beside = [], []
    for sheet, name in zip(sheets, unique([sheet.name for sheet in sheets]), strict=True):
        file = folder / f"{name}.{'gif' if sheet.frames else 'png'}"
        write_bytes(file, gif_bytes(sheet.frames) if sheet.frames else png_bytes(sheet.picture))
        write_json(file.with_suffix(".json"), _facts(sheet, file))
        files.append(file)
        if sheet.figures:
            write_text(file.with_suffix(".svg"), maps_svg(sheet.figures))
            beside.append(file.with_suffix(".svg"))
    figures = [figure for sheet in sheets for figure in sheet.figures]
    if figures:
        write_text(folder / PAGE, maps_page(title, figures, refused))
        beside.append(folder / PAGE)
    return (*files, *beside)


def unique(names: Sequence[str]) -> list[str]:
    """The same names, those that came before with a number behind them that no other has."""
    given: list[str] = []
    for name in names:
        numbered = (f"{name}-{number}" for number in count(2))
        given.append(name if name not in given else next(one for one in numbered if one not in (*given, *names)))
    return given


def _facts(sheet: Sheet, file: Path) -> dict[str, Any]:
    """One check gives its badge and reason; of several the caption tells."""
    facts: dict[str, Any] = {"file": file.name, "caption": sheet.caption, "method": sheet.method, "badge": None}
    if len(sheet.checks) == 1:
        return facts | {"badge": sheet.checks[0].badge, "reason": sheet.checks[0].reason}
    if sheet.checks:
        facts["caption"] += "; " + ", ".join(f"{check.method} {check.badge}" for check in sheet.checks)
    return facts


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> tuple[Path, ...]:
    files = []
    for name, array in arrays.items():
        written = io.BytesIO()
        np.save(written, array, allow_pickle=False)
        files.append(folder / f"{name}.npy")
        write_bytes(files[-1], written.getvalue())
    return tuple(files)
