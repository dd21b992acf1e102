"""`/v1/changed`: what the sliders do to a picture, and what the network says of it then."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from convlens.measurement.sliders import SLIDERS, changed
from convlens.pictures import decode
from convlens.runs import Run


def asked(client, data: bytes, **fields):
    return client.post("/v1/changed", json={"picture": {"base64": base64.b64encode(data).decode()}, **fields})


def test_the_sliders_are_listed_in_the_order_in_which_they_are_applied(client):
    listed = client.get("/v1/changes").json()["changes"]
    assert [one["name"] for one in listed] == list(SLIDERS)
    assert listed[0] == {
        "name": "rotation", "title": "Turn", "unit": "degrees, clockwise",
        "least": -180, "most": 180, "usual": 0, "step": 1,
    }  # fmt: skip


def test_unchanged_it_says_what_predict_says_and_shows_what_the_network_sees(client, digits, trained_run):
    data = base64.b64encode(digits[4]).decode()
    known = client.post("/v1/predict", json={"picture": {"base64": data}}).json()["predictions"][0]
    answer = asked(client, digits[4]).json()
    assert answer["prediction"] == known
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["seen"].partition(",")[2]))))
    assert np.array_equal(seen, Run.load(trained_run).preprocess.pixels(decode(digits[4]))[0])


def test_changed_it_says_what_the_network_says_of_the_changed_pixels(client, digits, trained_run):
    levels = {"rotation": 40, "noise": 16, "shift": -10}
    run = Run.load(trained_run)
    pixels = changed(torch.from_numpy(run.preprocess.pixels(decode(digits[4])).copy())[None], levels)
    answer = asked(client, digits[4], changes=levels, top=10).json()
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["seen"].partition(",")[2]))))
    assert np.array_equal(seen, pixels[0, 0].numpy())
    with torch.no_grad():
        shares = torch.softmax(run.model(run.preprocess.normalise(pixels)) / run.temperature, 1)[0]
    for one in answer["prediction"]["top"]:
        assert one["probability"] == pytest.approx(float(shares[one["index"]]), abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rotaton": 3}, "'changes' has no 'rotaton' (near: rotation"),
        ({"rotation": 200}, "expected a number from -180.0 to 180.0"),
        ({"blur": "much"}, "expected a number"),
        ([1], "'changes' is [1]; expected an object"),
    ],
)
def test_what_is_no_change_is_refused(client, digits, changes, words):
    answer = asked(client, digits[0], changes=changes)
    assert answer.status_code == 400
    assert words in "; ".join(map(str, answer.json()["error"].values()))
