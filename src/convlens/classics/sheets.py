"""Pictures of what the classics store, dream and see, as images that `save` writes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from convlens.classics.given import Pictures, as_tensor
from convlens.classics.hopfield import CRITICAL_LOAD, Load
from convlens.classics.rbm import RBM
from convlens.errors import DataError, UsageError, check_count
from convlens.pictures import colour, contact_sheet


def rows_sheet(
    rows: Mapping[str, Pictures], shape: tuple[int, int], *, title: str | None = None, tile: int = 56
) -> Image.Image:
    """Rows of pictures (N, H * W) in 0..1, each with its name below it: {"stored": ..., "recalled": ...}."""
    widths = {len(pictures) for pictures in rows.values()}
    if len(widths) != 1:
        raise UsageError(f"rows of {sorted(widths)} pictures came; expected one row or more, of as many pictures each")
    tiles = [picture for pictures in rows.values() for picture in _greys(pictures, shape)]
    columns = widths.pop()
    labels = [name if column == 0 else "" for name in rows for column in range(columns)]
    return contact_sheet(tiles, labels=labels, columns=columns, title=title, tile=tile)


def pictures_sheet(
    pictures: Pictures, shape: tuple[int, int], *, columns: int | None = None, title: str | None = None, tile: int = 56
) -> Image.Image:
    """Pictures (N, H * W) in 0..1, such as samples."""
    return contact_sheet(_greys(pictures, shape), columns=columns, title=title, tile=tile)


def filters_sheet(
    rbm: RBM, shape: tuple[int, int], *, num: int = 100, title: str | None = None, tile: int = 56
) -> Image.Image:
    """The weights of the hidden units whose weights are largest: red above 0, blue below, each scaled by its own."""
    weights = rbm.weights.detach().T.float()  # (H, V)
    largest = weights.norm(dim=1).argsort(descending=True)[: check_count("num", num)]
    scaled = weights[largest] / weights[largest].abs().amax(1, keepdim=True).clamp(min=1e-12)
    tiles = [colour(each.reshape(_checked(shape, len(each))).cpu().numpy() / 2 + 0.5, "coolwarm") for each in scaled]
    return contact_sheet(tiles, title=title, tile=tile)


def capacity_plot(curves: Mapping[str, Sequence[Load]], *, title: str | None = None) -> Image.Image:
    """Share of bits right and of patterns recalled against patterns / units, one colour for each name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, (name, loads) in enumerate(curves.items()):
        across = [each.load for each in loads]
        axes.plot(across, [each.recalled for each in loads], f"o-C{number}", label=f"{name}: patterns recalled")
        axes.plot(across, [each.bits_right for each in loads], f".--C{number}", label=f"{name}: bits right")
    axes.axvline(CRITICAL_LOAD, color="grey", linewidth=1)
    axes.annotate(f" {CRITICAL_LOAD}", (CRITICAL_LOAD, 0.02), color="grey")
    axes.set(xlabel="patterns / units", ylabel="share", ylim=(0, 1.03), title=title or "")
    axes.grid(alpha=0.3)
    axes.legend()
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return Image.open(written).convert("RGB")


def _greys(pictures: Pictures, shape: tuple[int, int]) -> list[np.ndarray]:
    given = as_tensor(pictures).detach().cpu().double()
    if given.ndim != 2 or not len(given):
        raise UsageError(f"pictures came with shape {tuple(given.shape)}; expected (N, H * W) with N of at least 1")
    if given.isnan().any():
        raise DataError("pictures hold NaN; expected numbers from 0 to 1: find out which pictures are damaged")
    greys = (255 * given.clamp(0, 1)).round().numpy().astype(np.uint8)
    return list(greys.reshape(len(greys), *_checked(shape, greys.shape[1])))


def _checked(shape: tuple[int, int], num_pixels: int) -> tuple[int, int]:
    if len(shape) != 2 or min(check_count("a side of the shape", side) for side in shape) * max(shape) != num_pixels:
        raise UsageError(f"shape came as {shape} for pictures of {num_pixels} pixels; expected (height, width)")
    return shape
