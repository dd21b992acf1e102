"""What is looked at: the maps that `explain` drew, and the pictures that the network got wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convlens.reports.confusion import MOST_CELLS, Pair, pair_heading, pair_id
from convlens.reports.embedding import data_address, data_pieces
from convlens.reports.figures import percent, pictures
from convlens.reports.markup import Markup, element, section

MOST_ERRORS = 360  # on a page, and as many that were recognised
Groups = dict[Pair, list[dict[str, Any]]]  # entries of an evaluation by (truth, prediction)
BADGES = {badge: f"sanity check {badge}" for badge in ("passed", "failed", "incomplete")}


def explanations_section(explanations: Sequence[dict[str, Any]], run: Path) -> Markup | None:
    maps_first = sorted(explanations, key=lambda row: row.get("badge") is None)
    figures = [figure for row in maps_first if (figure := _explanation(row, run))]
    if not figures:
        return None
    lead = (
        "Where the network looked. The sanity check draws its weights at random and asks whether the maps change "
        "(Adebayo et al. 2018): a map that stays alike shows the picture, not the network."
    )
    return section("Explanations", element("div", figures, class_="figures"), id_="explanations", lead=lead)


def _explanation(row: dict[str, Any], run: Path) -> Markup | None:
    pieces = data_pieces(Path(row["file"]), run)
    if not pieces:
        return None
    method = method_title(str(row.get("method", "")))
    badge = row.get("badge")
    mark = element("span", BADGES.get(badge, str(badge)), class_=f"badge {badge}") if badge else None
    caption = element("figcaption", element("b", method), " ", mark, element("p", row.get("caption")), _reason(row))
    alternative = f"{method}: {row.get('caption')}"
    first, *others = pieces
    images = [element("img", src=first, alt=alternative, loading="lazy")]
    images += [element("img", src=one, alt="", loading="lazy") for one in others]
    return element("figure", element("div", images, class_="sheet"), caption, class_="long" if others else None)


def _reason(row: dict[str, Any]) -> Markup | None:
    return element("p", f"Sanity check: {row['reason']}.") if row.get("reason") else None


def method_title(name: str) -> str:
    """grad_cam -> Grad-CAM, feature_maps -> Feature maps."""
    from convlens.explanation import METHODS

    return METHODS[name].title if name in METHODS else name.replace("_", " ").capitalize()


def shown_errors(evaluation: dict[str, Any], classes: Sequence[str]) -> Groups:
    """The most confident errors by (truth, prediction), the pair with most pictures first.

    The surest of every pair are among them, of the pairs with most pictures where a page cannot bear one of each.
    """
    groups = by_pair(evaluation.get("errors"), classes)
    _keep_some(groups)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), -float(item[1][0].get("confidence") or 0))))


def shown_recognised(evaluation: dict[str, Any], classes: Sequence[str]) -> Groups:
    """What a cell of the diagonal opens, by (class, class); nothing where there is no matrix to open it from."""
    groups = by_pair(evaluation.get("recognised"), classes) if len(classes) <= MOST_CELLS else {}
    _keep_some(groups)
    return dict(sorted(groups.items()))


def by_pair(judged: Sequence[dict[str, Any]] | None, classes: Sequence[str]) -> Groups:
    """All that are listed, by (truth, prediction), the most confident first."""
    place = {name: number for number, name in enumerate(classes)}
    groups: Groups = defaultdict(list)
    for one in sorted(judged or [], key=lambda one: -float(one.get("confidence") or 0)):
        pair = tuple(place.get(name, name) if isinstance(name, str) else name for name in _names(one))
        if all(isinstance(number, int) and 0 <= number < len(classes) for number in pair):
            groups[pair].append(one)  # type: ignore[index]
    return dict(groups)


def _keep_some(groups: Groups) -> None:
    """The first of each group, then the second of each …, until there are as many as a page bears."""
    ranked = sorted(
        (rank, -len(judged), place, pair)
        for place, (pair, judged) in enumerate(groups.items())
        for rank in range(len(judged))
    )
    kept = Counter(pair for *_, pair in ranked[:MOST_ERRORS])
    for pair in list(groups):
        groups[pair] = groups[pair][: kept[pair]]
        if not groups[pair]:
            del groups[pair]


def _names(judged: dict[str, Any]) -> tuple[Any, Any]:
    return judged.get("truth"), judged.get("predicted")


def errors_section(
    groups: Groups,
    matrix: Sequence[Sequence[int]],
    classes: Sequence[str],
    run: Path,
    *,
    prefix: str,
    others: Markup | None = None,
) -> Markup | None:
    """`others` are the confusions that have no picture here."""
    if not groups and others is None:
        return None
    shown = sum(map(len, groups.values()))
    num_errors = max(shown, sum(number for t, row in enumerate(matrix) for p, number in enumerate(row) if t != p))
    lead = f"{pictures(num_errors)} {'was' if num_errors == 1 else 'were'} taken for another class"
    lead += f"; {shown} are shown, of each confusion the surest." if shown < num_errors else "; the surest first."
    if any(error.get("overlay") for errors in groups.values() for error in errors):
        lead += " Beside the surest ones: what speaks for the wrong class (Grad-CAM)."
    body = _cards(groups, matrix, classes, run, prefix)
    return section("Errors", body, others, id_=f"{prefix}errors", lead=lead)


def recognised_section(
    groups: Groups, matrix: Sequence[Sequence[int]], classes: Sequence[str], run: Path, *, prefix: str
) -> Markup | None:
    if not groups:
        return None
    lead = "Of each class, the pictures that were recognised most surely and those that nearly were not."
    body = _cards(groups, matrix, classes, run, prefix)
    return section("Recognised", body, id_=f"{prefix}recognised", lead=lead)


def _cards(groups: Groups, matrix: Sequence[Sequence[int]], classes: Sequence[str], run: Path, prefix: str) -> Markup:
    blocks = []
    for (t, p), judged in groups.items():
        number = max(len(judged), matrix[t][p] if len(matrix) == len(classes) else 0)
        heading = pair_heading(
            (t, p), classes, f"{len(judged):,} of {number:,} pictures" if len(judged) < number else None
        )
        cards = element("div", [_card(one, run, classes[t], classes[p]) for one in judged], class_="cards")
        blocks.append(element("div", heading, cards, class_="pair", id=pair_id((t, p), prefix)))
    return element("div", blocks, class_="errors")


def _card(error: dict[str, Any], run: Path, truth: str, predicted: str) -> Markup:
    key, name = str(error.get("key", "")), error.get("thumbnail")
    address = data_address(run / name, run) if name else None
    words = f"{key}: {truth} taken for {predicted}" if truth != predicted else f"{key}: {truth}, recognised"
    picture = element("img", src=address, alt=words) if address else element("span", "no thumbnail", class_="blank")
    seen = data_address(run / error["overlay"], run) if error.get("overlay") else None
    why = element("img", src=seen, alt=f"what speaks for {predicted} (Grad-CAM)") if seen else None
    caption = element("figcaption", percent(error.get("confidence")), element("span", key.rsplit("/", 1)[-1]))
    return element("figure", [picture, why], caption, title=key, class_="explained" if why else None)
