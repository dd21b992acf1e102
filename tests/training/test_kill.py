"""kill -9 at any moment: what goes on from the last checkpoint ends with the very same weights."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convlens.errors import RunError
from convlens.runs import Run
from convlens.workbench import train

CHILD = """
import os, signal, sys
from convlens.workbench import train
out, stop_at, options = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
def die(stage, done, total, detail):
    if stage == "train" and done == stop_at:
        os.kill(os.getpid(), signal.SIGKILL)
train("digits", out=out, precision="fp32", threads=1, progress=die, **options)
"""
LENET = {"model": "lenet5", "epochs": 2, "batch": 64, "checkpoint_seconds": 0.05}
MOBILE = {
    "model": "mobilenet_v3_small",
    "model_options": {"width": 0.5},
    "epochs": 1,
    "batch": 64,
    "optimiser": "sgd",
    "ema": 0.9,
    "checkpoint_seconds": 0.3,
}
NUM_STEPS = {"lenet5": 44, "mobilenet_v3_small": 22}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digest of the weights that each training ends with when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    return {o["model"]: weights_after(folder / o["model"], o) for o in (LENET, MOBILE)}


def weights_after(out: Path, options: dict) -> str:
    train("digits", out=out, precision="fp32", threads=1, **options)
    return Run.load(out).manifest.weights["sha256"]


def killed_at(out: Path, stop_at: int, options: dict) -> None:
    command = [sys.executable, "-c", CHILD, str(out), str(stop_at), repr(options)]
    assert subprocess.run(command, capture_output=True).returncode == -9


def check(whole: dict[str, str], out: Path, options: dict, stop_at: int) -> None:
    killed_at(out, stop_at, options)
    with pytest.raises(RunError, match="--resume"):
        Run.load(out)
    train(resume=out)
    assert Run.load(out).manifest.weights["sha256"] == whole[options["model"]]


@pytest.mark.parametrize("number", range(3))
def test_a_killed_training_goes_on_bit_exactly(whole, tmp_path, number):
    options = (LENET, MOBILE, LENET)[number]
    check(whole, tmp_path / "run", options, random.Random(number).randint(1, NUM_STEPS[options["model"]]))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(17))
def test_a_killed_training_goes_on_bit_exactly_again_and_again(whole, tmp_path, number):
    options = (LENET, MOBILE)[number % 2]
    check(whole, tmp_path / "run", options, random.Random(100 + number).randint(1, NUM_STEPS[options["model"]]))


@pytest.mark.slow
def test_a_training_killed_many_times_while_it_writes_goes_on_bit_exactly(whole, tmp_path):
    """By the clock instead of the step, so that some of the kills fall into the writing of a checkpoint."""
    options = {**LENET, "checkpoint_seconds": 1e-3}
    draw = random.Random(5)
    for _ in range(3):
        out = tmp_path / f"run{_}"
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(out), "-1", repr(options)], stderr=subprocess.DEVNULL
        )
        while not (out / "checkpoints" / "last.safetensors").exists() and child.poll() is None:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.4)
        child.kill()
        child.wait()
        if not (out / "run.json").exists():
            train(resume=out)
        assert Run.load(out).manifest.weights["sha256"] == whole["lenet5"]
