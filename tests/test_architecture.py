"""The house: each room imports only the rooms above it, wherever in a file the import stands."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "convlens"

GROUND = {"storage", "pictures", "graph", "layers", "scratch"}
FIRST = {"zoo", "data", "measurement", "explanation", "exporting", "arithmetic"}
# fmt: off
ALLOWED = {
    "errors":      set(),
    **{room: set() for room in GROUND},
    **{room: GROUND - {"scratch"} for room in FIRST},
    "engines":     GROUND | {"measurement", "exporting"},
    "runs":        GROUND | {"zoo", "data"},
    "training":    GROUND | {"zoo", "data", "measurement", "runs"},
    "shrinking":   GROUND | {"data", "measurement", "exporting", "engines", "runs", "training"},
    "classics":    GROUND | {"data", "runs", "training"},
    "reports":     GROUND | {"data", "measurement", "explanation", "runs"},
    "workbench":   GROUND | FIRST | {"engines", "runs", "training", "shrinking", "classics", "reports"},
    "server":      GROUND | FIRST | {"engines", "runs", "training", "shrinking", "classics", "reports", "workbench"},
    "cli":         {"workbench", "server"},
    "__main__":    {"cli"},
}
# fmt: on
NO_SUBJECT = {"utils", "util", "common", "helpers", "misc"}


def rooms() -> list[str]:
    """Names of the rooms that stand: folders and files at the top of the package."""
    return sorted(
        {p.stem for p in SOURCE.iterdir() if (p.suffix == ".py" or (p / "__init__.py").exists())} - {"__init__"}
    )


def files_of(room: str) -> list[Path]:
    single = SOURCE / f"{room}.py"
    return [single] if single.exists() else sorted((SOURCE / room).rglob("*.py"))


def imported_rooms(file: Path) -> set[str]:
    """Rooms that a file imports."""
    return rooms_in(file.read_text(encoding="utf-8"), file.relative_to(SOURCE.parent).with_suffix("").parts)


def rooms_in(text: str, package: tuple[str, ...]) -> set[str]:
    """Rooms that the module `package` of this text imports, inside functions and relative imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("convlens.")}
    return found


def test_every_room_stands_in_the_table():
    assert set(rooms()) <= set(ALLOWED), "a new room needs a line in the table of DESIGN.md and here"


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_rooms_above_it(room):
    for file in files_of(room):
        extra = imported_rooms(file) - ALLOWED[room] - {room, "errors"}
        assert not extra, f"{file.relative_to(SOURCE)} imports {sorted(extra)}"


def test_imports_inside_functions_and_relative_ones_are_seen():
    text = (
        "def f():\n    from convlens.zoo import create\n    import convlens.training.loop\n"
        "class A:\n    from ..data import scan\n    from . import lock\nimport numpy\nfrom convlens import runs\n"
    )
    assert rooms_in(text, ("convlens", "storage", "not_there")) == {"zoo", "training", "data", "storage", "runs"}


def top_level_imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("file", files_of("cli"), ids=lambda file: file.stem)
def test_the_command_line_is_thin_and_quick_to_import(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 80
    assert not top_level_imports(file) & {"numpy", "torch"}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("convlens."):
            assert node.module.split(".")[1] in {"cli", "errors"}, (
                f"{file.name} imports {node.module} before it is needed"
            )


def all_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_no_room_or_file_is_without_a_subject():
    assert not [p for p in SOURCE.rglob("*") if p.stem in NO_SUBJECT]


def test_files_stay_small():
    assert {str(p.relative_to(SOURCE)): n for p in all_files() if (n := len(p.read_text().splitlines())) > 400} == {}


def test_torchvision_is_never_imported():
    assert [p.name for p in all_files() if "torchvision" in top_level_imports(p)] == []


def test_only_the_zoo_knows_the_names_of_networks():
    """No other room asks which family a network belongs to; planner, demo and recipes choose one by name."""
    names = ("resnet", "mobilenet", "lenet", "vgg", "alexnet")
    choosing = {"workbench/planner.py", "workbench/demo.py"}
    for file in all_files():
        place = file.relative_to(SOURCE).as_posix()
        if place.startswith(("zoo/", "cli/", "training/recipes/")) or place in choosing:
            continue
        strings = [
            node.value.lower()
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
        ]
        named = [s for s in strings if len(s) < 30 and any(s.startswith(name) for name in names)]
        assert not named, f"{place} names {named}"
