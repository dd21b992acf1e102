"""`shrink --quantise` and `--cluster`: a new run in fewer bits, and an honest word on what it was worth."""

from __future__ import annotations

import json
import signal
from importlib import import_module
from pathlib import Path

import pytest
import torch

import convlens
from convlens.cli import compare_tables
from convlens.errors import ExportError, RunError, Stopped, UsageError
from convlens.exporting import onnx_bytes
from convlens.layers.fake_quantised import float_network
from convlens.runs import Run
from convlens.workbench import export, shrink
from convlens.workbench.where import whole_already
from tests.docs.test_run_format import check


@pytest.fixture(scope="module")
def eight_bits(trained_run: Path, tmp_path_factory):
    told: list[str] = []
    return shrink(trained_run, quantise="int8", out=tmp_path_factory.mktemp("bits") / "int8", tell=told.append), told


def test_a_run_becomes_one_of_eight_bits_that_answers_nearly_the_same(eight_bits, trained_run: Path) -> None:
    found, told = eight_bits
    (one,) = found.shrunk
    assert one.answers.agreement > 0.97
    assert found.num_pictures == one.answers.num_pictures == 179
    assert one.file_bytes < 0.32 * found.before_bytes
    assert one.figures.macs == found.before.macs
    assert one.file is not None and one.file.agreement > 0.97 and one.file.answers.num_pictures == 179
    assert any("bytes and latency are those of the ONNX files" in line for line in told)
    made, whole = Run.load(one.run), Run.load(trained_run)
    manifest = json.loads(made.folder.manifest.read_text())
    check(manifest)
    layers = {"stages.c1", "stages.c3", "head.c5", "head.f6", "head.output"}
    assert manifest["format_version"] == 3 and set(manifest["quantisation"]["inputs"]) == layers
    assert all(torch.equal(made.model.state_dict()[name], value) for name, value in whole.model.state_dict().items())
    assert made.splits == whole.splits


def test_its_bytes_are_those_of_the_files_that_export_writes(eight_bits, trained_run: Path, tmp_path: Path) -> None:
    found, _ = eight_bits
    for run, kind, size in (
        (trained_run, "onnx", found.before_bytes),
        (found.shrunk[0].run, "onnx-int8", found.shrunk[0].file_bytes),
    ):
        (file,) = export(run, format=kind, out=tmp_path / f"{kind}.onnx").files
        assert file.size_bytes == size


def test_a_quantised_run_is_evaluated_and_measured_and_shrunk_no_further(
    eight_bits, trained_run: Path, tmp_path: Path
) -> None:
    run = eight_bits[0].shrunk[0].run
    assert convlens.evaluate(run).scores.accuracy > 0.8
    assert convlens.measure(run).network == convlens.measure(trained_run).network
    compared = convlens.compare([trained_run, run]).rows
    assert compared[0].macs == compared[1].macs and all(row.complete for row in compared)
    for options in ({"prune": 0.5}, {"cluster": 5}):
        with pytest.raises(UsageError, match="is quantised; shrink the run that it was made from"):
            shrink(run, out=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_file_that_differs_from_its_run_is_told_first(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(model: torch.nn.Module, shape: tuple[int, ...], *_: object, **__: object) -> bytes:
        changed = float_network(model)
        torch.nn.init.normal_(list(changed.parameters())[-1], std=5)
        return onnx_bytes(changed, shape)

    monkeypatch.setattr("convlens.workbench.fewer_bits.int8_network_bytes", other)
    (one,) = shrink(trained_run, quantise="int8", out=tmp_path / "new").shrunk
    assert one.file is not None and one.file.agreement < 0.98
    assert one.verdict.startswith("the int8 file gives another class than its run for ")


def test_training_in_spite_of_rounding_moves_the_weights(trained_run: Path, tmp_path: Path) -> None:
    options = {"quantise": "int8", "epochs": 1, "learning_rate": 1e-3}
    made = Run.load(shrink(trained_run, out=tmp_path / "run", **options).shrunk[0].run)
    assert made.manifest.weights["sha256"] != Run.load(trained_run).manifest.weights["sha256"]


def test_a_run_of_clustered_weights_takes_a_fifth_of_the_bytes(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shrink(trained_run, cluster=4, sparsity=0.3, epochs=1, out=tmp_path / "small")
    (one,) = found.shrunk
    assert (one.run / "weights.packed").stat().st_size == one.file_bytes < 0.2 * found.before_bytes
    assert one.answers.agreement > 0.85
    run = Run.load(one.run)
    check(json.loads(run.folder.manifest.read_text()))
    for path in ("stages.c3", "head.c5"):
        weight = run.model.get_submodule(path).weight
        assert isinstance(weight, torch.Tensor) and len(weight.unique()) <= 17
    assert convlens.evaluate(one.run).scores.accuracy == pytest.approx(one.figures.accuracy)
    compared = convlens.compare([trained_run, one.run])
    assert compared.rows[1].file_bytes == one.file_bytes < compared.rows[1].weight_bytes / 5
    assert compared.rows[0].file_bytes == found.before_bytes
    compare_tables.print_rows(compared)
    assert "file" in capsys.readouterr().out.splitlines()[2]


def refused(*_: object, **__: object) -> bytes:
    raise ExportError("it does not go into ONNX")


def test_a_network_that_does_not_go_into_onnx_leaves_nothing_behind(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convlens.workbench.fewer_bits.int8_network_bytes", refused)
    with pytest.raises(ExportError, match="it does not go into ONNX"):
        shrink(trained_run, quantise="int8", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_onnx_lacks_is_told_before_anything_learns(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convlens.workbench.fewer_bits.onnx_bytes", refused)
    monkeypatch.setattr("convlens.shrinking.quantise", lambda *_, **__: pytest.fail("it was quantised"))
    with pytest.raises(ExportError, match="it does not go into ONNX"):
        shrink(trained_run, quantise="int8", epochs=3, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_ctrl_c_after_the_new_run_is_saved_names_it_and_how_to_judge_it(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("convlens.workbench.shrink"), "judged_as_files", interrupted)
    with pytest.raises(Stopped, match=f"whole and saved: {tmp_path}/new; .*convlens compare {trained_run} {tmp_path}"):
        shrink(trained_run, cluster=4, out=tmp_path / "new")
    assert Run.load(tmp_path / "new").model
    with pytest.raises(KeyboardInterrupt), whole_already(Run.load(trained_run), []):
        raise KeyboardInterrupt


def test_a_training_that_diverges_leaves_nothing_behind(trained_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="NaN or infinite"):
        shrink(trained_run, cluster=4, epochs=1, learning_rate=1e30, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_epochs_that_are_stopped_leave_nothing_behind_and_say_how_far_they_were(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fingerprint
) -> None:
    def stopped(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return loss(logits, labels)

    loss, before, heard = torch.nn.functional.cross_entropy, fingerprint(trained_run), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("convlens.shrinking.tuning.functional.cross_entropy", stopped)
    with pytest.raises(Stopped, match="stopped after 1 step of epoch 1 of 3; nothing was saved") as error:
        shrink(trained_run, cluster=4, epochs=3, out=tmp_path / "new")
    assert error.value.exit_status == 143
    assert not (tmp_path / "new").exists()
    assert (fingerprint(trained_run), signal.getsignal(signal.SIGTERM)) == (before, heard)


WRONG = {
    "too many bits": ({"cluster": 13}, "13 bits came"),
    "unknown": ({"quantise": "int4"}, "--quantise came as 'int4'"),
    "both": ({"quantise": "int8", "cluster": 5}, "give one"),
    "with another way": ({"quantise": "int8", "prune": 0.5}, "fewer bits come last"),
    "zeros alone": ({"sparsity": 0.5, "prune": 0.5}, "--sparsity goes with --cluster"),
    "a budget": ({"cluster": 5, "budget": "5m"}, "--budget came with fewer bits"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_had_leaves_nothing_behind(case: str, trained_run: Path, tmp_path: Path) -> None:
    options, says = WRONG[case]
    with pytest.raises(UsageError, match=says):
        shrink(trained_run, out=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()
