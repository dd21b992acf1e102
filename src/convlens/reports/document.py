"""The frame of every page: style within, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from convlens.reports.markup import Markup, element


def document(title: str, body: Sequence[Markup], version: str | None = None) -> str:
    """A whole HTML document; `version` is that of the convlens by which the run was written."""
    style = Markup(files("convlens.reports").joinpath("report.css").read_text(encoding="utf-8"))
    foot = element(
        "footer", f"Written by convlens{f' {version}' if version else ''}. This page loads nothing from the network."
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )  # fmt: skip
    return f"<!doctype html>\n{element('html', head, element('body', element('main', body, foot)), lang='en')}\n"
