"""`/v1/explain` and `/v1/methods`: the maps of `convlens explain`, each found once, with the badge of its check."""

from __future__ import annotations

import base64
import io
import json

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from convlens.errors import UsageError
from convlens.explanation import METHODS, explain, sanity_check
from convlens.explanation.methods import find_method
from convlens.pictures import decode, heat_layer, overlay
from convlens.runs import Run
from convlens.server import explaining, running_server
from convlens.server.explaining import MOST, as_rows, check_cost
from convlens.server.recent import Recent


def asked(client, data: bytes, **fields):
    return client.post("/v1/explain", json={"picture": {"base64": base64.b64encode(data).decode()}, **fields})


def pixels_of(address: str) -> np.ndarray:
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.fixture
def run(trained_run) -> Run:
    return Run.load(trained_run)


def test_a_map_is_that_of_the_library_and_its_picture_that_of_the_report(client, digits, run):
    answer = asked(client, digits[3], method="grad_cam", values=True).json()
    images = run.preprocess([decode(digits[3])])
    expected = explain(run.model, images)
    assert answer["target"] == run.classes[expected.targets[0]] == "3"
    assert (answer["layer"], answer["signed"], answer["title"]) == (expected.layer, False, "Grad-CAM")
    np.testing.assert_allclose(answer["values"], expected.maps[0], rtol=1e-4, atol=1e-6)
    drawn = pixels_of(answer["heat"])
    assert drawn.shape == (*run.preprocess.size, 4)
    assert np.abs(drawn.astype(int) - heat_layer(expected.heat()[0])).max() <= 1


def test_a_layer_of_heat_over_a_grey_picture_is_the_overlay_of_the_report():
    draw = np.random.default_rng(0)
    grey = draw.integers(0, 256, (9, 7), np.uint8)
    for signed in (False, True):
        heat = draw.random((9, 7)) * 2 - 1 if signed else draw.random((9, 7))
        layer = heat_layer(heat, signed=signed)
        cover = 0.75 * layer[..., 3:] / 255
        by_hand = (1 - cover) * grey[..., None] + cover * layer[..., :3]
        assert np.abs(by_hand - overlay(grey, heat, signed=signed)).max() <= 1


def test_a_class_may_be_named_or_numbered_and_its_probability_is_the_calibrated_one(client, digits):
    data = base64.b64encode(digits[0]).decode()
    said = client.post("/v1/predict", json={"picture": {"base64": data}, "all": True}).json()["predictions"][0]
    shares = {one["label"]: one["probability"] for one in said["top"]}
    for target in ("7", 7):
        answer = asked(client, digits[0], method="saliency", target=target).json()
        assert answer["target"] == "7"
        assert answer["probability"] == pytest.approx(shares["7"], abs=1e-6)
    assert answer["layer"] is None and answer["sanity"] is None and answer["values"] is None


def test_a_class_in_a_form_or_a_query_is_a_name_first_then_a_number_then_none(copied_run, digits):
    written = json.loads((copied_run / "run.json").read_text())
    (copied_run / "run.json").write_text(json.dumps({**written, "classes": [*"01234567", "null", "01"]}))
    with running_server(copied_run) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        for asked_for, found in (("01", "01"), ("1", "1"), ("null", "null"), ("9", "01")):
            form = {"target": asked_for}
            sent = client.post("/v1/explain", data=form, files={"picture": digits[3]})
            assert sent.json()["target"] == found
            picture = {"content": digits[3], "headers": {"Content-Type": "image/png"}}
            assert client.post("/v1/explain", params=form, **picture).json()["target"] == found
            grown = client.post("/v1/maximise", params={"class": asked_for, "steps": 1}).json()
            assert grown["unit"] == [*"01234567", "null", "01"].index(found)
        assert client.post("/v1/explain", params={"target": "seven"}, **picture).status_code == 400


def test_null_in_a_query_means_the_predicted_class_where_none_is_called_so(client, digits):
    picture = {"content": digits[3], "headers": {"Content-Type": "image/png"}}
    for text in ("null", ""):
        assert client.post("/v1/explain", params={"target": text}, **picture).json()["target"] == "3"


def test_the_badge_is_that_of_the_sanity_check_and_is_remembered(client, digits, run):
    answer = asked(client, digits[5], method="gradient_input", sanity=True).json()
    images = run.preprocess([decode(digits[5])])
    expected = as_rows(sanity_check(run.model, images, method="gradient_input"))
    assert answer["sanity"]["badge"] == expected["badge"]
    names = [row["name"] for row in answer["sanity"]["rows"]]
    assert names == [row["name"] for row in expected["rows"]] == ["randomisation", "faithfulness", "stability"]
    again = asked(client, digits[5], method="gradient_input").json()
    assert again["sanity"] == answer["sanity"], "known already, so it is told without being asked for"
    assert again["seconds"] == answer["seconds"], "the map was not drawn again"


def test_a_check_that_would_take_too_long_is_not_begun(client, digits, monkeypatch):
    monkeypatch.setattr(explaining, "num_passes", lambda: 10**12)
    sanity = asked(client, digits[6], method="layer_cam", sanity=True).json()["sanity"]
    assert (sanity["badge"], sanity["passed"], sanity["rows"]) == ("not asked", None, [])
    assert "`convlens explain` has the time" in sanity["reason"]


def test_methods_say_whether_they_are_defined_here_and_why_not(client, digits):
    listed = client.get("/v1/methods").json()["methods"]
    assert [one["name"] for one in listed] == list(METHODS)
    for one in listed:
        answer = asked(client, digits[1], method=one["name"])
        assert (answer.status_code == 200) == one["defined"], one
        if not one["defined"]:
            told = answer.json()["error"]
            assert answer.status_code == 422 and one["why"].startswith(told["what"])
    assert {one["name"]: one["defined"] for one in listed}["cam"] is False


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"method": "grad-cat"}, 400, "no explanation method is called 'grad-cat' (near: grad_cam"),
        ({"target": "ten"}, 400, "no class is called 'ten'"),
        ({"layer": "nowhere"}, 400, "no layer is called 'nowhere'"),
        ({"layer": ""}, 422, "gave no feature maps"),
        ({"method": "saliency", "layer": "stages.c1"}, 400, "method saliency looks at no layer"),
        ({"options": {"steps": 3}}, 400, "no option of method grad_cam is called 'steps'"),
        ({"method": "smooth_grad", "options": {"samples": 201}}, 400, "samples came as 201; expected 200 at the most"),
        ({"method": "occlusion", "options": {"window": "wide"}}, 400, "window came as 'wide'"),
        ({"method": "guided", "options": {"rule": "soft"}}, 400, "rule came as 'soft'"),
        ({"methd": "saliency"}, 400, "no field is called 'methd' (near: method"),
        ({"run": "other"}, 404, "no run is called 'other'"),
    ],
)
def test_what_cannot_be_explained_is_said(client, digits, fields, status, words):
    answer = asked(client, digits[0], **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (status, status)
    assert words in f"{error['what']}; {error['remedy']}"


def test_options_that_would_keep_everyone_waiting_are_refused():
    assert set(MOST) <= {name for method in METHODS.values() for name in method.options}
    occlusion = find_method("occlusion")
    check_cost(occlusion, {"window": 15}, (224, 224))
    with pytest.raises(UsageError, match=r"50,625 windows would be covered, 10,000 at most are taken"):
        check_cost(occlusion, {"window": 2}, (224, 224))


def test_only_the_last_answers_are_kept_and_each_is_found_once():
    import threading

    kept: Recent[int] = Recent(2)
    turn = threading.RLock()
    found: list[int] = []

    def find() -> int:
        found.append(1)
        return len(found)

    threads = [threading.Thread(target=kept.get, args=("a", find, turn)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    for key in "bac":
        kept.get(key, find, turn)
    assert (len(kept), kept.known("b"), kept.known("a")) == (2, None, 1)


def test_the_network_is_as_it_was(client, digits, run):
    state = {name: value.clone() for name, value in run.model.state_dict().items()}
    asked(client, digits[2], method="integrated_gradients")
    fresh = Run.load(run.path).model.state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in state.items())
