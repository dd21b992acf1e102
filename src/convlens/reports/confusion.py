"""Which class was taken for which: a matrix, or, for many classes, the worst pairs. A cell leads to its pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from convlens.reports.figures import count, percent, pictures
from convlens.reports.markup import Content, Markup, bar, element, section, table

MOST_CLASSES = 30  # whose cells have room for a number, and whose scores stand in one table
MOST_CELLS = 100  # classes, of which a matrix is drawn
MOST_PAIRS = 20  # listed in place of a matrix
MOST_TOLD = 2000  # that a cell opens, the most frequent first
WIDTH, LARGEST_CELL = 880, 20  # px, of a matrix without numbers
Pair = tuple[int, int]


def confusion_section(
    evaluation: dict[str, Any], classes: Sequence[str], shown: Collection[Pair], prefix: str
) -> Markup | None:
    """`shown` are the (truth, prediction) pairs that are told of further down, under the id of `pair_id`.

    What was recognised and is not among them leads to its class.
    """
    matrix = evaluation.get("confusion")
    if not matrix or len(matrix) != len(classes):
        return None
    wrong = worst_pairs(matrix)
    if len(classes) > MOST_CELLS:
        of_all = f": {MOST_PAIRS} of {len(wrong):,}" if len(wrong) > MOST_PAIRS else ""
        body, lead = pair_list(matrix, classes, shown, prefix), f"The pairs that are confused most often{of_all}."
    else:
        body = matrix_table(matrix, classes, shown, prefix, told=bool(evaluation.get("per_class")))
        lead = "Rows are the truth, columns the prediction; colour is the share of a row."
        lead += " Point at a cell for its number." if len(classes) > MOST_CLASSES else ""
    if wrong:
        t, p = wrong[0]
        lead += (
            f" Most frequent: “{classes[t]}” taken for “{classes[p]}”, {matrix[t][p]:,} of {pictures(sum(matrix[t]))}."
        )
    else:
        lead += " No picture was taken for another class."
    return section("Confusions", body, id_=f"{prefix}confusions", lead=lead)


def pair_id(pair: Pair, prefix: str) -> str:
    return f"{prefix}pair-{pair[0]}-{pair[1]}"


def class_id(number: int, prefix: str) -> str:
    return f"{prefix}class-{number}"


def pair_heading(pair: Pair, classes: Sequence[str], note: str | None = None) -> Markup:
    t, p = pair
    arrow = [element("span", " → ", class_="quiet", aria_label="taken for"), classes[p]] if t != p else None
    return element("h3", classes[t], arrow, element("span", f" · {note}", class_="quiet") if note else None)


def told_pairs(evaluation: dict[str, Any], classes: Sequence[str]) -> list[Pair]:
    """The confusions that have a cell of the matrix, or a line of the list."""
    matrix = evaluation.get("confusion") or []
    if len(matrix) != len(classes):
        return []
    return worst_pairs(matrix)[: MOST_PAIRS if len(classes) > MOST_CELLS else MOST_TOLD]


def worst_pairs(matrix: Sequence[Sequence[int]]) -> list[Pair]:
    """(truth, prediction) of all confusions, the most pictures first."""
    pairs = [(t, p) for t, row in enumerate(matrix) for p, n in enumerate(row) if t != p and n]
    return sorted(pairs, key=lambda pair: (-matrix[pair[0]][pair[1]], pair))


def matrix_table(
    matrix: Sequence[Sequence[int]], classes: Sequence[str], shown: Collection[Pair], prefix: str, *, told: bool
) -> Markup:
    """`told`: each class has a row of its own further down."""
    corner = element("th", element("span", "truth \\ prediction", class_="quiet"))
    upright = max(map(len, classes)) > 4
    head = [
        element("th", element("span", name), scope="col", class_="upright" if upright else None) for name in classes
    ]
    rows = []
    for t, row in enumerate(matrix):
        cells = [_cell((t, p), n, sum(row), classes, shown, prefix, told) for p, n in enumerate(row)]
        rows.append([element("th", classes[t], scope="row"), *cells])
    body = [element("tr", row) for row in rows]
    whole = element("table", element("thead", element("tr", corner, head)), element("tbody", body))
    if len(classes) > MOST_CLASSES:
        side = f"--side:{min(LARGEST_CELL, WIDTH // len(classes))}px"
        return element("div", whole, class_="scroll matrix tiny", style=side, tabindex="0")
    return element("div", whole, class_="scroll matrix" if len(classes) > 12 else "scroll matrix roomy", tabindex="0")


def _cell(
    pair: Pair, number: int, total: int, classes: Sequence[str], shown: Collection[Pair], prefix: str, told: bool
) -> Markup:
    t, p = pair
    kind = "right" if t == p else "wrong"
    if not number:
        return element("td", "·", class_="none") if len(classes) <= MOST_CLASSES else element("td")
    share = number / total
    # the root lets a few confusions among many pictures be seen
    strength = share if t == p else share**0.5
    words = f"{classes[t]} taken for {classes[p]}" if t != p else f"{classes[t]}, recognised"
    content: Content = count(number)
    if pair in shown:
        content = element("a", content, href=f"#{pair_id(pair, prefix)}")
    elif t == p and told:
        content = element("a", content, href=f"#{class_id(t, prefix)}")
    return element(
        "td", content, class_=f"{kind} strong" if strength > 0.55 else kind,
        style=f"--share:{100 * strength:.0f}%", title=f"{words}: {count(number)} of {count(total)} ({percent(share)})",
    )  # fmt: skip


def pair_list(matrix: Sequence[Sequence[int]], classes: Sequence[str], shown: Collection[Pair], prefix: str) -> Markup:
    rows = []
    for pair in worst_pairs(matrix)[:MOST_PAIRS]:
        t, p = pair
        number, share = matrix[t][p], matrix[t][p] / sum(matrix[t])
        name: Content = classes[p]
        if pair in shown:
            name = element("a", name, href=f"#{pair_id(pair, prefix)}")
        rows.append([classes[t], element("td", name), count(number), [percent(share), bar(share)]])
    return table(["truth", "taken for", "pictures", "of that class"], rows, text=2)
