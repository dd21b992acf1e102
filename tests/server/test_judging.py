"""`/v1/evaluation`: what `convlens evaluate` wrote, with thumbnails that are there, or how to come by it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import convlens
from convlens.runs import Run, RunFolder
from convlens.server import running_server
from convlens.server.judging import MOST_OF_A_CELL


@pytest.fixture(scope="module")
def evaluated(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Path(shutil.copytree(trained_run, tmp_path_factory.mktemp("judged") / "a run"))
    convlens.evaluate(run)
    return run


@pytest.fixture(scope="module")
def judge(evaluated: Path, trained_run: Path) -> Iterator[httpx.Client]:
    """The evaluated run, and beside it the one that was not."""
    with running_server([evaluated, trained_run]) as found, httpx.Client(base_url=found.url, timeout=30) as client:
        yield client


def test_it_says_what_the_evaluation_says(judge, evaluated):
    told = judge.get("/v1/evaluation").json()
    (name, written), *_ = Run.load(evaluated).evaluations.items()
    assert (told["run"], told["names"], told["name"], told["part"]) == ("a run", [name], name, "test")
    assert told["accuracy"] == written["accuracy"]
    assert told["interval"] == [written["accuracy_low"], written["accuracy_high"]]
    assert told["confusion"] == written["confusion"]
    assert told["calibration"]["bins"] == written["calibration_bins"]
    assert told["calibration"]["ece"] == written["expected_calibration_error"]
    assert told["per_class"] == written["per_class"]
    assert told["num_errors"] == written["num_errors"] == sum(pair["count"] for pair in told["pairs"])


def test_a_cell_of_the_matrix_opens_its_pictures(judge):
    told = judge.get("/v1/evaluation", params={"name": "digits"}).json()
    for place, cards in told["cells"].items():
        truth, predicted = map(int, place.split(","))
        assert 1 <= len(cards) <= min(MOST_OF_A_CELL, told["confusion"][truth][predicted])
        shares = [card["probability"] for card in cards]
        assert shares == sorted(shares, reverse=True)
        for card in cards:
            assert (card["label"], card["predicted"]) == (told["classes"][truth], told["classes"][predicted])
    wrong = [card for place, cards in told["cells"].items() if len(set(place.split(","))) == 2 for card in cards]
    assert {card["key"] for card in wrong} == {card["key"] for card in told["errors"]}
    picture = judge.get(told["errors"][0]["url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


def test_a_thumbnail_that_is_not_there_has_no_address(judge, evaluated):
    file = RunFolder(evaluated).evaluations / "digits.json"
    before = file.read_text()
    values = json.loads(before)
    values["errors"][0]["thumbnail"] = "../../secret.jpg"
    values["errors"][1]["thumbnail"] = None
    file.write_text(json.dumps(values))
    try:
        errors = judge.get("/v1/evaluation").json()["errors"]
    finally:
        file.write_text(before)
    keys = {one["key"] for one in values["errors"][:2]}
    assert {error["key"] for error in errors if error["url"] is None} == keys


def test_without_an_evaluation_the_command_is_named(judge, trained_run):
    answer = judge.get("/v1/evaluation", params={"run": trained_run.name})
    assert answer.status_code == 200 and answer.json()["names"] == []
    assert "has not been evaluated" in answer.json()["remedy"]
    assert f"convlens evaluate {trained_run}" in answer.json()["remedy"]


def test_an_evaluation_that_is_not_there_is_said(judge):
    answer = judge.get("/v1/evaluation", params={"name": "digit"})
    assert answer.status_code == 404
    assert answer.json()["error"]["what"] == "no evaluation is called 'digit' (near: digits)"


def test_a_damaged_evaluation_is_no_crash(judge, evaluated):
    file = RunFolder(evaluated).evaluations / "digits.json"
    before = file.read_text()
    file.write_text('{"confusion": 3}')
    try:
        answer = judge.get("/v1/evaluation")
    finally:
        file.write_text(before)
    assert answer.status_code == 503
    assert "is damaged" in answer.json()["error"]["what"]


def test_the_confusions_of_very_many_classes_are_a_list_of_the_worst():
    from types import SimpleNamespace

    from convlens.server.judging import _told

    classes = tuple(map(str, range(101)))
    matrix = [[3 if t == p else int(p == t + 1) * (t % 5) for p in range(101)] for t in range(101)]
    run = SimpleNamespace(classes=classes, path=Path("nowhere"), folder=RunFolder(Path("nowhere")))
    told = _told(SimpleNamespace(run=run, name="many", quoted="many"), {"confusion": matrix})
    assert told["confusion"] is None
    assert told["pairs"][0] == {"truth": 4, "predicted": 5, "count": 4, "of": 7}
    assert len(told["pairs"]) == 80 and told["cells"] == {} and told["calibration"] is None
