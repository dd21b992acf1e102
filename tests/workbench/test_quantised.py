"""`shrink --quantise` and `--cluster`: a new run in fewer bits, and an honest word on what it was worth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import convlens
from convlens.cli.app import app
from convlens.errors import ExportError, UsageError
from convlens.runs import Run
from convlens.workbench import cluster, quantise
from tests.docs.test_run_format import check


def test_a_run_becomes_one_of_eight_bits_that_answers_nearly_the_same(trained_run: Path, tmp_path: Path) -> None:
    before = (trained_run / "run.json").read_bytes()
    told: list[str] = []
    result = quantise(trained_run, out=tmp_path / "int8", tell=told.append)
    assert result.answers is not None and result.answers.agreement > 0.97
    assert result.num_pictures == result.answers.num_pictures == 179
    assert result.after.weight_bytes < 0.32 * result.before.weight_bytes
    assert result.after.macs == result.before.macs and result.epochs == 0
    assert "bytes and latency are those of the ONNX files, by ONNX Runtime" in told
    made, whole = Run.load(result.run), Run.load(trained_run)
    manifest = json.loads(made.folder.manifest.read_text())
    check(manifest)
    assert manifest["format_version"] == 3 and set(manifest["quantisation"]["inputs"]) == {
        *("stages.c1", "stages.c3", "head.c5", "head.f6", "head.output")
    }
    assert all(torch.equal(made.model.state_dict()[name], value) for name, value in whole.model.state_dict().items())
    assert made.splits == whole.splits and (trained_run / "run.json").read_bytes() == before


def test_training_in_spite_of_rounding_moves_the_weights_and_is_repeatable(trained_run: Path, tmp_path: Path) -> None:
    def digest(name: str) -> str:
        run = Run.load(quantise(trained_run, epochs=1, learning_rate=1e-3, out=tmp_path / name).run)
        return str(run.manifest.weights["sha256"])

    assert digest("a") == digest("b") != Run.load(trained_run).manifest.weights["sha256"]


def test_a_run_of_clustered_weights_takes_a_fifth_of_the_bytes(trained_run: Path, tmp_path: Path) -> None:
    result = cluster(trained_run, bits=4, sparsity=0.3, epochs=1, out=tmp_path / "small")
    file = result.run / "weights.packed"
    assert file.stat().st_size == result.after.weight_bytes < 0.2 * result.before.weight_bytes
    assert result.answers is not None and result.answers.agreement > 0.85
    run = Run.load(result.run)
    check(json.loads(run.folder.manifest.read_text()))
    for path in ("stages.c3", "head.c5"):
        weight = run.model.get_submodule(path).weight
        assert isinstance(weight, torch.Tensor) and len(weight.unique()) <= 17
    assert convlens.evaluate(result.run).scores.accuracy == pytest.approx(result.after.accuracy)


def test_a_quantised_run_is_evaluated_measured_and_quantised_again_but_neither_pruned_nor_clustered(
    trained_run: Path, tmp_path: Path
) -> None:
    run = quantise(trained_run, method="minmax", out=tmp_path / "int8").run
    assert convlens.evaluate(run).scores.accuracy > 0.8
    assert convlens.measure(run).network.macs == convlens.measure(trained_run).network.macs
    again = quantise(run, method="minmax", out=tmp_path / "again").run
    assert Run.load(again).manifest.quantisation == Run.load(run).manifest.quantisation
    with pytest.raises(UsageError, match="is quantised; prune the run that it was made from"):
        convlens.shrink(run, out=tmp_path / "new")
    with pytest.raises(UsageError, match="is quantised; cluster the run that it was made from"):
        cluster(run, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_network_that_does_not_go_into_onnx_leaves_nothing_behind(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise ExportError("it does not go into ONNX")

    monkeypatch.setattr("convlens.workbench.quantised.int8_network_bytes", refuse)
    with pytest.raises(ExportError, match="it does not go into ONNX"):
        quantise(trained_run, method="minmax", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_bad_bits_leave_nothing_behind(trained_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="13 bits came"):
        cluster(trained_run, bits=13, out=tmp_path / "new")
    with pytest.raises(UsageError, match="the calibration method is 'mean'"):
        quantise(trained_run, method="mean", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_takes_one_way_at_a_time(trained_run: Path, tmp_path: Path) -> None:
    def told(*options: str) -> str:
        outcome = CliRunner().invoke(app, ["shrink", str(trained_run), "--out", str(tmp_path / "new"), *options])
        assert outcome.exit_code == 2
        return outcome.stderr

    assert "one of --prune, --quantise and --cluster at a time" in told("--prune", "0.5", "--cluster", "5")
    assert "--quantise is 'int4'; expected int8" in told("--quantise", "int4")
    assert not (tmp_path / "new").exists()


def test_the_command_prints_the_verdict_and_both_runs(trained_run: Path, tmp_path: Path) -> None:
    options = ["--cluster", "5", "--sparsity", "0.2", "--out", str(tmp_path / "new")]
    outcome = CliRunner().invoke(app, ["shrink", str(trained_run), *options])
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.splitlines()[0].endswith("times smaller")
    assert "before" in outcome.stdout and "after" in outcome.stdout and "the same answer to" in outcome.stdout
