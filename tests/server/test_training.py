"""`/v1/training`: what a page sees of a training, in its own process and in another, and how it is stopped."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import convlens
from convlens.errors import Stopped, UsageError
from convlens.runs import RunFolder, append_history, read_history
from convlens.server import event_stream, running_server
from convlens.server.event_stream import EventStream
from convlens.server.following import Following, is_unfinished
from convlens.server.training import MOST_LISTENERS, Listener, filters_sheet, state_of
from convlens.server.training_page import TrainingPage, training_page
from convlens.storage import FolderLock
from convlens.training import Reached, Watch

QUICK = {"model": "perceptron", "image_size": 28, "precision": "fp32", "threads": 1, "weights": "none"}


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, dict]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def reached(step: int) -> Reached:
    return Reached(step, 100, step / 10, 10.0, 1.5, 0.5, 1000.0, 1.0, 9.0)


def train_and_stop(page: TrainingPage, out: Path, heard: list[tuple[str, dict]]) -> Stopped:
    """A training that a page stops in its second epoch; all that the page hears is put into `heard`."""

    def watch_it() -> None:
        client = httpx.Client(base_url=page.url, timeout=30)
        with client, client.stream("GET", "/v1/training/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for name, data in events_of(stream.iter_lines()):
                heard.append((name, data))
                if name == "epoch" and not asked:
                    asked.append(client.post("/v1/training/stop").json())

    asked: list[dict] = []
    thread = threading.Thread(target=watch_it)
    thread.start()
    with pytest.raises(Stopped) as stopped:
        convlens.train("digits", epochs=3000, out=out, watch=page.watch, **QUICK)
    page.watch.say("stopped", str(stopped.value), ended=True)
    thread.join(10)
    assert not thread.is_alive() and asked == [{"stopping": True}]
    return stopped.value


@pytest.fixture(scope="module")
def stopped_training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, dict]], Stopped, dict]:
    """The folder of a training that was stopped from its page, and what the page heard and asked last."""
    out, heard = tmp_path_factory.mktemp("watched") / "run", []
    with training_page(port=0) as page:
        stopped = train_and_stop(page, out, heard)
        state = httpx.get(f"{page.url}v1/training").json()
        again = httpx.post(f"{page.url}v1/training/stop")
        run = httpx.get(f"{page.url}v1/run").json()
    assert (again.status_code, run["runs"], run["watching"]) == (409, [], True)
    return out, heard, stopped, state


def test_a_page_hears_of_a_training_and_stops_it_as_ctrl_c_does(stopped_training):
    out, heard, stopped, state = stopped_training
    assert stopped.exit_status == 130
    assert (out / "checkpoints" / "last.safetensors").is_file() and not (out / "run.json").exists()
    names = [name for name, _ in heard]
    assert (names[0], names[-1]) == ("state", "done")
    assert heard[-1][1]["phase"] == "stopped" and "--resume" in heard[-1][1]["words"]
    rows = [data for name, data in heard if name == "epoch"]
    assert rows == [row for row in read_history(out / "history.jsonl") if row in rows] != []
    steps = [data["step"] for name, data in heard if name == "step"]
    assert steps == sorted(steps) and all(0 < step < 3000 * 12 for step in steps)
    assert (state["ended"], state["running"], state["can_stop"], state["name"]) == (True, False, False, "run")
    assert state["history"] == read_history(out / "history.jsonl")


def test_the_filters_of_a_perceptron_are_as_large_as_its_pictures(stopped_training):
    *_, state = stopped_training
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(state["filters"].partition(",")[2]))))
    assert sheet.shape[2] == 4 and sheet.shape[0] % (2 * 28 + 2) == 2 * 28  # ten of 28 px, twice as large
    assert set(np.unique(sheet[..., 3])) == {0, 255}


def test_a_training_in_another_process_is_followed_by_its_files_until_it_is_a_run(stopped_training, tmp_path, digits):
    run = Path(shutil.copytree(stopped_training[0], tmp_path / "run"))
    assert is_unfinished(run)
    rows = read_history(run / "history.jsonl")
    with running_server(run) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        assert client.get("/v1/training").json()["phase"] == "interrupted"
        with FolderLock(run), client.stream("GET", "/v1/training/events") as stream:
            events = events_of(stream.iter_lines())
            state = next(data for name, data in events if data.get("phase") == "train")
            assert (state["running"], state["can_stop"], state["history"]) == (True, False, rows)
            assert state["step"] == rows[-1]["step"] or state["step"] > rows[-1]["step"]
            assert state["filters"].startswith("data:image/png")
            new = {**rows[-1], "step": state["step"] + 5, "loss": 0.25}
            append_history(run / "history.jsonl", new)
            assert next(data for name, data in events if name == "epoch") == new
        refused = client.post("/v1/training/stop").json()["error"]
        assert refused["status"] == 400 and "press Ctrl-C there" in refused["remedy"]
        finished = Path(shutil.copytree(run, tmp_path / "finished"))
        shutil.rmtree(run)
        own = Watch()
        convlens.train(resume=_shortened(finished), watch=own)
        assert own.rows == read_history(finished / "history.jsonl") and own.reached.step == own.reached.total_steps
        finished.rename(run)
        give_up = time.monotonic() + 20
        while not client.get("/v1/training").json()["ended"] and time.monotonic() < give_up:
            time.sleep(0.05)
        assert client.get("/v1/run").json()["runs"] == ["run"]
        answer = client.post("/v1/predict", content=digits[0], headers={"Content-Type": "image/png"})
        assert answer.status_code == 200


def _shortened(run: Path) -> Path:
    """The same checkpoint with a plan that ends soon."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = RunFolder(run).last
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["convlens"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    facts["plan"]["segments"][-1]["total_steps"] = facts["tally"]["step"] + 1
    save_file(tensors, path, metadata={"convlens": json.dumps(facts)})
    return run


def test_two_trainings_cannot_be_followed_at_once(stopped_training):
    run = stopped_training[0]
    with pytest.raises(UsageError, match="one can be watched"), running_server([run, run]):
        pass


def test_a_run_that_cannot_be_opened_is_told_when_it_is_whole(stopped_training, tmp_path):
    run = Path(shutil.copytree(stopped_training[0], tmp_path / "run"))

    def refuse(path: Path) -> None:
        raise UsageError(f"{path.name} is of your own network")

    following = Following(run, refuse)
    (run / "run.json").write_text("{}")
    following._thread.join(10)
    words = "the run is saved, and cannot be opened: run is of your own network"
    assert (following.phase, following.words, following.ended) == ("done", words, True)


def test_when_a_training_has_ended_its_run_is_served(tmp_path, digits):
    with training_page(port=0) as page, httpx.Client(base_url=page.url, timeout=30) as client:
        assert client.get("/v1/run").json() == {
            "name": "", "classes": [], "samples": [], "runs": [], "watching": True
        }  # fmt: skip
        early = client.post("/v1/predict", content=digits[0], headers={"Content-Type": "image/png"})
        assert (early.status_code, early.json()["error"]["what"]) == (404, "no run is served yet")
        result = convlens.train("digits", epochs=1, out=tmp_path / "run", watch=page.watch, **QUICK)
        page.show(result.run)
        state = client.get("/v1/training").json()
        assert (state["phase"], state["ended"], state["step"]) == ("done", True, result.steps)
        assert client.get("/v1/run").json()["name"] == "run"
        answer = client.post("/v1/predict", content=digits[0], headers={"Content-Type": "image/png"})
        assert answer.json()["predictions"][0]["label"] in map(str, range(10))


def test_whoever_watches_is_told_of_a_failure():
    with pytest.raises(ZeroDivisionError), training_page(port=0) as page:
        watch = page.watch
        raise ZeroDivisionError("division by zero")
    assert (watch.phase, watch.words, watch.ended) == ("failed", "ZeroDivisionError: division by zero", True)


def test_without_a_training_there_is_nothing_to_watch(client):
    for answer in (client.get("/v1/training"), client.get("/v1/training/events"), client.post("/v1/training/stop")):
        assert answer.status_code == 404
        assert answer.json()["error"]["remedy"] == "start one with `convlens train DATA --serve`"


def test_a_listener_hears_each_thing_once_and_the_newest_of_what_it_missed():
    watch = Watch()
    one = Listener(watch)
    assert [name for name, _ in one.news()] == ["state"]
    assert list(one.news()) == []
    watch.say("train", "")
    assert [name for name, _ in one.news()] == ["state"], "another phase"
    for step in (1, 2, 3):
        watch.reached = reached(step)
        watch.version += 1
    watch.end_epoch({"step": 2, "loss": 1.0})
    watch.end_epoch({"step": 3, "loss": float("nan")})
    told = list(one.news())
    assert [name for name, _ in told] == ["step", "epoch", "epoch"]
    assert told[0][1]["step"] == 3
    assert told[2][1] == {"step": 3, "loss": None}, "JSON has no NaN"
    watch.filters, watch.filters_version = np.ones((4, 1, 3, 3), np.float32), 1
    watch.version += 1
    assert [name for name, _ in one.news()] == ["filters"]
    watch.say("done", "the run is saved", ended=True)
    assert [name for name, _ in one.news()] == ["state", "done"]
    assert one.has_heard_all
    late = Listener(watch)
    assert [name for name, _ in late.news()] == ["state", "done"]


def test_filters_stand_in_rows_in_colour_where_they_see_colour():
    draw = np.random.default_rng(0)
    sheet = filters_sheet(draw.normal(size=(6, 3, 5, 5)).astype(np.float32))
    assert sheet.shape == (2 * 35 + 2, 3 * 35 + 2 * 2, 4)
    assert sheet[0, 0, 3] == 255 and sheet[0, 35, 3] == 0
    assert len({tuple(pixel) for pixel in sheet[:35, :35, :3].reshape(-1, 3)}) == 25
    grey = filters_sheet(draw.normal(size=(100, 1, 3, 3)).astype(np.float32))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert state_of(Watch())["filters"] is None


class Client:
    """The other end of an ASGI response; `reads` says whether it takes what is sent."""

    def __init__(self, *, reads: bool = True) -> None:
        self.sent: list[bytes] = []
        self.ended = False
        self.gone = asyncio.Event()
        self._reads = reads

    async def receive(self) -> dict:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        if message["type"] == "http.response.body":
            if not self._reads:
                await asyncio.Event().wait()
            self.sent.append(message["body"])
            self.ended = not message.get("more_body")


def run_stream(client: Client, stream: EventStream, during=None) -> float:
    async def both() -> float:
        began = time.monotonic()
        task = asyncio.create_task(stream({"type": "http"}, client.receive, client.send))
        if during:
            await during(client)
        await asyncio.wait_for(task, 5)
        return time.monotonic() - began

    return asyncio.run(both())


def test_a_stream_ends_when_the_server_does(monkeypatch):
    monkeypatch.setattr(event_stream, "LOOK_S", 0.01)
    news = [[("step", {"step": 1})], [], [("done", {})]]
    client = Client()
    run_stream(client, EventStream(lambda: news.pop(0) if news else [], lambda: not news))
    assert b"".join(client.sent) == b'event: step\ndata: {"step": 1}\n\nevent: done\ndata: {}\n\n'
    assert client.ended


def test_a_client_that_went_away_is_noticed(monkeypatch):
    monkeypatch.setattr(event_stream, "LOOK_S", 30)

    async def leave(client: Client) -> None:
        await asyncio.sleep(0.02)
        client.gone.set()

    assert run_stream(Client(), EventStream(list, lambda: False), leave) < 2


def test_a_client_that_takes_nothing_is_dropped(monkeypatch):
    monkeypatch.setattr(event_stream, "PATIENCE_S", 0.05)
    client = Client(reads=False)
    assert run_stream(client, EventStream(lambda: [("step", {})], lambda: False)) < 2
    assert client.sent == []


def test_a_quiet_line_is_kept_open(monkeypatch):
    monkeypatch.setattr(event_stream, "LOOK_S", 0.01)
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.02)
    client = Client()

    async def leave(client: Client) -> None:
        while len(client.sent) < 2:
            await asyncio.sleep(0.01)
        client.gone.set()

    run_stream(client, EventStream(list, lambda: False), leave)
    assert set(client.sent[:2]) == {b": still here\n\n"}


def test_only_so_many_may_watch_and_who_leaves_makes_room():
    unlimited = httpx.Limits(max_connections=None)
    with training_page(port=0) as page, httpx.Client(base_url=page.url, timeout=5, limits=unlimited) as client:
        pages = [client.stream("GET", "/v1/training/events") for _ in range(MOST_LISTENERS)]
        lines = [one.__enter__().iter_lines() for one in pages]
        assert [next(one) for one in lines] == ["event: state"] * MOST_LISTENERS
        refused = client.get("/v1/training/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        pages[0].__exit__(None, None, None)
        give_up, status = time.monotonic() + 10, 503
        while status == 503 and time.monotonic() < give_up:
            with client.stream("GET", "/v1/training/events") as again:
                status = again.status_code
        assert status == 200
