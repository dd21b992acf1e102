"""The commands that a training proposes at its end hold for the network that it made."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from convlens.cli.app import app

OWN = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, num_classes):
        super().__init__(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(676, num_classes))
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "my net.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize(
    ("network", "proposed"),
    [("lenet5", ""), ("perceptron", " --method saliency"), ("gru_rows", " --method saliency"), ("own", " --network ")],
)
def test_what_is_proposed_fits_the_network_and_runs(
    network: str, proposed: str, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)).save("one.png")
    which = f"--network '{net.name}:Net' --image-size 28" if network == "own" else f"--model {network}"
    trained = CliRunner().invoke(app, shlex.split(f"train digits {which} --epochs 1 --out run"))
    assert trained.exit_code == 0, trained.output
    lines = [line.strip() for line in re.findall(r"convlens (.*?)\s*│", trained.output)]
    assert len(lines) == 2 and lines[1].startswith(f"explain run PICTURES{proposed}")
    for line in lines if network in ("perceptron", "own") else []:
        answer = CliRunner().invoke(app, shlex.split(line.replace("PICTURES", "one.png")))
        assert answer.exit_code == 0, answer.output
