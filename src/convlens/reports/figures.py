"""Numbers as a reader wants them: 97.8 %, 61,706, 4.09 G, 1 min 20 s. A number that is missing is a dash."""

from __future__ import annotations

import json
import math
from typing import Any

from convlens.errors import counted

MISSING = "–"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def percent(value: Any, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %" if _is_number(value) else MISSING


def likelihood(value: float) -> str:
    """The probability of a class; what is not quite nothing or all is not rounded to it."""
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= value < 1 else percent(value)


def views(evaluation: dict[str, Any]) -> str:
    """What is added to "1,000 pictures" where scores are means over views (test-time augmentation)."""
    tta = evaluation.get("tta", "none")
    return "" if tta == "none" else f", with test-time augmentation ({tta})"


def count(value: Any) -> str:
    return f"{round(value):,}" if _is_number(value) else MISSING


def pictures(number: Any) -> str:
    """1 picture, 1,797 pictures, – pictures."""
    return counted(number, "picture") if _is_number(number) else f"{MISSING} pictures"


def short(value: Any, unit: str = "") -> str:
    """61706 -> 61.7 k; three digits are enough to compare."""
    if not _is_number(value):
        return MISSING
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def size(num_bytes: Any) -> str:
    return short(num_bytes, "B")


def duration(seconds: Any) -> str:
    if not _is_number(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def shape(values: Any) -> str:
    """[1, 64, 7, 7] -> 64 × 7 × 7; the batch is left out."""
    numbers = list(values or ())
    return " × ".join(str(n) for n in numbers[1:] or numbers) or MISSING


def plain(value: Any) -> str:
    """Any value of a recipe or plan in one line."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        return ", ".join(plain(v) for v in value) or MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
