"""Where the run came from: its data, what was asked, what was planned, the machine."""

from __future__ import annotations

from typing import Any

from convlens.errors import counted
from convlens.reports.figures import count, pictures, plain
from convlens.reports.markup import Content, Markup, element, section, table

MOST_KEYS = 12
ORDER = {"error": 0, "warning": 1, "note": 2}


def data_section(data: dict[str, Any] | None) -> Markup | None:
    if not data:
        return None
    scan = data.get("scan") or {}
    parts = data.get("parts") or {}
    facts = {
        "source": data.get("source"),
        "pictures": count(data.get("num_pictures", scan.get("num_pictures"))),
        **{f"{name} part": count(parts[name]) for name in sorted(parts, key=_part_order)},
        "unreadable": count(scan.get("num_unreadable")) if scan else None,
        "fingerprint": data.get("fingerprint"),
    }
    findings = sorted(scan.get("findings") or [], key=lambda f: ORDER.get(f.get("severity"), 3))
    nothing = element("p", "The scan found nothing to complain about.") if scan and not findings else None
    found = element("ul", map(_finding, findings), class_="findings") if findings else nothing
    columns = [element("div", part) for part in (values_table(facts), found) if part]
    return section("Data", element("div", columns, class_="columns"), id_="data")


def _part_order(name: str) -> tuple[int, str]:
    known = ("train", "val", "test")
    return (known.index(name) if name in known else len(known), name)


def _finding(finding: dict[str, Any]) -> Markup:
    severity = str(finding.get("severity", "note"))
    keys = list(finding.get("keys") or ())
    more = f" and {count(len(keys) - MOST_KEYS)} more" if len(keys) > MOST_KEYS else ""
    listed: Content = None
    if keys:
        summary = element("summary", pictures(len(keys)))
        listed = element("details", summary, element("code", ", ".join(map(str, keys[:MOST_KEYS])) + more))
    return element("li", element("span", severity, class_=f"badge {severity}"), " ", finding.get("message"), listed)


def recipe_section(recipe: dict[str, Any] | None, plan: dict[str, Any] | None, seed: int | None) -> Markup | None:
    """What was asked beside what it became; an option that was left open is shown as a dash."""
    columns = []
    if recipe:
        asked = {**recipe} if seed is None or "seed" in recipe else {**recipe, "seed": seed}
        columns.append(element("div", element("h3", "Recipe: what was asked"), values_table(asked)))
    if plan:
        columns.append(element("div", element("h3", "Plan: what it became here"), values_table(_resolved(plan))))
    return section("Recipe and plan", element("div", columns, class_="columns"), id_="recipe") if columns else None


def _resolved(plan: dict[str, Any]) -> dict[str, Any]:
    """A budget plans its length again and again: how often is for people, each time for `resume`."""
    values = {key: value for key, value in plan.items() if key != "segments"}
    return {**values, "planned again": counted(len(plan.get("segments") or [0]) - 1, "time")}


def machine_section(manifest: dict[str, Any]) -> Markup | None:
    machine, versions = manifest.get("machine") or {}, manifest.get("versions") or {}
    columns = []
    if machine:
        columns.append(element("div", element("h3", "Machine"), values_table(machine)))
    if versions:
        columns.append(element("div", element("h3", "Versions"), values_table(versions)))
    return section("Machine", element("div", columns, class_="columns"), id_="machine") if columns else None


def values_table(values: dict[str, Any]) -> Markup:
    """Names and values; what is None or empty is left out, a list of records goes line by line."""
    rows = [(key.replace("_", " "), _value(value)) for key, value in values.items() if value not in (None, [], {})]
    return table(["", ""], rows, kind="values", text=2)


def _value(value: Any) -> Content:
    if isinstance(value, list | tuple) and value and all(isinstance(v, dict) for v in value):
        return [element("div", _record(v)) for v in value]
    return _record(value) if isinstance(value, dict) else plain(value)


def _record(values: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {plain(value)}" for key, value in values.items()) or plain(None)
