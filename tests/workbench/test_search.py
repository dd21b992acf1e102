"""`shrink` under a budget: the smallest run that keeps within limits, or by how much the nearest misses them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from convlens.errors import Stopped, UsageError
from convlens.measurement import Latency
from convlens.runs import Run
from convlens.shrinking.search import Candidate, Figures, Limits
from convlens.training.loop import Training
from convlens.workbench import export, shipped, shrink
from convlens.workbench.compare import Compared
from convlens.workbench.search import Length, Searcher
from convlens.workbench.search_record import Record
from convlens.workbench.shrunk import ShrinkResult
from convlens.workbench.tried import Tried, chosen, misses_of, name_of, verdict_of
from tests.docs.test_run_format import check

for package in ("optuna", "onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)
QUICK = {"epochs": 1, "threads": 1, "precision": "fp32"}


@pytest.fixture(scope="module", autouse=True)
def in_a_moment(tmp_path_factory) -> Iterator[None]:
    """Engines are timed for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLENS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(shipped, "CHOOSING_S", 0.2)
        patch.setattr(shipped, "TIMED_S", 0.02)
        patch.setattr(shipped, "ATTEMPTS", 1)
        yield


@pytest.fixture(scope="module")
def sought(trained_run: Path, tmp_path_factory) -> tuple[ShrinkResult, list[str]]:
    """Two candidates: 8 bits alone, and fewer channels in 8 bits."""
    told: list[str] = []
    folder = tmp_path_factory.mktemp("sought")
    options = {"prune": 0.2, "quantise": "int8", "trials": 2, "plot": folder / "tried.svg"}
    asked = {"max_accuracy_loss": 0.5, "latency_ms": 1000.0}
    return shrink(trained_run, out=folder / "run", tell=told.append, **asked, **options, **QUICK), told


@pytest.mark.slow
def test_the_smallest_within_the_limits_becomes_a_run(sought, trained_run: Path) -> None:
    found = sought[0]
    (one,), search = found.shrunk, found.search
    assert search is not None and search.winner is not None and not search.winner.misses
    assert search.winner.size_bytes == one.file_bytes == min(each.size_bytes for each in search.trials)
    assert one.file is not None and one.file.accuracy > 0.6
    assert "keeps within 1000 ms and a loss of 50 points" in search.verdict
    made, whole = Run.load(one.run), Run.load(trained_run)
    check(json.loads(made.folder.manifest.read_text()))
    assert made.manifest.quantisation is not None and made.manifest.channel_plan is not None
    assert made.manifest.name == "run" and made.splits == whole.splits
    assert made.manifest.weights["from"].startswith(str(trained_run))
    assert (made.manifest.plan or {})["teacher"]["run"] == str(trained_run)
    assert "convlens-search" not in made.folder.manifest.read_text()


@pytest.mark.slow
def test_its_bytes_are_those_of_the_file_that_export_writes(sought, trained_run: Path, tmp_path: Path) -> None:
    (one,) = sought[0].shrunk
    for run, size in ((one.run, one.file_bytes), (trained_run, sought[0].before_bytes)):
        name = "onnx-int8" if run == one.run else "onnx"
        (file,) = export(run, format=name, out=tmp_path / f"{name}.onnx").files
        assert file.size_bytes == size


@pytest.mark.slow
def test_every_trial_is_told_in_one_line_and_drawn(sought) -> None:
    found, told = sought
    lines = [line for line in told if line.startswith("trial ")]
    assert [line.split(":")[0] for line in lines] == ["trial 1 of 2", "trial 2 of 2"]
    assert any("each candidate is taught for 1 epoch" in line for line in told)
    names = [one.name for one in found.search.trials]
    assert names == ["as it is, int8", "pruned0.2, int8"]
    text = found.plot.read_text()
    assert all(name in text for name in names)


@pytest.mark.slow
def test_the_validation_part_judges_and_the_test_part_only_the_winner(sought, trained_run: Path) -> None:
    parts = Run.load(trained_run).splits.counts()
    found = sought[0]
    assert (found.search.num_pictures, found.num_pictures) == (parts["val"], parts["test"])
    assert found.search.before.figures.judged_on == f"{parts['val']:,} pictures of the validation part"


@pytest.mark.slow
def test_where_nothing_keeps_within_the_nearest_is_said_and_nothing_is_written(trained_run: Path, tmp_path: Path):
    options = {"prune": 0.2, "quantise": "int8", "trials": 1, "max_bytes": 10, "max_accuracy_loss": 0.5}
    found = shrink(trained_run, out=tmp_path / "run", **options, **QUICK)
    assert found.shrunk == () and found.search.winner is None
    assert "nothing keeps within a loss of 50 points and 10 bytes: the nearest of 1 candidate" in found.search.verdict
    assert "bytes too large" in found.search.verdict
    assert not (tmp_path / "run").exists()


def test_a_search_says_why_it_tries_no_other() -> None:
    told: list[str] = []
    teaching = SimpleNamespace(tell=told.append)
    asked = (teaching, None, LIMITS, None, {}, Path("scratch"), Length(8, 100.0), time.monotonic() - 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Searcher, "__post_init__", lambda _: None)
        searcher = Searcher(*asked, longest_s=7.9)
        assert searcher._goes_on() and not told
        searcher.longest_s = 8.1
        assert not searcher._goes_on()
    assert told == [
        "no other is tried: one took up to 8 s, the winner about 4 times as much, and 40 of 100 s are left (--budget)"
    ]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Searches that did not end are known to this test alone."""
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "searches"


@pytest.mark.slow
def test_a_search_that_is_stopped_leaves_no_run_and_the_same_command_goes_on(
    trained_run: Path, tmp_path: Path, own_cache: Path
):
    def stopped(self: Training) -> None:
        raise Stopped("stopped and saved", 130)

    options = {"prune": 0.2, "quantise": "int8", "trials": 2, "max_accuracy_loss": 0.5, "out": tmp_path / "run"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_one_step", stopped)
        with pytest.raises(Stopped, match="after 1 of 2 trials; no run was saved: the same command goes on with them"):
            shrink(trained_run, latency_ms=1000.0, **options, **QUICK)
    assert not (tmp_path / "run").exists() and len(list(own_cache.iterdir())) == 1
    told: list[str] = []
    found = shrink(trained_run, latency_ms=900.0, tell=told.append, **options, **QUICK)
    assert "going on with 1 trial of such a search, which did not end" in told
    lines = [line for line in told if line.startswith("trial ")]
    assert lines[0].startswith("trial 1 of 2: as it is, int8: ") and lines[0].endswith("; as it was judged before")
    assert lines[1].startswith("trial 2 of 2: pruned0.2, int8: ") and not lines[1].endswith("before")
    assert found.search.winner is not None and Run.load(found.shrunk[0].run).model
    assert list(own_cache.iterdir()) == []


def record(about: str = "this", limits: Limits | None = None) -> Record:
    return Record({"run": about}, limits or LIMITS)


def test_trials_are_kept_with_their_figures_until_the_search_ends(own_cache: Path) -> None:
    one, other = tried(300, 0.0), replace(tried(200, 0.02), candidate=Candidate(resolution=20), seconds=1.5)
    first = record()
    assert (first.before, first.kept) == ({}, False)
    first.keep([one])
    record().keep([other])  # another process, or one that came to other candidates first
    again = record()
    assert again.before == {one.candidate: one, other.candidate: other} and again.kept
    assert record("another run").before == {}
    looser = record(limits=Limits(accuracy_loss=0.05)).before[other.candidate]
    assert other.misses and not looser.misses
    again.forget()
    assert record().before == {} and list(own_cache.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tried": [{}]}', '{"tried": [{"latency": {"p50_ms": "x"}}]}'])
def test_a_record_that_is_damaged_is_none(own_cache: Path, text: str) -> None:
    record().keep([tried(300, 0.0)])
    record().path.write_text(text)
    assert record().before == {}


def test_a_cache_that_takes_nothing_keeps_nothing_and_breaks_nothing(own_cache: Path) -> None:
    own_cache.parent.mkdir()
    own_cache.touch()
    full = record()
    full.keep([tried(300, 0.0)])
    full.forget()
    assert not full.kept


@pytest.mark.parametrize(("kept", "says"), [(True, "the same command goes on with them"), (False, "begin again")])
def test_a_second_ctrl_c_is_told_in_one_line_too(kept: bool, says: str) -> None:
    searcher = SimpleNamespace(found=[None], length=Length(3, 60.0), record=SimpleNamespace(kept=kept))
    stoppable = Searcher._stoppable(searcher)  # type: ignore[arg-type]
    with pytest.raises(Stopped, match=f"after 1 of 3 trials; no run was saved: {says}") as error, stoppable:
        raise KeyboardInterrupt
    assert error.value.exit_status == 130


def test_a_signal_between_trainings_ends_it_too(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
):
    def heard(candidate: Candidate) -> str:
        signal.raise_signal(signal.SIGTERM)
        return name_of(candidate)

    monkeypatch.setattr("convlens.workbench.search.name_of", heard)
    with pytest.raises(Stopped, match="search was stopped after") as error:
        shrink(trained_run, quantise="int8", trials=3, latency_ms=100.0, out=tmp_path / "run", **QUICK)
    assert error.value.exit_status == 143
    assert not (tmp_path / "run").exists()


def tried(size_bytes: int, loss: float, latency_ms: float = 1.0) -> Tried:
    time = Latency(latency_ms, latency_ms, latency_ms, latency_ms, 1000 / latency_ms, 50, 1, 1)
    row = Compared(str(size_bytes), 1.0, (28, 28), 1, 1, 1, 1 - loss, None, None, "these", "here", time)
    misses = misses_of(LIMITS, Figures(latency_ms, loss, size_bytes))
    return Tried(row, Candidate(prune=0.5), "torch", time, size_bytes, loss, misses)


LIMITS = Limits(latency_ms=2.0, accuracy_loss=0.01)


def test_what_learning_for_longer_may_bring_within_is_tried_before_the_surest():
    sure, larger, hopeful, hopeless, slow = (
        tried(300, 0.0), tried(400, 0.0), tried(200, 0.02), tried(100, 0.2), tried(50, 0.02, 3.0)
    )  # fmt: skip
    assert chosen([larger, hopeless, sure, slow, hopeful], LIMITS) == [hopeful, sure]
    assert chosen([hopeless, slow], LIMITS) == [slow, hopeless]
    assert chosen([], LIMITS) == []


def test_what_has_too_many_bytes_is_not_taught_for_longer() -> None:
    limits = Limits(accuracy_loss=0.01, size_bytes=250)
    large, small = (
        replace(tried(size, loss), misses=misses_of(limits, Figures(1.0, loss, size)))
        for size, loss in ((300, 0.0), (200, 0.2))
    )
    assert large.misses == ("50 bytes too large",)
    assert chosen([large, small], limits) == [small]
    assert chosen([large], limits) == []


def test_a_latency_that_cannot_be_told_from_the_limit_is_said_to_be():
    before, near, far = tried(900, 0.0), tried(300, 0.0, 1.97), tried(300, 0.0, 1.0)
    assert "cannot be told apart" in verdict_of(LIMITS, before, [near], [near], near)
    assert "cannot be told apart" not in verdict_of(LIMITS, before, [far], [far], far)


def test_by_how_much_the_nearest_misses_is_in_the_verdict():
    before, near = tried(900, 0.0), tried(300, 0.02, 3.0)
    said = verdict_of(LIMITS, before, [tried(100, 0.5, 9.0), near], [], None)
    assert said == (
        "nothing keeps within 2 ms and a loss of 1 points; the run as it is does: the nearest of 2 candidates, 300, "
        "is 1 ms too slow and 1.00 points too inaccurate"
    )


WRONG = {
    "trials alone": ({"trials": 3, "prune": 0.5}, "--trials came as 3 without a limit"),
    "no trial": ({"trials": 0, "latency_ms": 3.0}, "--trials is 0"),
    "no time": ({"latency_ms": -1.0}, "--latency-ms is -1"),
    "clusters": ({"latency_ms": 3.0, "cluster": 5}, "--cluster came with a limit"),
    "a width that it has not": ({"latency_ms": 3.0, "width": 0.5}, "no width multiplier"),
    "a larger size": ({"latency_ms": 3.0, "resolution": 99}, "ask for less"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_searched_is_said_before_anything_is_tried(case: str, trained_run: Path, tmp_path: Path) -> None:
    options, says = WRONG[case]
    with pytest.raises(UsageError, match=says):
        shrink(trained_run, out=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()
