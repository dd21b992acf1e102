"""What the entries of `run.json` and of evaluations are that commands rely on; docs/run.schema.json tells of all."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args

from convlens.errors import counted

REQUIRED = ("name", "architecture", "classes", "preprocess", "weights", "created")
KINDS: dict[str, type | UnionType] = {
    **dict.fromkeys(("name", "created"), str),
    **dict.fromkeys(("architecture", "preprocess", "weights", "metrics", "versions", "machine"), dict),
    **dict.fromkeys(("recipe", "plan", "data", "channel_plan", "quantisation"), dict | None),
    "classes": list,
    "temperature": int | float,
    "seed": int | None,
    "keep_pictures": bool,
}
INSIDE: dict[str, type | UnionType] = {  # the * is each of a list
    **dict.fromkeys(("architecture.name", "architecture.network", "preprocess.fit", "data.source"), str),
    **dict.fromkeys(("architecture.num_classes", "architecture.in_channels", "preprocess.channels"), int),
    **dict.fromkeys(("architecture.image_size", "preprocess.size", "preprocess.mean", "preprocess.std"), list),
    **dict.fromkeys(("architecture.image_size.*", "preprocess.size.*", "weights.size_bytes"), int),
    **dict.fromkeys(("preprocess.mean.*", "preprocess.std.*", "preprocess.crop_ratio"), int | float),
    **dict.fromkeys(("architecture.options", "plan.augment", "data.parts", "data.scan.findings.*"), dict),
    "quantisation.inputs": dict,
    **dict.fromkeys(("weights.sha256", "classes.*"), str),
    **dict.fromkeys(("data.splits_sha256", "data.looks_sha256", "data.data_dir"), str | None),
    **dict.fromkeys(("channel_plan.tensors", "channel_plan.groups", "channel_plan.attributes"), dict),
    "channel_plan.kept": list,
    "channel_plan.kept.*": str,
    **dict.fromkeys(("metrics.val", "data.scan"), dict | None),
    **dict.fromkeys(("plan.segments", "data.scan.findings"), list | None),
}
NEEDED_INSIDE = (
    *("weights.sha256", "data.source", "quantisation.inputs"),
    *("channel_plan.kept", "channel_plan.tensors", "channel_plan.groups", "channel_plan.attributes"),
)
EVALUATION: dict[str, type | UnionType] = {  # what `evaluate` wrote, as far as a report reads it
    **dict.fromkeys(("per_class", "confusion", "confusion.*", "calibration_bins", "errors", "recognised"), list),
    **dict.fromkeys(("per_class.*", "calibration_bins.*", "errors.*", "recognised.*"), dict),
    **dict.fromkeys(("per_class.*.support", "confusion.*.*", "calibration_bins.*.count", "num_errors"), int),
    **dict.fromkeys((f"per_class.*.{score}" for score in ("precision", "recall", "f1")), int | float),
    **dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "temperature"), int | float),
    **dict.fromkeys(
        ("top5_accuracy", "top5_low", "top5_high", "errors.*.confidence", "recognised.*.confidence"), int | float | None
    ),
    **dict.fromkeys(("per_class.*.name", "source", "part"), str),
    **dict.fromkeys(("errors.*.thumbnail", "errors.*.overlay", "recognised.*.thumbnail"), str | None),
}
NEEDED_OF_CLASSES = ("name", "precision", "recall", "f1", "support")
WORDS = {str: "text", dict: "a table", list: "a list", int: "a whole number", float: "a number", bool: "true or false"}


def damage_of(values: dict[str, Any]) -> str:
    """What is wrong with the entries of a manifest, or nothing."""
    for name in REQUIRED:
        if name not in values:
            return f"it has no '{name}'"
    if wrong := _wrong_kind(values, {**KINDS, **INSIDE}):
        return wrong
    for name in NEEDED_INSIDE:
        whole, _, part = name.partition(".")
        if values.get(whole) is not None and part not in values[whole]:
            return f"'{whole}' has no {part}"
    if not (named := len(values["classes"])):
        return "'classes' is empty"
    if (built := values["architecture"].get("num_classes", named)) != named:
        return f"it names {counted(named, 'class', 'classes')}, and its network gives {built:,}"
    if not values.get("temperature", 1.0) > 0:
        return f"the temperature is {values['temperature']}"
    return ""


def evaluation_damage(values: dict[str, Any]) -> str:
    """The same of the scores on one source."""
    if wrong := _wrong_kind(values, EVALUATION):
        return wrong
    missing = [name for row in values.get("per_class", ()) for name in NEEDED_OF_CLASSES if name not in row]
    return f"'per_class' has no {missing[0]}" if missing else ""


def _wrong_kind(values: dict[str, Any], kinds: dict[str, type | UnionType]) -> str:
    for name, kind in kinds.items():
        for value in _found(values, name.split(".")):
            if not _is(value, kind):
                verb = "holds" if name.endswith(".*") else "is"
                return f"'{name.removesuffix('.*')}' {verb} {_word(type(value))}, expected {_expected(kind)}"
    return ""


def _found(value: Any, path: list[str]) -> Iterator[Any]:
    """What stands there; nothing where it is left out."""
    if not path:
        yield value
    elif path[0] == "*" and isinstance(value, list):
        for one in value:
            yield from _found(one, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _found(value[path[0]], path[1:])


def _is(value: Any, kind: type | UnionType) -> bool:
    """A bool is an int in Python, and no number in JSON."""
    return isinstance(value, kind) and (not isinstance(value, bool) or kind is bool)


def _word(kind: type) -> str:
    return WORDS.get(kind, "empty (null)")


def _expected(kind: type | UnionType) -> str:
    kinds = [one for one in get_args(kind) or (kind,) if one is not type(None)]
    return "a number" if float in kinds else _word(kinds[0])
