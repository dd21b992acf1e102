"""Pictures and the maps over them: as one SVG, and as a page that says how far each map can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlens.explanation.sanity import PARTS
from convlens.pictures import png_bytes
from convlens.reports.axes import Axes, drawing, label
from convlens.reports.document import document
from convlens.reports.embedding import embedded
from convlens.reports.figures import likelihood
from convlens.reports.markup import Markup, element, section

TILE, GAP, TEXT = 192, 12, 34  # px of the SVG
SHARES = [0.0, 0.25, 0.5, 0.75, 1.0]


@dataclass(frozen=True)
class Picture:
    """A map laid over its picture, uint8 (H, W, 3); `sanity` is a SanityCheck as a dict, None where none was made."""

    title: str
    pixels: np.ndarray
    sign: str
    sanity: dict[str, Any] | None


@dataclass(frozen=True)
class MapFigure:
    """One picture, uint8 (H, W) or (H, W, 3), with its maps, all of the same size."""

    name: str
    pixels: np.ndarray
    target: str
    probability: float
    maps: tuple[Picture, ...]


def maps_svg(figures: Sequence[MapFigure]) -> Markup:
    """A row for each picture: the picture, then its maps."""
    columns = 1 + max(len(figure.maps) for figure in figures)
    width, height = columns * (TILE + GAP) + GAP, len(figures) * (TILE + TEXT + GAP) + GAP
    rows = [_row(figure, GAP + row * (TILE + TEXT + GAP)) for row, figure in enumerate(figures)]
    title = ", ".join(f"{figure.name}: {figure.target}" for figure in figures)
    style = ".maps { font: 12px system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; background: #fff }"
    return element(
        "svg", element("title", title), element("style", Markup(style)), rows,
        class_="maps", viewBox=f"0 0 {width} {height}", width=width, height=height, role="img",
        xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def _row(figure: MapFigure, top: int) -> list[Markup]:
    said = f"{figure.target} {likelihood(figure.probability)}"
    tiles = [_tile(figure.pixels, GAP, top, figure.name, said)]
    for column, one in enumerate(figure.maps, 1):
        badge = f"sanity check {one.sanity['badge']}" if one.sanity else ""
        tiles.append(_tile(one.pixels, GAP + column * (TILE + GAP), top, one.title, badge))
    return tiles


def _tile(pixels: np.ndarray, left: int, top: int, name: str, below: str) -> Markup:
    """The picture keeps its shape within the tile; all tiles of a row have the same, so that they can be compared."""
    middle, ground = left + TILE / 2, top + TILE
    coarse = "image-rendering: pixelated" if max(pixels.shape[:2]) < TILE else None
    address = embedded(png_bytes(pixels))
    image = element("image", x=left, y=top, width=TILE, height=TILE, href=address, style=coarse)
    words = [label(middle, ground + 14, name, kind="name"), label(middle, ground + 29, below)] if below else [
        label(middle, ground + 14, name, kind="name")
    ]  # fmt: skip
    return element("g", image, words)


def maps_page(name: str, figures: Sequence[MapFigure], refused: Sequence[str]) -> str:
    """A section for each picture, then one for each method with its sanity check and curves."""
    lead = "Each map over its picture, drawn in grey. Every map has a scale of its own."
    head = element(
        "header", element("p", "convlens explanation", class_="eyebrow"), element("h1", name),
        element("p", lead, class_="lead"),
    )  # fmt: skip
    sections = [head, *(_figure_section(figure, place) for place, figure in enumerate(figures))]
    checked = [one for one in figures[0].maps if one.sanity]
    if checked:
        sections.append(_checks_section(checked))
    if refused:
        rows = element("ul", [element("li", reason) for reason in refused], class_="findings")
        sections.append(section("Methods that are not defined here", rows, id_="refused"))
    return document(f"{name} · convlens explanation", sections)


def _figure_section(figure: MapFigure, place: int) -> Markup:
    tiles = [_card(figure.pixels, figure.name, None, f"the picture {figure.name}")]
    tiles += [
        _card(one.pixels, one.title, one.sanity, f"{one.title} of {figure.target}: {one.sign}") for one in figure.maps
    ]
    said = f"Explained: {figure.target}, {likelihood(figure.probability)}"
    return section(figure.name, element("div", tiles, class_="maps-row"), id_=f"picture-{place}", lead=said)


def _card(pixels: np.ndarray, title: str, sanity: dict[str, Any] | None, alternative: str) -> Markup:
    badge = element("span", sanity["badge"], class_=f"badge {sanity['badge']}") if sanity else None
    image = element("img", src=embedded(png_bytes(pixels)), alt=alternative)
    return element("figure", image, element("figcaption", element("b", title), " ", badge))


def _checks_section(checked: Sequence[Picture]) -> Markup:
    lead = (
        "What must hold before a map is believed: with other weights it is another map (Adebayo et al. 2018); what it "
        "marks matters more than wherever it is moved at random (Petsiuk et al. 2018); noise that no eye sees leaves "
        "it as it is. None of this proves that a map is right."
    )
    return section("Sanity checks", [_check(one) for one in checked], id_="sanity", lead=lead)


def _check(one: Picture) -> Markup:
    sanity = one.sanity or {}
    badge = element("span", sanity["badge"], class_=f"badge {sanity['badge']}")
    parts = [sanity[name] for name in PARTS if sanity.get(name)]
    lines = [
        element("li", element("span", "passed" if part["passed"] else "failed",
                              class_=f"badge {'passed' if part['passed'] else 'failed'}"), " ", part["reason"])
        for part in parts
    ]  # fmt: skip
    if sanity.get("unasked"):
        lines.append(element("li", element("span", "not asked", class_="badge"), " ", sanity["unasked"]))
    curves = _curves(sanity["faithfulness"]) if sanity.get("faithfulness") else None
    reading = element("p", f"Read it as: {one.sign}.", class_="quiet")
    return element(
        "div",
        element("h3", one.title, " ", badge),
        reading,
        element("ul", lines, class_="findings"),
        curves,
        class_="check",
    )


def _curves(found: dict[str, Any]) -> Markup:
    """Deletion and insertion side by side: the map, itself moved at random, a blob in the centre."""
    charts = []
    for kind, meaning in (("deletion", "should fall soon"), ("insertion", "should rise soon")):
        axes = Axes([0.0, 0.5, 1.0], SHARES, (0.0, 1.0))
        frame = axes.frame(
            "share of the pixels", x_text=lambda share: f"{100 * share:g} %", y_text=lambda share: f"{100 * share:g} %"
        )
        lines = [
            _line(axes, found[who][kind], class_)
            for who, class_ in (("centre", "train dotted"), ("random", "train"), ("map", "validation"))
        ]
        spoken = ", ".join(f"{who} {found[who][f'{kind}_area']:.2f}" for who in ("map", "random", "centre"))
        caption = element(
            "figcaption", element("b", kind.capitalize()), element("span", meaning),
            element("span", "map", class_="key validation"), element("span", "moved at random", class_="key train"),
            element("span", "blob in the centre, dotted", class_="quiet"),
        )  # fmt: skip
        charts.append(element("figure", caption, drawing(f"{kind}, areas: {spoken}", frame, lines), class_="chart"))
    return element("div", charts, class_="charts two")


def _line(axes: Axes, shares: Sequence[float], class_: str) -> Markup:
    places = [place / (len(shares) - 1) for place in range(len(shares))]
    path = "M" + "L".join(f"{axes.x(x):g},{axes.y(y):g}" for x, y in zip(places, shares, strict=True))
    return element("g", element("path", d=path), class_=f"line {class_}")
