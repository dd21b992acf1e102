"""Many requests at once: predictions share batches, what is too much is told to come back, the rest goes on."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import torch

from convlens.runs import Run
from convlens.server import Limits, running_server, still_computing
from convlens.server.batching import Batcher
from convlens.server.endpoint import Doc, Endpoint
from convlens.server.refused import Refused
from convlens.server.routes import ROUTES
from convlens.workbench.running import Running, running


@contextmanager
def with_calls(monkeypatch, run, calls, **limits):
    """A server with calls of the test's own, such as one that takes long."""
    monkeypatch.setattr("convlens.server.app.ROUTES", (*ROUTES, *calls))
    with (
        running_server(run, limits=Limits(**limits)) as served,
        httpx.Client(base_url=served.url, timeout=20) as client,
    ):
        yield client


class Slow:
    """A call that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()

    def __call__(self, asked) -> dict[str, str]:
        self.begun.release()
        assert self.go.wait(20)
        return {"said": "done"}


def test_what_waits_together_is_answered_in_one_batch(trained_run):
    run, sizes, go = Run.load(trained_run), [], threading.Event()

    class Counting(torch.nn.Module):
        def forward(self, images):
            sizes.append(len(images))
            assert go.wait(20)
            return torch.stack([images.mean((1, 2, 3))] * 10, 1)

    with running(run) as ran:
        batcher = Batcher("counting", Running(Counting(), ran.choice), run.preprocess, 100)
        pictures = [torch.full((1, 28, 28), value, dtype=torch.uint8).numpy() for value in range(40)]
        futures = [batcher.submit([picture]) for picture in pictures]  # the first batch is held up meanwhile
        go.set()
        logits = torch.cat([future.result(20) for future in futures])
        batcher.close()
    assert len(sizes) <= 3 and sum(sizes) == 40
    assert bool((logits[1:, 0] > logits[:-1, 0]).all()), "each gets its own answer"


def test_a_queue_that_is_full_refuses_and_goes_on_with_what_it_has(trained_run):
    run, begun, go = Run.load(trained_run), threading.Event(), threading.Event()

    class Waiting(torch.nn.Module):
        def forward(self, images):
            begun.set()
            assert go.wait(20)
            return torch.zeros(len(images), 10)

    with running(run) as ran:
        batcher = Batcher("waiting", Running(Waiting(), ran.choice), run.preprocess, 8)
        picture = torch.zeros(1, 28, 28, dtype=torch.uint8).numpy()
        futures = [batcher.submit([picture] * 4)]
        assert begun.wait(20)
        futures.append(batcher.submit([picture] * 4))
        with pytest.raises(Refused, match="8 pictures wait for the network already; try again") as refused:
            batcher.submit([picture])
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        assert futures[1].cancel()
        go.set()
        assert futures[0].result(20).shape == (4, 10)
        while batcher.num_waiting:  # those that were not waited for are dropped in their turn
            time.sleep(0.001)
        assert batcher.submit([picture] * 8).result(20).shape == (8, 10)
        assert batcher.num_waiting == 0
        batcher.close()


def test_who_comes_when_the_queue_is_closed_is_refused(trained_run):
    """Nobody would answer, and a thread that waits for ever keeps the process from ending."""
    run = Run.load(trained_run)
    with running(run) as ran:
        batcher = Batcher("closed", ran, run.preprocess, 8)
        batcher.close()
        with pytest.raises(Refused, match="the server is closing") as refused:
            batcher.submit([torch.zeros(1, 28, 28, dtype=torch.uint8).numpy()])
    assert refused.value.status == 503 and batcher.num_waiting == 0


def test_an_error_of_the_network_reaches_those_who_asked_alone(trained_run):
    run = Run.load(trained_run)

    class Failing(torch.nn.Module):
        def forward(self, images):
            raise RuntimeError("no memory")

    with running(run) as ran:
        batcher = Batcher("failing", Running(Failing(), ran.choice), run.preprocess, 8)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no memory"):
                batcher.submit([torch.zeros(1, 28, 28, dtype=torch.uint8).numpy()]).result(20)
        batcher.close()


def test_answers_are_right_while_heavy_calls_run_and_more_of_these_are_told_to_wait(monkeypatch, trained_run, digits):
    slow = Slow()
    heavy = Endpoint("POST", "/v1/slow", slow, Doc("Slow."))
    with with_calls(monkeypatch, trained_run, [heavy], heavy_waiting=2) as client, ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(client.post, "/v1/slow", json={}) for _ in range(2)]
        for _ in waiting:
            assert slow.begun.acquire(timeout=20)
        refused = client.post("/v1/slow", json={})
        assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
        answer = client.post("/v1/predict", files=[("picture", one) for one in digits]).json()
        assert len(answer["predictions"]) == 8
        slow.go.set()
        assert [one.result().json() for one in waiting] == [{"said": "done"}] * 2
        assert client.post("/v1/slow", json={}).status_code == 200


def test_more_requests_than_may_wait_are_told_to_come_back(monkeypatch, trained_run):
    slow = Slow()
    light = Endpoint("GET", "/v1/slow", slow, Doc("Slow."))
    with with_calls(monkeypatch, trained_run, [light], waiting=2) as client, ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(client.get, "/v1/slow") for _ in range(2)]
        for _ in waiting:
            assert slow.begun.acquire(timeout=20)
        assert client.get("/v1/health").status_code == client.get("/metrics").status_code == 200
        refused = client.get("/v1/run")
        assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
        assert "2 requests are being answered already" in refused.json()["error"]["what"]
        slow.go.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert client.get("/v1/run").status_code == 200


def test_what_takes_too_long_is_given_up_and_counted_until_it_ends(monkeypatch, trained_run):
    slow = Slow()
    call = Endpoint("POST", "/v1/slow", slow, Doc("Slow."))
    with with_calls(monkeypatch, trained_run, [call], seconds=0.2, heavy_waiting=1) as client:
        late = client.post("/v1/slow", json={})
        assert still_computing()
        assert late.status_code == 503 and late.headers["retry-after"] == "5"
        assert "longer than 0.2 seconds" in late.json()["error"]["what"]
        assert client.post("/v1/slow", json={}).status_code == 503, "its thread is not free yet"
        slow.go.set()
        for _ in range(100):
            if client.post("/v1/slow", json={}).status_code == 200:
                break
        else:
            pytest.fail("the thread was never free again")
        assert not still_computing()


def test_what_waits_for_a_client_that_has_gone_is_dropped(monkeypatch, trained_run):
    slow = Slow()
    heavy = Endpoint("POST", "/v1/slow", slow, Doc("Slow."))
    with with_calls(monkeypatch, trained_run, [heavy]) as client, ThreadPoolExecutor(2) as threads:
        busy = [threads.submit(client.post, "/v1/slow", json={}) for _ in range(2)]
        for _ in busy:
            assert slow.begun.acquire(timeout=20)
        for _ in range(4):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{client.base_url}v1/slow", json={}, timeout=0.05)
        waiting = 6.0
        for _ in range(100):
            text = client.get("/metrics").text
            waiting = float(text.partition("\nconvlens_requests_waiting ")[2].split()[0])
            if waiting == 3:
                break
        assert waiting == 3, "two that are busy, and the call for the metrics"
        slow.go.set()
        assert [one.result().status_code for one in busy] == [200, 200]
        assert not slow.begun.acquire(timeout=0.2), "the four were never begun"


def test_bodies_together_may_not_fill_the_memory(monkeypatch, trained_run):
    with with_calls(monkeypatch, trained_run, [], bytes_waiting=10_000) as client:
        answer = client.post("/v1/predict", content=b"x" * 20_000, headers={"Content-Type": "image/png"})
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        assert client.post("/v1/predict", content=b"x", headers={"Content-Type": "image/png"}).status_code == 422


def test_an_error_that_nobody_foresaw_is_told_in_json_and_logged(monkeypatch, trained_run, caplog):
    def broken(asked):
        raise ZeroDivisionError("secret")

    with with_calls(monkeypatch, trained_run, [Endpoint("POST", "/v1/broken", broken, Doc("Broken."))]) as client:
        answer = client.post("/v1/broken", json={})
    assert answer.status_code == 500
    assert "secret" not in answer.text and answer.json()["error"]["what"] == "the server failed"
    assert "secret" in caplog.text


def test_the_last_pictures_are_kept_and_older_ones_are_gone(monkeypatch, trained_run, distinct):
    with with_calls(monkeypatch, trained_run, [], kept_pictures=3) as client:
        names = [
            client.post("/v1/predict", files={"picture": next(distinct)}).json()["predictions"][0]["picture"]
            for _ in range(5)
        ]
        assert len(set(names)) == 5
        statuses = [client.post("/v1/predict", json={"picture": {"id": name}}).status_code for name in names]
    assert statuses == [410, 410, 200, 200, 200]
