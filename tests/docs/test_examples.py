"""The programs in examples/ run, and check their own results."""

from __future__ import annotations

import re
import runpy
import sys

import pytest
from PIL import Image

from .conftest import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# with arguments that make them shorter
SLOW: dict[str, list[str]] = {
    "seeds.py": ["1"],
    **{name: [] for name in ("gan.py", "dbn.py", "long_dependency.py", "characters.py", "rows.py", "tones.py")},
}

DRAWING = ("boltzmann.py", "dbn.py", "gan.py", "rows.py", "text.py", "tones.py", "xor.py")
FOLDERS = {
    "hopfield.py": {"hopfield.png", "capacity.png"},
    "rbm.py": {"rbm-filters.png", "rbm-rebuilt.png", "rbm-samples.png"},
}


def named(example):
    marks = [pytest.mark.slow] if example.name in SLOW else []
    return pytest.param(example, marks=marks, id=example.name)


@pytest.mark.parametrize("example", [named(example) for example in EXAMPLES])
def test_an_example_runs_and_finds_its_result_right(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example), *SLOW.get(example.name, [])])
    runpy.run_path(str(example), run_name="__main__")
    assert "%" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWING)
def test_an_example_draws_its_picture_where_it_is_asked_to(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, str(tmp_path / "sheet.png")])
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 150 and len(set(sheet.convert("L").tobytes())) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_draws_its_pictures_into_a_folder_that_it_makes(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, str(tmp_path / "new")])
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    assert {file.name for file in (tmp_path / "new").iterdir()} == FOLDERS[name]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_short_says_how_to_run_it_and_checks_itself(example):
    text = example.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert re.search(rf'^""".*?^ +python examples/{example.name} +\S.*?"""', text, re.MULTILINE | re.DOTALL)
    assert re.search(r"^ +assert ", text, re.MULTILINE)
