"""`shrink` under a budget says first what came of it, and exits with 1 where nothing keeps within."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("optuna")
pytest.importorskip("onnxruntime")
OUT_OF_REACH = ("--max-bytes", "10", "--trials", "1", "--quantise", "int8")


@pytest.mark.slow
def test_what_nothing_keeps_within_is_said_first_and_ends_with_one(convlens, copied_run: Path, tmp_path: Path) -> None:
    asked = ("shrink", copied_run, "digits", *OUT_OF_REACH, "--out", tmp_path / "new")
    outcome = convlens(*asked)
    assert outcome.status == 1
    first = outcome.stdout.splitlines()[0]
    assert first.startswith("nothing keeps within 10 bytes: the nearest of 1 candidate, as it is, int8, is")
    assert "bytes too large" in first
    assert not (tmp_path / "new").exists()
    found = convlens(*asked, "--json")
    assert found.status == 1
    assert found.json["shrunk"] == [] and len(found.json["search"]["trials"]) == 1
