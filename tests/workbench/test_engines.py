"""`predict` and `evaluate` by an engine: the same answers; what was chosen is kept, and measured anew when stale."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from convlens.engines import ENGINES, Agreement, open_engine
from convlens.engines.onnx_runtime import OnnxRuntimeEngine
from convlens.errors import ExportError, PictureError, StorageError, UsageError
from convlens.runs import Run
from convlens.storage import cache_dir
from convlens.workbench import PredictResult, engine_record, evaluate, predict, running, shrink
from convlens.workbench.inference import AHEAD, decoded_ahead

DIGITS: list[np.ndarray] = [(16 * image).clip(0, 255).astype(np.uint8) for image in load_digits().images[:40]]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread and a second to choose; the export of each run once for all tests is the cache's own work."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    chosen = running.choose_engine
    monkeypatch.setattr(running, "choose_engine", lambda *args, **options: chosen(*args, **options, budget_s=1.0))


def apart(one: PredictResult, other: PredictResult) -> float:
    pairs = zip(one.predictions, other.predictions, strict=True)
    return max(abs(dict(a.top)[name] - dict(b.top)[name]) for a, b in pairs for name in dict(a.top))


@pytest.mark.parametrize("engine", sorted({*ENGINES} - {"plain"}))
def test_an_engine_predicts_as_torch_does(trained_run: Path, engine: str) -> None:
    plain = predict(trained_run, DIGITS, top=10)
    found = predict(trained_run, DIGITS, top=10, engine=engine)
    assert (plain.engine, found.engine) == ("plain", f"{engine}, fp32, 1 thread")
    assert apart(plain, found) < 1e-4


@pytest.mark.parametrize("verb", [lambda run, **options: predict(run, DIGITS, **options), evaluate])
def test_an_engine_that_was_named_and_answers_otherwise_is_refused(
    copied_run: Path, monkeypatch: pytest.MonkeyPatch, verb: Callable[..., object]
) -> None:
    answer = OnnxRuntimeEngine._logits
    monkeypatch.setattr(OnnxRuntimeEngine, "_logits", lambda *args: answer(*args) * torch.linspace(0.9, 1.1, 10))
    expected = (
        r"^the engine 'onnxruntime' does not answer as LeNet5 does: its probabilities .*; take 'plain' or 'auto'$"
    )
    with pytest.raises(ExportError, match=expected):
        verb(copied_run, engine="onnxruntime")
    assert not list(copied_run.glob("evaluation/*"))


def test_an_engine_that_was_named_is_compared_on_its_first_pictures_alone(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    agreement_on = running.agreement_on

    def counted(network: nn.Module, images: Tensor, logits: Tensor, **options: float) -> Agreement:
        compared.append(len(images))
        return agreement_on(network, images, logits, **options)

    monkeypatch.setattr(running, "agreement_on", counted)
    run = Run.load(trained_run)
    with running.running(run, "torch") as ran:
        for count in (1, 10, 10, 10):
            ran.network(torch.rand(count, 1, 28, 28))
    assert compared == [1, 10, 5]


def test_a_network_whose_answers_hang_on_the_batch_is_compared_on_the_same_pictures() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    with open_engine("torch", network, (1, 8, 8)) as engine:
        run = SimpleNamespace(model=network, temperature=1.0)
        assert running.Compared(engine, run)(torch.randn(64, 1, 8, 8)).shape == (64, 3)


def test_the_plain_network_is_the_default_and_writes_nothing(copied_run: Path) -> None:
    before = sorted(copied_run.rglob("*"))
    assert predict(copied_run, DIGITS) == predict(copied_run, DIGITS, engine="plain")
    assert sorted(copied_run.rglob("*")) == before


def test_an_unknown_engine_is_refused_before_anything_is_read(trained_run: Path) -> None:
    for verb in (lambda **options: predict(trained_run, DIGITS, **options), lambda **o: evaluate(trained_run, **o)):
        with pytest.raises(UsageError, match=r"'onnx'.*they are torch, onnxruntime, openvino, plain, auto"):
            verb(engine="onnx")


def test_an_export_that_was_damaged_in_the_cache_is_made_anew(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    plain = predict(trained_run, DIGITS, top=10)
    predict(trained_run, DIGITS, engine="onnxruntime")
    (file,) = (cache_dir() / "engines").glob("*.onnx")
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole.replace(whole[-4000:-3000], bytes(1000)), b""):
        file.write_bytes(damaged)
        assert apart(plain, predict(trained_run, DIGITS, top=10, engine="onnxruntime")) < 1e-4
        assert len(file.read_bytes()) == len(whole)


def test_a_run_of_eight_bits_is_not_taken_for_the_one_of_the_same_weights(trained_run: Path, tmp_path: Path) -> None:
    shrink(trained_run, quantise="int8", out=tmp_path / "rounded")
    assert Run.load(tmp_path / "rounded").manifest.weights["sha256"] == Run.load(trained_run).manifest.weights["sha256"]
    predict(trained_run, DIGITS, top=10, engine="onnxruntime")
    whole, plain = predict(trained_run, DIGITS, top=10), predict(tmp_path / "rounded", DIGITS, top=10)
    found = predict(tmp_path / "rounded", DIGITS, top=10, engine="onnxruntime")
    assert apart(plain, found) < apart(plain, whole) / 4  # a number may end in another step


def test_the_exported_network_stays_in_the_cache(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict(trained_run, DIGITS[:2], engine="onnxruntime")
    assert list((cache_dir() / "engines").glob("*.onnx"))
    monkeypatch.setattr("convlens.engines.model.onnx_bytes", None)
    predict(trained_run, DIGITS[:2], engine="openvino")


@pytest.fixture
def told() -> list[str]:
    return []


def record(run: Path) -> dict[str, Any]:
    (file,) = (run / "engines").iterdir()
    return json.loads(file.read_text())  # type: ignore[no-any-return]


def test_auto_measures_once_and_says_what_it_took(copied_run: Path, told: list[str]) -> None:
    found = predict(copied_run, DIGITS, top=10, engine="auto", tell=told.append)
    assert apart(found, predict(copied_run, DIGITS, top=10)) < 0.05
    assert told[0].startswith(f"engine: {found.engine}: ") and len(told) == 1
    again = predict(copied_run, DIGITS, top=10, engine="auto", tell=told.append)
    assert again.engine == found.engine and told[1] == f"{told[0]} (measured before)"
    (entry,) = record(copied_run)["choices"]
    assert entry["about"]["batch"] == 64 and entry["about"]["versions"]["openvino"]
    assert {one["settings"]["name"] for one in entry["choice"]["candidates"]} == set(ENGINES)


def test_a_choice_for_another_batch_is_kept_beside_it(copied_run: Path, told: list[str]) -> None:
    for pictures in (DIGITS, DIGITS[:1], DIGITS):
        predict(copied_run, pictures, engine="auto", tell=told.append)
    assert [line.endswith("(measured before)") for line in told] == [False, False, True]
    assert [one["about"]["batch"] for one in record(copied_run)["choices"]] == [64, 1]


def test_what_was_checked_on_one_picture_is_measured_anew_on_more(copied_run: Path, told: list[str]) -> None:
    run = Run.load(copied_run)
    predict(copied_run, DIGITS[:1], engine="auto")
    assert engine_record.known_choice(run, 1, threads=1, pictures=1) is not None
    assert engine_record.known_choice(run, 1, threads=1, pictures=40) is None
    assert engine_record.known_choice(run, 1, threads=2, pictures=1) is None


@pytest.mark.parametrize("key", ["weights_sha256", "versions"])
def test_a_choice_for_other_weights_or_versions_is_measured_anew(copied_run: Path, told: list[str], key: str) -> None:
    predict(copied_run, DIGITS, engine="auto")
    (file,) = (copied_run / "engines").iterdir()
    written = json.loads(file.read_text())
    written["choices"][0]["about"][key] = "others"
    file.write_text(json.dumps(written))
    predict(copied_run, DIGITS, engine="auto", tell=told.append)
    assert not told[0].endswith("(measured before)")
    assert len(record(copied_run)["choices"]) == 1


def test_a_choice_for_a_network_of_ones_own_is_measured_anew_for_its_code_may_have_changed(
    copied_run: Path, told: list[str]
) -> None:
    for _ in range(2):
        run = Run.load(copied_run, model=Run.load(copied_run).model)
        predict(run, DIGITS, engine="auto", tell=told.append)
    assert not any(line.endswith("(measured before)") for line in told)
    assert len(record(copied_run)["choices"]) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"choices": 3}', '{"choices": [{"about": 1}]}'])
def test_a_damaged_record_is_measured_anew(copied_run: Path, told: list[str], text: str) -> None:
    run = Run.load(copied_run)
    file = engine_record.record_of(run)
    file.parent.mkdir()
    file.write_text(text)
    assert engine_record.known_choice(run, 64, threads=1, pictures=40) is None


def test_a_choice_of_an_engine_that_was_not_measured_is_not_believed(copied_run: Path) -> None:
    predict(copied_run, DIGITS, engine="auto")
    (file,) = (copied_run / "engines").iterdir()
    written = json.loads(file.read_text())
    written["choices"][0]["choice"]["settings"]["threads"] = 64
    file.write_text(json.dumps(written))
    assert engine_record.known_choice(Run.load(copied_run), 64, threads=1, pictures=40) is None


def test_a_run_that_cannot_be_written_is_predicted_with_all_the_same(
    copied_run: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageError("cannot write it: permission denied")

    monkeypatch.setattr(engine_record, "write_json", refuse)
    assert len(predict(copied_run, DIGITS, engine="auto", tell=told.append).predictions) == 40
    assert told[-1] == "the choice of the engine is not kept: cannot write it: permission denied"


def test_without_the_packages_torch_is_taken_and_it_says_what_is_missing(
    copied_run: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    found = predict(copied_run, DIGITS, engine="auto", tell=told.append)
    assert found.engine.startswith(("torch, ", "plain, "))  # folded, or as it is where that is as fast
    assert "engine: onnxruntime is missing: pip install 'convlens[fast]'" in told


def test_evaluate_scores_by_an_engine_and_writes_which(copied_run: Path) -> None:
    plain = evaluate(copied_run)
    for tta in ("none", "mirror"):
        found = evaluate(copied_run, engine="onnxruntime", tta=tta)
        assert found.engine == "onnxruntime, fp32, 1 thread"
        assert json.loads(found.file.read_text())["engine"] == found.engine
        if tta == "none":
            assert found.scores.accuracy == plain.scores.accuracy
            assert found.scores.loss == pytest.approx(plain.scores.loss, abs=1e-4)


def test_pictures_are_decoded_while_others_are_answered_and_never_too_many() -> None:
    """A reader that is slow to answer holds no more than its own chunk and those ahead."""
    lock, begun = threading.Lock(), 0

    def pixels(read: Callable[[int], np.ndarray]) -> np.ndarray:
        nonlocal begun
        with lock:
            begun += 1
        return read(1)

    reads = [lambda _, value=value: np.full(1, value) for value in range(50)]
    seen: list[int] = []
    for number, found in enumerate(decoded_ahead(pixels, reads, 4), 1):
        time.sleep(0.01)
        assert begun <= 4 * (number + AHEAD)
        if number == 3:
            assert begun > 12  # the next were decoded meanwhile
        seen += [int(one[0]) for one in found if not isinstance(one, PictureError)]
    assert seen == list(range(50))


def test_what_is_left_undecoded_is_let_go() -> None:
    begun: list[int] = []

    def pixels(read: Callable[[int], np.ndarray]) -> np.ndarray:
        return read(1)

    def reader(value: int) -> Callable[[int], np.ndarray]:
        def read(_: int) -> np.ndarray:
            time.sleep(0.002)
            begun.append(value)
            return np.zeros(1)

        return read

    chunks = decoded_ahead(pixels, [reader(value) for value in range(1000)], 10)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert len(begun) <= 10 * (1 + AHEAD)
