"""A run of every release is still read, and answers as it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import convlens
from convlens.data import open_images
from convlens.runs import FORMAT_VERSION

GOLDEN = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())


def expected(golden: Path) -> dict:
    return json.loads((golden / "expected.json").read_text(encoding="utf-8"))


def test_this_version_has_a_golden_run():
    assert convlens.__version__ in [golden.name for golden in GOLDEN]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_a_golden_run_predicts_the_same_logits(golden):
    run = convlens.Run.load(golden)
    wanted = torch.tensor(expected(golden)["logits"])
    digits = open_images("digits")
    pictures = [digits.reader.read(index) for index in range(len(wanted))]
    torch.testing.assert_close(run.model(run.preprocess(pictures)), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_everything_in_a_golden_run_is_read(golden):
    run = convlens.Run.load(golden)
    assert run.manifest.format_version <= FORMAT_VERSION
    assert run.manifest.versions["convlens"] == golden.name
    assert run.classes == tuple("0123456789")
    assert run.splits is not None and sum(run.splits.counts().values()) == 1797
    assert [row["step"] for row in run.history] == [run.manifest.metrics["steps"]]
    (evaluation,) = run.evaluations.values()
    assert evaluation["accuracy"] == expected(golden)["accuracy"]
    assert np.array(evaluation["confusion"]).sum() == evaluation["num_pictures"]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_a_golden_run_is_scored_as_it_was(golden, tmp_path):
    run = shutil.copytree(golden, tmp_path / "run")
    scores = convlens.evaluate(run).scores
    assert abs(scores.accuracy - expected(golden)["accuracy"]) <= 1 / scores.num_pictures


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_a_golden_run_is_small(golden):
    assert (golden / "weights.safetensors").stat().st_size < 40_000
    assert sum(path.stat().st_size for path in golden.rglob("*") if path.is_file()) < 200_000
