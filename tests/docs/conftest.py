"""A working folder as a reader of the documentation has it: runs/demo is there, one thread suffices."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread

import httpx
import pytest
import typer.main
from typer.core import TyperCommand
from typer.testing import CliRunner, Result

import convlens
from convlens.cli.app import app

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
AUTHORIZED = {"Authorization": "Bearer TOKEN"}  # for the commands that are shown with --token TOKEN
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language in a page of Markdown."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def listed_commands(text: str) -> list[str]:
    """The lines of a page's shell blocks that call convlens, without their comments."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.startswith("convlens ")]


def subcommands() -> dict[str, TyperCommand]:
    group = typer.main.get_command(app)
    return dict(group.commands)  # type: ignore[attr-defined]


def parse(line: str) -> None:
    """Raises where the command or one of its options is not there."""
    _, name, *arguments = shlex.split(line)
    commands = subcommands()
    assert name in commands, f"there is no command {name}"
    commands[name].make_context(name, arguments)


def convlens_command(line: str) -> Result:
    """What `convlens …` gives, in this process."""
    program, *arguments = shlex.split(line)
    assert program == "convlens"
    if arguments[0] == "serve" and "--help" not in arguments:
        return served_until_healthy(arguments)
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def served_until_healthy(arguments: list[str]) -> Result:
    """A server is asked how it is as soon as it listens, on a free port, and then told to stop."""
    from convlens.server.listening import Server

    asked: list[int] = []

    def ask_and_stop(server: Server, listening: Callable[[], None]) -> None:
        listening()
        port = server.servers[0].sockets[0].getsockname()[1]

        def ask() -> None:
            asked.append(httpx.get(f"http://127.0.0.1:{port}/v1/health", headers=AUTHORIZED).status_code)
            server.should_exit = True

        Thread(target=ask, daemon=True).start()

    startup = Server.startup

    async def started(server: Server, sockets: object = None) -> None:
        server.on_started = partial(ask_and_stop, server, server.on_started)
        await startup(server, sockets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Server, "startup", started)
        done = CliRunner().invoke(app, [*arguments, "--port", "0", "--no-open"], catch_exceptions=False)
    assert asked == [200], "the server answers"
    return done


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `convlens demo` leaves, after two epochs: with scores, thumbnails and explanations. Read it."""
    run = tmp_path_factory.mktemp("shown") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        shorten_demo(patch)
        convlens.demo(out=run)
    assert list((run / "thumbnails").iterdir()), "a training of two epochs makes mistakes"
    return run


@pytest.fixture
def working_folder(demo_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test: it holds runs/demo, and the same as runs/plain."""
    shutil.copytree(demo_run, tmp_path / "runs" / "demo")
    shutil.copytree(demo_run, tmp_path / "runs" / "plain")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def short_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """`convlens demo` with two epochs; `make demo` runs the whole of it."""
    shorten_demo(monkeypatch)


def shorten_demo(patch: pytest.MonkeyPatch) -> None:
    import_module("convlens.workbench")
    room = sys.modules["convlens.workbench.demo"]  # the package's attribute of that name is the verb
    train: Callable[..., object] = room.train
    quick = {"epochs": 2, "precision": "fp32"}
    patch.setattr(room, "train", lambda *args, **options: train(*args, **{**options, **quick}))
