"""`/v1/health`, `/v1/run`, `/metrics` and `/openapi.json`."""

from __future__ import annotations

import re

import httpx
import pytest

import convlens
from convlens.server import running_server
from convlens.server.routes import ROUTES


@pytest.fixture(scope="module")
def judged(trained_run, tmp_path_factory) -> httpx.Client:
    """A server on two runs: one that was judged, and so has thumbnails, and one that was not."""
    import shutil

    copy = shutil.copytree(trained_run, tmp_path_factory.mktemp("judged") / "judged")
    convlens.evaluate(copy)
    with running_server([copy, trained_run]) as served, httpx.Client(base_url=served.url) as client:
        yield client


def test_it_says_that_it_is_well(client, trained_run):
    assert client.get("/v1/health").json() == {
        "status": "ok",
        "runs": [trained_run.name],
        "convlens": convlens.__version__,
    }


def test_a_run_tells_its_network_and_its_classes(client):
    facts = client.get("/v1/run").json()
    assert (facts["name"], facts["network"], facts["num_parameters"]) == ("digits", "lenet5", 61_706)
    assert facts["classes"] == [str(number) for number in range(10)]
    assert facts["input"] == {"channels": 1, "height": 28, "width": 28, "fit": "crop", "crop_ratio": 1.0}
    assert facts["digits"] and not facts["watching"] and facts["engine"] == "plain"
    assert facts["samples"] == [] and not facts["has_pictures"]


def test_samples_are_thumbnails_of_every_class_that_can_be_asked_about(judged):
    facts = judged.get("/v1/run").json()
    assert len(facts["samples"]) == 24 and {one["label"] for one in facts["samples"]} == set(facts["classes"])
    assert facts["ink"] == "light"  # light strokes on a dark ground
    sample = facts["samples"][0]
    thumbnail = judged.get(sample["url"])
    assert thumbnail.headers["content-type"] == "image/jpeg"
    answer = judged.post("/v1/predict", json={"picture": {"id": sample["id"]}}).json()
    assert answer["predictions"][0]["label"] == sample["label"]


def test_several_runs_are_served_and_asked_by_name(judged, digits):
    assert judged.get("/v1/health").json()["runs"] == ["judged", "digits"]
    for name in ("judged", "digits"):
        answer = judged.post("/v1/predict", files={"picture": digits[0]}, data={"run": name})
        assert answer.json()["run"] == name == judged.get("/v1/run", params={"run": name}).json()["name"]
    unknown = judged.get("/v1/run", params={"run": "digit"})
    assert unknown.status_code == 404 and "(near: digits)" in unknown.json()["error"]["what"]


def test_metrics_count_requests_and_pictures(client, digits):
    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    answered = 'convlens_requests_total{call="/v1/predict",status="200"}'
    pictures = 'convlens_batched_pictures_total{run="digits"}'
    before = value(answered), value(pictures)
    client.post("/v1/predict", files=[("picture", one) for one in digits[:3]])
    assert (value(answered), value(pictures)) == (before[0] + 1, before[1] + 3)
    assert value("process_resident_memory_bytes") > 1e7
    assert value('convlens_request_seconds_count{call="/v1/predict"}') >= value(answered)


def test_metrics_are_in_the_format_of_prometheus(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"\n]*",?)+\})? [\d.+e-]+)')
    assert [row for row in answer.text.splitlines() if not line.fullmatch(row)] == []


def test_the_document_lists_every_call(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for one in ROUTES:
        operation = document["paths"][one.path][one.method.lower()]
        assert operation["summary"].endswith(".") and "200" in operation["responses"]
        assert ("requestBody" in operation) == (one.method == "POST")
