"""Recipes and networks, timed on this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from convlens.errors import RunError, UsageError
from convlens.training import Recipe, Record
from convlens.workbench import bench
from convlens.workbench.bench import RecipeTimes


def test_a_network_is_timed_and_the_generator_left_alone():
    state = torch.random.get_rng_state()
    result = bench(["perceptron"], batch=8)
    (row,) = result.networks
    assert row.input_shape[1:] == (1, 28, 28)
    assert result.recipes == () and (row.name, row.input_shape[0]) == ("perceptron", 8)
    assert 0 < row.throughput.slowest <= row.throughput.median <= row.throughput.fastest
    assert torch.equal(torch.random.get_rng_state(), state)
    assert row.way.split(", ")[0] == row.throughput.choice.precision


def test_every_named_thing_is_timed_in_its_order():
    seen = []
    result = bench(["mlp", "perceptron"], batch=4, progress=lambda *at: seen.append(at[3]))
    assert [row.name for row in result.networks] == ["mlp", "perceptron"] and seen == ["mlp", "perceptron", ""]


def test_networks_are_timed_on_the_device_that_is_asked_for():
    (row,) = bench(["mlp"], batch=4, device="cpu").networks
    assert (row.device, row.way.split(", ")[-1][:6]) == ("cpu", "memory")
    with pytest.raises(UsageError, match="--device cudo cannot be used here"):
        bench(["mlp"], batch=4, device="cudo")


@pytest.mark.parametrize("wrong", [{"names": ["mnits"]}, {"seeds": 0}, {"batch": 1}])
def test_what_cannot_be_timed_is_said(wrong):
    with pytest.raises(UsageError):
        bench(**wrong)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch": 64}, "--batch came as 64 without a network, which it is for; name one, or leave it out"),
        ({"names": ["mnist"], "batch": 64}, "--batch came as 64 without a network"),
        ({"names": ["mlp"], "seeds": 3}, "--seeds came as 3 without a recipe"),
        ({"names": ["mlp"], "data_dir": "sets"}, "--data-dir came as sets without a recipe"),
        ({"names": ["mlp"], "batch": 1}, "--batch came as 1; expected a whole number of 2 or more"),
    ],
)
def test_what_would_change_nothing_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        bench(**given)


def test_a_recipe_is_trained_and_scored_by_the_commands_themselves(monkeypatch: pytest.MonkeyPatch):
    record = Record("quick", "digits", "perceptron", Recipe(), augment=None, tta="mirror")  # type: ignore[arg-type]
    asked = []

    def answer(*command: str) -> dict:
        asked.append(command)
        if command[0] == "train":
            run = Path(command[command.index("--out") + 1])
            run.mkdir()
            (run / "run.json").write_text(json.dumps({"metrics": {"train_seconds": 1.5}}))
        return {"scores": {"accuracy": 0.9 + 0.01 * len(asked)}}

    monkeypatch.setattr(bench_file(), "_answer", answer)
    times = bench_file()._trained(record, 2, "sets", torch.device("cpu"))
    assert [words[0] for words in asked] == ["train", "evaluate"] * 2
    assert asked[0][1:6] == ("digits", "--recipe", "quick", "--seed", "0") and asked[2][5] == "1"
    assert asked[0][6:8] == ("--device", "cpu")
    assert asked[0][-2:] == asked[1][-2:] == ("--data-dir", "sets")
    assert asked[1][3:5] == ("--tta", "mirror") and times.tta == "mirror"
    assert times.accuracies == pytest.approx((0.92, 0.94)) and times.training_s == (1.5, 1.5)


def test_accuracy_is_the_mean_and_one_seed_has_no_deviation():
    assert RecipeTimes("r", "d", (0.9, 0.94), (1.0,) * 2, (2.0,) * 2).deviation == pytest.approx(0.0283, abs=1e-4)
    one = RecipeTimes("r", "d", (0.9,), (1.0,), (2.0,))
    assert (one.accuracy, one.deviation) == (0.9, None)


def test_a_training_that_fails_is_told_with_its_last_line():
    with pytest.raises(RunError, match=r"convlens evaluate nowhere failed: .*nowhere"):
        bench_file()._answer("evaluate", "nowhere")


def bench_file():
    """The module, whose name in its package is that of the function."""
    return sys.modules["convlens.workbench.bench"]
