"""Values against a JSON schema: the few words of it that the endpoints use, with errors that say what to do."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from convlens.errors import nearest
from convlens.server.refused import Refused

Schema = Mapping[str, Any]
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
MOST_OPENED = 32  # brackets in an object that is a field of a form
LARGEST = (1 << 63) - 1  # what torch and NumPy have
CALLED = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def checked_fields(values: Mapping[str, Any], fields: Mapping[str, Schema], required: tuple[str, ...] = ()) -> dict:
    """The values with the defaults of what was left out; Refused with 400 for an unknown or a wrong one."""
    for name in values:
        if name not in fields:
            known = f"there are {', '.join(fields)}" if fields else "there are none"
            raise Refused(400, f"no field is called {name!r:.60}{nearest(name, fields)}; {known}")
    for name in required:
        if name not in values:
            raise Refused(400, f"the field '{name}' is missing; {fields[name].get('description', 'give it')}")
    for name, value in values.items():
        check(f"'{name}'", value, fields[name])
    defaults = {name: schema["default"] for name, schema in fields.items() if "default" in schema}
    return {**defaults, **{name: _whole(value, fields[name]) for name, value in values.items()}}


def check(where: str, value: Any, schema: Schema) -> None:
    """Refused with 400 where the value is not as the schema says."""
    kinds = _kinds(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        raise _wrong(where, value, " or ".join(CALLED[kind] for kind in kinds))
    if "enum" in schema and value not in schema["enum"]:
        near = nearest(str(value), [str(one) for one in schema["enum"]])
        raise _wrong(where, value, f"one of {', '.join(map(str, schema['enum']))}{near}")
    if isinstance(value, str):
        _check_length(where, value, schema, "minLength", "maxLength", "characters")
    elif isinstance(value, list):
        _check_length(where, value, schema, "minItems", "maxItems", "items")
        for place, item in enumerate(value if "items" in schema else ()):
            check(f"{where}[{place}]", item, schema["items"])
    elif isinstance(value, dict):
        _check_object(where, value, schema)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(where, value, schema)


def from_text(text: str, schema: Schema) -> Any:
    """A parameter or a field of a form as its schema wants it; what cannot be stays text, and is refused as such.

    Where text and numbers are taken it stays text too: whoever knows the names says whether "01" or "null" is one.
    """
    kinds = _kinds(schema)
    if "string" in kinds and "integer" in kinds:
        return text
    if "boolean" in kinds and text.lower() in ("true", "false", "1", "0"):
        return text.lower() in ("true", "1")
    if "array" in kinds:
        return [from_text(part, schema.get("items", {})) for part in text.split(",") if part]
    if "object" in kinds and text.count("{") + text.count("[") <= MOST_OPENED:
        try:
            return json.loads(text)
        except ValueError:
            return text
    for kind, make in (("integer", int), ("number", float)):
        if kind in kinds and len(text) < 40:
            try:
                return make(text)
            except ValueError:
                continue
    return None if "null" in kinds and text in ("", "null") else text


def whole_number(text: str) -> int | None:
    """ "-1" -> -1; None for what is no whole number."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _kinds(schema: Schema) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _whole(value: Any, schema: Schema) -> Any:
    """JSON knows one kind of numbers: a count may come as 1.0."""
    if isinstance(value, list):
        return [_whole(item, schema.get("items", {})) for item in value]
    only_whole = "integer" in _kinds(schema) and "number" not in _kinds(schema)
    return int(value) if only_whole and isinstance(value, float) else value


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    if isinstance(value, float) and (kind == "integer" or not math.isfinite(value)):
        return value.is_integer()  # 1e400 is JSON, and infinity
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return False
    return isinstance(value, KINDS[kind])


def _check_length(where: str, value: Any, schema: Schema, least: str, most: str, of: str) -> None:
    low, high = schema.get(least, 0), schema.get(most, math.inf)
    if not low <= len(value) <= high:
        bounds = f"{low} to {high}" if high != math.inf else f"at least {low}"
        raise Refused(400, f"{where} has {len(value):,} {of}; give {bounds}")


def _check_number(where: str, value: float, schema: Schema) -> None:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if not low <= value <= high:
        raise _wrong(where, value, f"a number from {low} to {high}")


def _check_object(where: str, value: dict[str, Any], schema: Schema) -> None:
    fields = schema.get("properties")
    if fields is None:
        for name, item in value.items() if isinstance(schema.get("additionalProperties"), Mapping) else ():
            check(f"{where}[{name!r:.60}]", item, schema["additionalProperties"])
        return
    for name, item in value.items():
        if name not in fields:
            raise Refused(400, f"{where} has no {name!r:.60}{nearest(name, fields)}; it has {', '.join(fields)}")
        check(f"{where}[{name!r:.60}]", item, fields[name])
    for name in schema.get("required", ()):
        if name not in value:
            raise Refused(400, f"{where} has no '{name}'; give it")


def _wrong(where: str, value: Any, expected: str) -> Refused:
    return Refused(400, f"{where} is {' '.join(repr(value)[:200].split())[:60]}; expected {expected}")
