"""`/v1/evaluate`: the page has a run scored just as `convlens evaluate` scores it, and nothing waits for that."""

from __future__ import annotations

import copy
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import convlens
from convlens.runs import Run
from convlens.server import Limits, evaluating, running_server
from convlens.server.endpoint import Asked
from convlens.server.shelf import open_shelf

PATIENCE_S = 120.0


@pytest.fixture
def api(copied_run: Path) -> Iterator[httpx.Client]:
    with running_server(copied_run) as found, httpx.Client(base_url=found.url, timeout=30) as client:
        yield client


@pytest.fixture
def held(monkeypatch) -> Iterator[threading.Event]:
    """Evaluations that go on until the event is set, telling how far they are at each turn."""
    goes_on = threading.Event()

    def evaluate(run: Run, *, robustness: bool, progress: Any) -> None:
        while not goes_on.wait(0.01):
            progress("read", 3, 8, "")

    monkeypatch.setattr(evaluating, "evaluate_run", evaluate)
    yield goes_on
    goes_on.set()


def ended(api: httpx.Client, **asked: str) -> dict[str, Any]:
    """The answer of /v1/evaluation once nothing is under way."""
    ends = time.monotonic() + PATIENCE_S
    while (told := api.get("/v1/evaluation", params=asked).json())["evaluating"]["running"]:
        assert time.monotonic() < ends
        time.sleep(0.05)
    return told


def test_it_finds_what_the_command_finds_and_the_run_has_pictures_to_try_then(api, copied_run, trained_run, tmp_path):
    before = api.get("/v1/evaluation").json()
    assert (before["names"], before["can_evaluate"], before["evaluating"]) == ([], True, None)
    shutil.rmtree(copied_run / "thumbnails", ignore_errors=True)
    assert not api.get("/v1/run").json()["samples"]
    answer = api.post("/v1/evaluate", json={})
    assert answer.status_code == 200 and answer.json()["running"] and answer.json()["failed"] == ""
    told = ended(api)
    assert told["evaluating"]["failed"] == "" and told["names"] == ["digits"] and told["robustness"] == []
    command = convlens.evaluate(Path(shutil.copytree(trained_run, tmp_path / "other")))
    assert told["accuracy"] == command.scores.accuracy and told["num_errors"] == command.num_errors
    assert api.get("/v1/run").json()["samples"]


def test_on_changed_pictures_too_where_it_is_asked_for(api, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluating, "evaluate_run", lambda run, *, robustness, progress: asked.append(robustness))
    api.post("/v1/evaluate", json={"robustness": True})
    ended(api)
    api.post("/v1/evaluate", json={})
    ended(api)
    assert asked == [True, False]


def test_it_says_how_far_it_is_and_who_asks_again_gets_the_one_under_way(api, held):
    api.post("/v1/evaluate", json={})
    ends = time.monotonic() + PATIENCE_S
    while (now := api.get("/v1/evaluation").json()["evaluating"])["phase"] != "read":
        assert time.monotonic() < ends
    assert (now["running"], now["done"], now["total"]) == (True, 3, 8)
    again = api.post("/v1/evaluate", json={})
    assert (again.status_code, again.json()["done"]) == (200, 3)
    held.set()
    assert ended(api)["evaluating"]["running"] is False


def test_one_run_at_a_time_is_evaluated(copied_run, trained_run, held):
    with (
        running_server([copied_run, trained_run]) as found,
        httpx.Client(base_url=found.url, timeout=30) as api,
    ):
        api.post("/v1/evaluate", json={"run": copied_run.name})
        answer = api.post("/v1/evaluate", json={"run": trained_run.name})
        assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
        assert answer.json()["error"]["what"] == f"{copied_run.name} is being evaluated"


def test_predictions_are_answered_meanwhile(api, held, digits):
    api.post("/v1/evaluate", json={})
    answer = api.post("/v1/predict", content=digits[0], headers={"Content-Type": "image/png"})
    assert answer.status_code == 200 and api.get("/v1/evaluation").json()["evaluating"]["running"]


def test_a_run_that_was_not_trained_here_names_the_command(tmp_path):
    convlens.create("lenet5", num_classes=10, in_channels=1, out=tmp_path / "made")
    with running_server(tmp_path / "made") as found, httpx.Client(base_url=found.url, timeout=30) as api:
        assert api.get("/v1/evaluation").json()["can_evaluate"] is False
        answer = api.post("/v1/evaluate", json={})
    assert answer.status_code == 400
    assert "was not trained here" in answer.json()["error"]["what"] and "give DATA" in answer.json()["error"]["remedy"]


def test_pictures_that_would_have_to_be_downloaded_are_not_there(copied_run, monkeypatch, tmp_path):
    """The server asks for nothing from the network."""
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    manifest = json.loads((copied_run / "run.json").read_text())
    manifest["data"] |= {"source": "mnist", "data_dir": None}
    (copied_run / "run.json").write_text(json.dumps(manifest))
    with running_server(copied_run) as found, httpx.Client(base_url=found.url, timeout=30) as api:
        assert api.get("/v1/evaluation").json()["can_evaluate"] is False
        answer = api.post("/v1/evaluate", json={})
        assert api.get("/v1/evaluation").json()["evaluating"] is None
    assert answer.status_code == 400 and "is not here any more" in answer.json()["error"]["what"]
    assert answer.json()["error"]["remedy"] == f"`convlens evaluate {copied_run}` downloads it"


def test_an_explanation_that_has_hooks_on_the_network_is_waited_for(trained_run, tmp_path, monkeypatch):
    """A network of the user's own is copied; what hangs on it for a moment must not be copied too."""
    run = Path(shutil.copytree(trained_run, tmp_path / "own"))
    opened = Run.load(run)
    given = replace(opened, given_model=copy.deepcopy(opened.model))
    seen: list[int] = []
    done = threading.Event()

    def evaluate(run: Run, *, robustness: bool, progress: Any) -> None:
        seen.append(sum(len(module._forward_hooks) for module in run.model.modules()))
        done.set()

    monkeypatch.setattr(evaluating, "evaluate_run", evaluate)
    shelf = open_shelf([given], Limits())
    served = shelf.served()
    with served.lock:
        hook = next(served.model.children()).register_forward_hook(lambda *_: None)
        evaluating.evaluate(Asked(shelf, {"robustness": False}))
        assert not done.wait(0.3)
        hook.remove()
    assert done.wait(PATIENCE_S) and seen == [0]
    shelf.close()


def test_what_goes_wrong_is_said_and_can_be_tried_again(api, copied_run):
    kept = (copied_run / "splits.csv").read_bytes()
    (copied_run / "splits.csv").write_text("no table")
    api.post("/v1/evaluate", json={})
    assert "splits.csv" in ended(api)["evaluating"]["failed"]
    (copied_run / "splits.csv").write_bytes(kept)
    api.post("/v1/evaluate", json={})
    assert ended(api)["evaluating"]["failed"] == ""


def test_a_server_that_ends_does_not_go_on_evaluating(copied_run, held):
    with running_server(copied_run) as found, httpx.Client(base_url=found.url, timeout=30) as api:
        api.post("/v1/evaluate", json={})
        (thread,) = [one for one in threading.enumerate() if one.name == f"evaluate {copied_run.name}"]
    thread.join(PATIENCE_S)
    assert not thread.is_alive() and not held.is_set()
