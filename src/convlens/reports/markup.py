"""HTML as values: whatever is not `Markup` is escaped, so no class name or path can break a page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | int | float | Markup | Iterable["Content"] | None

VOID = frozenset({"br", "col", "hr", "img", "meta"})


def markup(content: Content) -> Markup:
    """Anything -> HTML: strings are escaped, None is nothing, the parts of an iterable are joined."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    if isinstance(content, str | int | float):
        return Markup(escape(str(content), quote=True))
    return Markup("".join(markup(part) for part in content))


def element(name: str, /, *content: Content, **attributes: str | int | float | None) -> Markup:
    """`element("td", "<b>", class_="name")` -> `<td class="name">&lt;b&gt;</td>`; an attribute of None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{markup(content)}</{name}>")


def section(title: str, *content: Content, id_: str, lead: Content = None) -> Markup:
    """A part of the page with its heading, and a sentence below it."""
    head = [element("h2", title), element("p", lead, class_="lead") if lead else None]
    return element("section", head, content, id=id_)


def table(head: Iterable[Content], rows: Iterable[Iterable[Content]], *, kind: str = "", text: int = 1) -> Markup:
    """A table that scrolls by itself on a narrow screen; the first `text` columns are text, the rest numbers."""

    def line(cell: str, values: Iterable[Content]) -> Markup:
        cells = (
            value if isinstance(value, Markup) and value.startswith(f"<{cell}") else
            element(cell, value, class_=None if place < text else "number")
            for place, value in enumerate(values)
        )  # fmt: skip
        return element("tr", cells)

    body = element("table", element("thead", line("th", head)), element("tbody", (line("td", row) for row in rows)))
    return element("div", body, class_=f"scroll {kind}".strip(), tabindex="0")


def bar(share: float) -> Markup:
    """A thin bar for a share 0..1, beside a number in a table."""
    width = min(max(share, 0.0), 1.0)
    return element("span", element("span", style=f"width:{100 * width:.1f}%"), class_="bar", aria_hidden="true")
