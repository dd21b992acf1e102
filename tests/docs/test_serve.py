"""The calls that docs/serve.md shows are answered."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess

import pytest

from convlens.server import Limits, running_server
from convlens.server.routes import ROUTES

from .conftest import ROOT, blocks

PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


def test_the_page_names_every_call():
    for one in ROUTES:
        shown = one.path.replace("{id}", "ID").replace("{name}", "NAME")
        assert f"`{one.method} {shown}`" in PAGE, one.path


def test_the_calls_of_the_page_are_answered(working_folder):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    lines = [line for block in blocks(PAGE, "sh") for line in block.splitlines() if line.startswith("curl ")]
    assert len(lines) >= 3
    with running_server("runs/demo") as served:
        for line in lines:
            words = shlex.split(line.replace("http://127.0.0.1:8000/", served.url))
            done = subprocess.run([*words, "--silent", "--fail"], capture_output=True, check=True)
            assert json.loads(done.stdout)


def test_the_page_tells_the_limits_as_they_are():
    limits = Limits()
    assert (limits.body, limits.json_body, limits.json_text) == (32 << 20, 48 << 20, 1 << 20)
    for told in (
        f"| pictures in a call | {limits.pictures} |",
        f"{limits.waiting} light ones and {limits.heavy_waiting} that take long",
        f"{limits.pictures_waiting} pictures that wait",
        f"| bodies of all requests together | {limits.bytes_waiting >> 20} MiB |",
        f"| an answer | {limits.seconds:g} s, for what takes long {limits.long_seconds:g} s |",
        f"| connections | {limits.connections}; headers must come within {limits.header_seconds:g} s, and an answer be "
        f"read within {limits.body_seconds:g} s |",
    ):
        assert told in PAGE
