"""The README is short, and what it shows is what a reader gets."""

from __future__ import annotations

import re
import shlex

import convlens
from convlens.training import RECORDS

from .conftest import README, ROOT, blocks, convlens_command, parse

TEXT = README.read_text(encoding="utf-8")


def test_the_readme_has_at_most_150_lines():
    assert len(TEXT.splitlines()) <= 150


def test_its_first_commands_are_make_demo_and_make_test():
    first = blocks(TEXT, "sh")[0].splitlines()
    assert [shlex.split(line, comments=True) for line in first] == [["make", "demo"], ["make", "test"]]


def test_its_six_lines_of_python_run(working_folder, capsys):
    (block,) = blocks(TEXT, "python")
    assert len([line for line in block.splitlines() if line]) == 6
    found: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), found)
    assert found["scored"].scores.accuracy > 0.9  # type: ignore[attr-defined]
    assert "right; wrong: [" in capsys.readouterr().out
    assert (working_folder / "runs" / "digits-lenet5" / "explanations" / "filters.png").exists()


def without_numbers(text: str) -> list[str]:
    """Lines without table frames, with a 0 for each number."""
    lines = [" ".join(re.sub(r"\d[\d.,]*", "0", line.strip("│ ")).split()) for line in text.strip().splitlines()]
    return [line for line in lines if not line.startswith(("┌", "└"))]


def test_the_demo_s_output_is_what_the_demo_prints(working_folder, short_demo):
    (shown,) = blocks(TEXT, "text")[:1]
    assert without_numbers(shown) == without_numbers(convlens_command("convlens demo").stdout)


def test_the_commands_that_the_demo_proposes_are_right():
    (shown,) = blocks(TEXT, "text")[:1]
    proposed = re.findall(r"│ (convlens .*?)(?:  |\s+\(| │)", shown)
    assert len(proposed) == 4
    for line in proposed:
        parse(line)


def test_the_tree_names_every_room():
    rooms = [path for path in (ROOT / "src" / "convlens").iterdir() if (path / "__init__.py").exists()]
    assert len(rooms) > 10
    for room in rooms:
        assert f"\n  {room.name}/ " in TEXT, f"{room.name}/ is missing from the README's tree"


def test_the_number_of_networks_is_right():
    assert f"lists {len(convlens.zoo.names())} networks" in TEXT


def test_the_picture_is_there_and_small():
    (name,) = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT)
    assert (ROOT / name).stat().st_size < 150_000
    assert (ROOT / name).with_name("make.py").exists()


def test_the_results_name_their_command_and_machine():
    part = TEXT.partition("<!-- results: begin -->")[2].partition("<!-- results: end -->")[0]
    rows = [row.split("|") for row in part.splitlines() if row.startswith("| ")][1:]
    assert rows
    for row in rows:
        program, script, *names = shlex.split(row[2].strip(" `"))
        if program == "convlens":
            assert script == "bench" and names[0] in RECORDS
        else:
            assert (ROOT / script).exists(), f"{script} is not in the repository"
    for said in ("torch", "processors", "convlens"):
        assert said in part
