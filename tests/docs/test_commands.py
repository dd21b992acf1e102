"""Every command has help that ends with a working example, a line in the README and a place in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import PAGES, README, convlens_command, listed_commands, parse, subcommands

NAMES = sorted(subcommands())


def example_of(name: str) -> str:
    shown = convlens_command(f"convlens {name} --help")
    assert shown.exit_code == 0
    return " ".join(shown.stdout.rpartition("Example:")[2].split())


@pytest.mark.parametrize("name", NAMES)
def test_help_ends_with_an_example_of_the_command(name):
    assert re.match(rf"convlens {name}\b", example_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_the_help_runs(name, working_folder, short_demo):
    if name == "demo":
        assert example_of(name) == "convlens demo"
    done = convlens_command(example_of(name))
    assert done.exit_code == 0, done.output
    assert done.stdout.strip()


@pytest.mark.parametrize("name", NAMES)
def test_the_command_is_in_the_readme_and_in_the_documentation(name):
    row = f"| `convlens {name}` |"
    assert row in README.read_text(encoding="utf-8")
    index = next(page for page in PAGES if page.name == "index.md").read_text(encoding="utf-8")
    assert row in index
    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in PAGES if page.name != "index.md")


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_commands_in_the_documentation_have_options_that_exist(page):
    for line in listed_commands(page.read_text(encoding="utf-8")):
        parse(line)


def test_a_wrong_option_is_noticed():
    with pytest.raises(Exception, match="No such option: --epoch-number"):
        parse("convlens train digits --epoch-number 3")


def cheap(line: str) -> bool:
    """Commands on what every reader has: the digits, the demo's run, the zoo."""
    there = re.search(r"\b(digits|runs/demo)\b", line) or line.split()[1] in ("zoo", "measure", "create")
    return bool(there) and "--resume" not in line and "--weights" not in line


LONG = ("explain.md", "measure.md", "shrink.md", "training.md")


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name in LONG)) for page in (README, *PAGES)],
)
def test_commands_in_the_documentation_that_need_no_other_pictures_run(page, working_folder: Path):
    for line in filter(cheap, listed_commands(page.read_text(encoding="utf-8"))):
        done = convlens_command(line)
        assert done.exit_code == 0, f"{line}: {done.output}"
