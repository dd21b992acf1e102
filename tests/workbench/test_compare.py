"""Runs and networks side by side."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from convlens.errors import UsageError
from convlens.measurement import Latency
from convlens.runs import Run
from convlens.workbench import compare, create, evaluate, train
from convlens.workbench.compare import Compared, on_front


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    """As the trained run of these tests, but for a shorter training."""
    out = tmp_path_factory.mktemp("other") / "other"
    return train("digits", model="lenet5", epochs=1, precision="fp32", threads=1, out=out).run


def test_runs_are_scored_on_the_same_pictures_and_compared_in_pairs(copied_run, other_run, tmp_path):
    result = compare([copied_run, other_run], plot=tmp_path / "plot.svg")
    one, two = result.rows
    assert (one.name, two.name) == (Run.load(copied_run).manifest.name, "other")
    assert one.accuracy == evaluate(copied_run).scores.accuracy
    assert two.accuracy == evaluate(other_run).scores.accuracy
    assert one.accuracy_low <= one.accuracy <= one.accuracy_high
    assert (one.judged_on, one.source) == (f"{result.num_pictures} pictures of digits", "measured here")
    assert (one.parameters, one.macs) == (61_706, 416_520) and one.weight_bytes == 4 * 61_706
    (pair,) = result.pairs
    assert pair.answers.num_pictures == result.num_pictures
    gained = pair.answers.only_second_right - pair.answers.only_first_right
    assert gained / result.num_pictures == pytest.approx(two.accuracy - one.accuracy)
    assert one.latency is None and result.cost == "MACs" and result.same_speed == ()
    assert (tmp_path / "plot.svg").read_text().startswith("<svg ")


def test_a_run_and_itself_agree_and_take_as_long(trained_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained_run, copy)
    result = compare([trained_run, copy], latency=True)
    assert result.pairs[0].answers.agreement == 1.0 and not result.pairs[0].answers.told_apart
    assert all(row.latency.p50_ms > 0 for row in result.rows) and result.cost == "ms"


def test_the_table_of_mobilenet_v1_is_there_by_width_and_resolution():
    result = compare(zoo="mobilenet_v1")
    found = {(row.width, row.image_size[0]): row for row in result.rows}
    paper = {(1.0, 224): 569, (0.75, 224): 325, (0.5, 224): 149, (0.25, 224): 41, (1.0, 192): 418, (1.0, 128): 186}
    assert {key: round(found[key].macs / 1e6) for key in paper} == paper
    assert len([key for key in found if key[0] <= 1]) == 16
    assert found[0.5, 160].accuracy == 0.591 and "tensorflow" in found[0.5, 160].source
    assert found[1.0, 224].on_front


def test_networks_and_runs_go_together(trained_run):
    result = compare([trained_run, "alexnet", "squeezenet1_1"])
    assert [row.name for row in result.rows[1:]] == ["alexnet", "squeezenet1_1"]
    assert result.rows[1].accuracy is not None and result.rows[1].accuracy_low is None
    assert result.rows[1].judged_on == "ImageNet, 1 crop" and result.rows[1].source.startswith("published: ")
    assert result.pairs == ()


def test_the_front_is_what_nothing_beats():
    row = Compared("", 1.0, (8, 8), 0, 0, 0, None, None, None, "pictures", None)
    rows = [
        replace(row, name=name, macs=macs, accuracy=accuracy)
        for name, macs, accuracy in [("a", 1, 0.5), ("b", 2, 0.4), ("c", 2, 0.6), ("d", 3, 0.6), ("e", 9, None)]
    ]
    assert [one.name for one in on_front(rows) if one.on_front] == ["a", "c"]
    others = replace(row, name="f", macs=5, accuracy=0.1, judged_on="other pictures")
    assert [one.name for one in on_front([*rows, others]) if one.on_front] == ["a", "c", "f"]


def timed(name: str, ms: float, accuracy: float, noise: float = 0.05) -> Compared:
    latency = Latency(ms, ms, ms, ms, 1000 / ms, 50, 1, 1, noise)
    return Compared(name, 1.0, (8, 8), 0, 0, 0, accuracy, None, None, "pictures", None, latency)


@pytest.mark.parametrize(
    ("rows", "front"),
    [
        ([timed("a", 10.0, 0.9), timed("b", 10.2, 0.9)], "ab"),  # noise takes none of them off
        ([timed("a", 10.0, 0.9), timed("b", 12.0, 0.9)], "a"),
        ([timed("a", 10.0, 0.90), timed("b", 10.2, 0.91)], "b"),  # and puts none of them on
        ([timed("a", 10.0, 0.90), timed("b", 12.0, 0.91)], "ab"),
        ([timed("a", 10.0, 0.90), timed("b", 12.0, 0.91, noise=0.3)], "b"),
    ],
)
def test_latencies_that_cannot_be_told_apart_count_as_equal_on_the_front(rows, front):
    for ordered in (rows, rows[::-1]):
        assert {one.name for one in on_front(ordered) if one.on_front} == set(front)


def test_what_cannot_be_compared_is_said(trained_run, tmp_path):
    with pytest.raises(UsageError, match="1 came to be compared"):
        compare([trained_run])
    with pytest.raises(UsageError, match="no network is called"):
        compare(["lenet55", "lenet5"])
    strange = create("lenet5", num_classes=3, out=tmp_path / "strange").run
    with pytest.raises(UsageError, match="runs are compared on the same classes"):
        compare([trained_run, strange])


@pytest.mark.parametrize(
    ("given", "named"),
    [({"data": "digits"}, "--data"), ({"part": "val"}, "--part"), ({"data_dir": "sets"}, "--data-dir")],
)
def test_pictures_without_a_run_are_told(given, named):
    with pytest.raises(UsageError, match=f"^{named} came without a run; .*add a run's folder, or leave it out"):
        compare(["lenet5", "vgg11"], **given)


def test_a_network_file_without_a_run_of_one_s_own_is_told(trained_run):
    for targets in (["lenet5", "vgg11"], [trained_run, "lenet5"]):
        with pytest.raises(UsageError, match=r"--network net\.py:Net came, and no run here holds a network of your"):
            compare(targets, network="net.py:Net")


def test_a_picture_that_one_run_was_trained_on_is_left_out_for_all(trained_run, tmp_path):
    """The other divided the digits anew."""
    other = train("digits", model="perceptron", epochs=1, seed=1, precision="fp32", threads=1, out=tmp_path / "b").run
    told: list[str] = []
    result = compare([trained_run, other], tell=told.append)
    tests, seen = Run.load(trained_run).splits.hashes_of("test"), Run.load(other).splits.hashes_of("train")
    assert result.num_pictures == len(tests - seen) > 0
    assert any("another run was trained on them" in line for line in told)


def test_a_cost_that_is_not_known_is_on_no_front():
    row = Compared("", 1.0, (8, 8), 0, 1, 0, 0.9, None, None, "pictures", None)
    assert [one.on_front for one in on_front([replace(row, complete=False), row])] == [False, True]
