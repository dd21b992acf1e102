"""What every command gives back: a frozen dataclass, and its plain form for --json."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

Progress = Callable[[str, int, int, str], None]
Tell = Callable[[str], None]


def plain(value: Any) -> Any:
    """Dataclasses, paths, arrays and tuples -> what `json.dumps` takes. A value's own `to_dict` is preferred."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN
    return str(value) if isinstance(value, Path) else value


def silent(_: str) -> None:
    """A `tell` that says nothing."""
