"""`convlens doctor`: its table begins with what is worst."""

from __future__ import annotations

import re

from PIL import Image


def test_errors_come_before_warnings_and_warnings_before_notes(convlens, classes):
    picture = next(classes.rglob("*.png"))
    Image.new("RGB", (30, 1), "red").save(classes / "circle" / "line.png")  # a warning
    Image.open(picture).convert("RGBA").save(classes / "circle" / "alpha.png")  # a note
    (classes / "circle" / "empty.png").touch()  # an error
    (classes / "square" / "same.png").write_bytes(picture.read_bytes())  # a warning, and a note
    text = convlens("doctor", classes).stdout.split("unreadable, seen in")[1]
    severities = re.findall(r"\b(error|warning|note)\b *│", text)
    assert set(severities) == {"error", "warning", "note"}
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
