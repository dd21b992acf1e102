"""What is quick to start, and how it is started."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

import convlens as package
from convlens.cli import let_threads_sleep
from convlens.cli.guard import load

HEAVY = ("torch", "numpy", "PIL", "sklearn", "matplotlib", "safetensors")


def modules_after(text: str) -> set[str]:
    """What a fresh Python has loaded after these statements."""
    text += "\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_convlens_loads_nothing_heavy():
    loaded = modules_after("import convlens\nconvlens.__version__\ndir(convlens)")
    assert "convlens" in loaded
    assert not loaded & {*HEAVY, "rich", "typer"}


def test_help_loads_neither_torch_nor_numpy():
    helped = modules_after(
        "import contextlib, sys\n"
        "from convlens.cli import main\n"
        "sys.argv = ['convlens', '--help']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()"
    )
    assert "typer" in helped
    assert not helped & set(HEAVY)


@pytest.mark.parametrize(
    "command",
    ["demo", "zoo", "create", "doctor", "train", "evaluate", "predict", "explain", "export", "serve", "bench"],
)
def test_the_help_of_a_command_ends_with_an_example(command, convlens):
    outcome = convlens(command, "--help")
    assert outcome.status == 0
    assert f"Example: convlens {command}" in " ".join(outcome.stdout.split()[-16:])


def test_the_version_is_printed(convlens):
    outcome = convlens("--version")
    assert (outcome.status, outcome.stdout.strip()) == (0, package.__version__)


@pytest.mark.parametrize("module", ["convlens", "convlens.cli"])
def test_the_module_is_the_command(process, module):
    child = process("--version", program=("-m", module))
    assert (child.communicate()[0].strip(), child.returncode) == (package.__version__, 0)


def test_every_public_name_is_there_and_another_is_told():
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="convlens has no 'nonesuch'; it has ConvClassifier, Run"):
        assert package.nonesuch


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_idle_threads_sleep_soon_unless_the_user_said_otherwise(given, expected, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    let_threads_sleep()
    assert os.environ.get("GOMP_SPINCOUNT") == expected
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


def test_what_a_command_imports_the_collector_leaves_alone():
    code = (
        "import gc; from convlens.cli.guard import load; load('convlens.workbench'); "
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_an_import_that_fails_leaves_the_collector_at_work():
    with pytest.raises(ModuleNotFoundError):
        load("convlens.no_such_room")
    assert gc.isenabled()
