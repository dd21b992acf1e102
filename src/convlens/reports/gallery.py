"""What is looked at: the maps that `explain` drew, and the pictures that the network got wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convlens.reports.confusion import Pair, pair_heading, pair_id
from convlens.reports.embedding import data_address, data_pieces
from convlens.reports.figures import percent, pictures
from convlens.reports.markup import Markup, element, section

MOST_ERRORS = 120
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


def shown_errors(evaluation: dict[str, Any], classes: Sequence[str]) -> dict[Pair, list[dict[str, Any]]]:
    """The most confident errors by (truth, prediction), the pair with most pictures first.

    The surest of every pair are among them, of the pairs with most pictures where a page cannot bear one of each.
    """
    groups = errors_by_pair(evaluation, classes)
    _keep_some(groups)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), -float(item[1][0].get("confidence") or 0))))


def errors_by_pair(evaluation: dict[str, Any], classes: Sequence[str]) -> dict[Pair, list[dict[str, Any]]]:
    """All that are listed, by (truth, prediction), the most confident first."""
    place = {name: number for number, name in enumerate(classes)}
    errors = sorted(evaluation.get("errors") or [], key=lambda e: -float(e.get("confidence") or 0))
    groups: dict[Pair, list[dict[str, Any]]] = defaultdict(list)
    for error in errors:
        pair = tuple(place.get(name, name) if isinstance(name, str) else name for name in _names(error))
        if all(isinstance(number, int) and 0 <= number < len(classes) for number in pair):
            groups[pair].append(error)  # type: ignore[index]
    return dict(groups)


def _keep_some(groups: dict[Pair, list[dict[str, Any]]]) -> None:
    """The first of each group, then the second of each …, until there are as many as a page bears."""
    ranked = sorted(
        (rank, -len(errors), place, pair)
        for place, (pair, errors) in enumerate(groups.items())
        for rank in range(len(errors))
    )
    kept = Counter(pair for *_, pair in ranked[:MOST_ERRORS])
    for pair in list(groups):
        groups[pair] = groups[pair][: kept[pair]]
        if not groups[pair]:
            del groups[pair]


def _names(error: dict[str, Any]) -> tuple[Any, Any]:
    return error.get("truth"), error.get("predicted")


def errors_section(
    groups: dict[Pair, list[dict[str, Any]]],
    classes: Sequence[str],
    run: Path,
    *,
    num_errors: int,
    prefix: str,
    others: Markup | None = None,
) -> Markup | None:
    """`others` are the confusions that have no picture here."""
    if not groups and others is None:
        return None
    shown = sum(map(len, groups.values()))
    lead = f"{pictures(num_errors)} {'was' if num_errors == 1 else 'were'} taken for another class"
    lead += f"; {shown} are shown, of each confusion the surest." if shown < num_errors else "; the surest first."
    if any(error.get("overlay") for errors in groups.values() for error in errors):
        lead += " Beside the surest ones: what speaks for the wrong class (Grad-CAM)."
    blocks = [_group(pair, errors, classes, run, prefix) for pair, errors in groups.items()]
    return section("Errors", element("div", blocks, class_="errors"), others, id_=f"{prefix}errors", lead=lead)


def _group(pair: Pair, errors: Sequence[dict[str, Any]], classes: Sequence[str], run: Path, prefix: str) -> Markup:
    cards = [_card(error, run, classes[pair[0]], classes[pair[1]]) for error in errors]
    return element(
        "div",
        pair_heading(pair, classes),
        element("div", cards, class_="cards"),
        class_="pair",
        id=pair_id(pair, prefix),
    )


def _card(error: dict[str, Any], run: Path, truth: str, predicted: str) -> Markup:
    key, name = str(error.get("key", "")), error.get("thumbnail")
    address = data_address(run / name, run) if name else None
    words = f"{key}: {truth} taken for {predicted}"
    picture = element("img", src=address, alt=words) if address else element("span", "no thumbnail", class_="blank")
    seen = data_address(run / error["overlay"], run) if error.get("overlay") else None
    why = element("img", src=seen, alt=f"what speaks for {predicted} (Grad-CAM)") if seen else None
    caption = element("figcaption", percent(error.get("confidence")), element("span", key.rsplit("/", 1)[-1]))
    return element("figure", [picture, why], caption, title=key, class_="explained" if why else None)
