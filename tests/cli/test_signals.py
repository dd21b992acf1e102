"""Ctrl-C and SIGTERM save, say how to go on, and the printed command goes on."""

from __future__ import annotations

import gc
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convlens.cli.guard import load
from convlens.cli.signals import Terminated, hearing_sigterm

LONG = ("--model", "lenet5", "--epochs", "10", "--precision", "fp32", "--threads", "1", "--json")


def started(process, tmp_path: Path) -> subprocess.Popen[str]:
    """A training in its second epoch."""
    child = process("train", "digits", "--out", "run", *LONG)
    history = tmp_path / "run" / "history.jsonl"
    give_up = time.monotonic() + 60
    while not history.exists() and child.poll() is None and time.monotonic() < give_up:
        time.sleep(0.01)
    return child


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_the_printed_command_goes_on_to_the_end(number, status, process, convlens, tmp_path):
    child = started(process, tmp_path)
    child.send_signal(number)
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout) == (status, "")
    last = stderr.splitlines()[-1]
    assert last.startswith("convlens: stopped and saved at step ")
    assert "Traceback" not in stderr
    command = shlex.split(last.partition("go on with: ")[2])
    assert command[0] == "convlens"
    other = convlens("train", "--resume", tmp_path / "run", "--epochs", "7")
    assert (other.status, "--epochs came as 7, and this training began with 10" in other.complaint) == (2, True)
    resumed = process(*command[1:])
    _, stderr = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, stderr
    assert (tmp_path / "run" / "run.json").exists()
    assert not (tmp_path / "run" / "checkpoints" / "last.safetensors").exists()


@pytest.mark.parametrize(
    ("command", "next_step"),
    [
        ("doctor", "begin `convlens doctor` again"),
        ("train digits", "a training that had begun goes on with `convlens train --resume`, all else is begun again"),
    ],
)
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_before_the_training_is_one_line(tmp_path, command, next_step, name, status):
    verb, *_ = words = command.split()
    stop = f"import convlens.workbench as w, signal; w.{verb} = lambda *a, **k: signal.raise_signal(signal.{name})"
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # a job in the background ignores it
    text = f"import sys; sys.argv = ['convlens', *{words}]; {stop}; {heard}; from convlens.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == status
    assert done.stderr.splitlines()[-1] == f"convlens: stopped; nothing half-written is left: {next_step}"
    assert "Traceback" not in done.stderr


def test_sigterm_while_pictures_are_read_leaves_no_folder(tmp_path):
    stop = "sys.modules['convlens.workbench.train'].gather = lambda *a, **k: signal.raise_signal(signal.SIGTERM)"
    words = ["convlens", "train", "digits", "--out", "run"]
    text = f"import signal, sys, convlens.workbench; {stop}; sys.argv = {words}; from convlens.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (143, False), done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Terminated])
def test_a_signal_waits_until_what_a_command_needs_is_imported(stop, tmp_path, monkeypatch):
    number = signal.SIGTERM if stop is Terminated else signal.SIGINT
    (tmp_path / "begun_room.py").write_text(f"import signal\nsignal.raise_signal({int(number)})\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(gc, "isenabled", lambda: True)  # which another test may have left otherwise
    for name in ("disable", "enable", "freeze"):
        monkeypatch.setattr(gc, name, lambda: None)
    with pytest.raises(stop), hearing_sigterm():
        load("begun_room")
    assert sys.modules.pop("begun_room").whole
