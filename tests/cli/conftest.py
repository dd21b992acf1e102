"""The command line in this process, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from convlens.cli.app import app

QUICK = ("--model", "perceptron", "--epochs", "1", "--precision", "fp32", "--threads", "1")


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """All of stdout as strict JSON."""
        return json.loads(self.stdout, parse_constant=_not_json)

    @property
    def complaint(self) -> str:
        """The only line on stderr, and nothing on stdout."""
        assert self.stdout == ""
        (line,) = self.stderr.splitlines()
        assert line.startswith("convlens: ")
        return line.removeprefix("convlens: ")


def _not_json(text: str) -> NoReturn:
    raise AssertionError(f"{text} is no JSON")


@pytest.fixture
def convlens() -> Callable[..., Outcome]:
    """convlens("predict", run, "-", stdin="a.png") -> Outcome, in this process: quick."""

    def call(*arguments: object, stdin: str | None = None) -> Outcome:
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin, catch_exceptions=False)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """process("train", …) -> a running process in the test's folder, which does not outlive the test."""
    children: list[subprocess.Popen[str]] = []

    def start(*arguments: object, program: tuple[str, ...] = ("-m", "convlens.cli"), **environment: str) -> Any:
        child = subprocess.Popen(
            [sys.executable, *program, *(str(one) for one in arguments)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.kill()
            child.communicate()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two pictures, a.png and b.jpg."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.jpg")):
        array = np.random.default_rng(number).integers(0, 256, (24, 20), dtype=np.uint8)
        Image.fromarray(array).save(folder / name)
    return folder


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Twelve pictures in two class folders."""
    for place, label in enumerate(("circle", "square")):
        (tmp_path / "classes" / label).mkdir(parents=True)
        for number in range(6):
            array = np.random.default_rng(100 * place + number).integers(0, 256, (24, 20, 3), dtype=np.uint8)
            Image.fromarray(array).save(tmp_path / "classes" / label / f"{number}.png")
    return tmp_path / "classes"
