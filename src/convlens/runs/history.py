"""`history.jsonl`: one JSON object an epoch, appended while training runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convlens.storage import guard, write_text


def append_history(path: Path, row: dict[str, Any]) -> None:
    with guard(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read_history(path: Path) -> list[dict[str, Any]]:
    """Rows in order; a last line that a crash cut short is left out, and what follows one that is no row."""
    rows: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                break
            if not isinstance(row, dict):
                break
            rows.append(row)
    return rows


def rewind_history(path: Path, step: int) -> None:
    """Forget what came after the checkpoint that training goes on from."""
    rows = [row for row in read_history(path) if row["step"] <= step]
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
