"""`convlens train … --serve`: watched while it lasts, the run's page afterwards, until Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from urllib.request import Request, urlopen

import pytest

LENET = ("train", "digits", "--model", "lenet5", "--precision", "fp32", "--threads", "1", "--out", "run")


def asked(url: str, *, method: str = "GET") -> dict:
    with urlopen(Request(url, method=method), timeout=20) as answer:
        return json.load(answer)


def address_of(child: subprocess.Popen[str], words: str) -> str:
    """The address in the line on stderr that begins with these words."""
    while line := child.stderr.readline():
        if found := re.match(f"{words} (http://127.0.0.1:[0-9]+/)", line):
            return found[1]
    raise AssertionError(f"nothing begins with {words!r}; it ended with {child.wait()}")


def test_a_port_needs_a_page_and_a_free_one(convlens, tmp_path):
    other = convlens("train", "digits", "--port", "8123", "--out", tmp_path / "run")
    assert (other.status, other.complaint) == (2, "--port 8123 is that of --serve, which did not come; add it")
    other = convlens("train", "digits", "--serve", "--port", "70000", "--out", tmp_path / "run")
    assert (other.status, "expected 0, for a free one, to 65535" in other.complaint) == (2, True)
    assert not (tmp_path / "run").exists()


def test_with_json_it_ends_when_the_training_does(convlens, tmp_path):
    ended = convlens(*LENET[:-1], tmp_path / "run", "--epochs", "1", "--serve", "--port", "0", "--json")
    assert (ended.status, ended.json["epochs"]) == (0, 1)
    assert ended.stderr.startswith("watch it at http://127.0.0.1:")


@pytest.mark.slow
def test_the_page_stays_when_the_training_has_ended_and_ctrl_c_is_no_failure(process):
    child = process(*LENET, "--epochs", "2", "--serve", "--port", "0")
    url = address_of(child, "watch it at")
    assert address_of(child, "the run is open at") == url
    assert asked(f"{url}v1/run")["name"] == "run"
    assert asked(f"{url}v1/training")["phase"] == "done"
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=30)
    assert (child.returncode, "run: trained in" in stdout, stderr) == (0, True, "")


@pytest.mark.slow
def test_a_stop_from_the_page_is_that_of_ctrl_c(process, tmp_path):
    child = process(*LENET, "--epochs", "40", "--serve", "--port", "0")
    url = address_of(child, "watch it at")
    give_up = time.monotonic() + 60
    while not asked(f"{url}v1/training")["history"] and time.monotonic() < give_up:
        time.sleep(0.05)
    assert asked(f"{url}v1/training/stop", method="POST") == {"stopping": True}
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout) == (130, "")
    last = stderr.splitlines()[-1]
    assert last.startswith("convlens: stopped and saved at step ") and "--resume run" in last
    assert not (tmp_path / "run" / "run.json").exists()
