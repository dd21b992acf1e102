"""`/v1/predict`: the answers of `convlens predict`, whatever way the pictures come."""

from __future__ import annotations

import base64

import pytest

import convlens


def as_files(pictures: list[bytes], folder) -> list[str]:
    for number, data in enumerate(pictures):
        (folder / f"{number}.png").write_bytes(data)
    return [str(folder / f"{number}.png") for number in range(len(pictures))]


def in_base64(data: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(data).decode()}


def test_probabilities_are_those_of_the_command(client, digits, trained_run, tmp_path):
    expected = convlens.predict(trained_run, as_files(digits, tmp_path), top=10)
    answer = client.post("/v1/predict", json={"pictures": [in_base64(one) for one in digits], "all": True}).json()
    assert answer["run"] == trained_run.name and answer["unreadable"] == []
    for one, known in zip(answer["predictions"], expected.predictions, strict=True):
        assert one["label"] == known.label and (one["width"], one["height"]) == (8, 8)
        assert [top["label"] for top in one["top"]] == [name for name, _ in known.top]
        assert [top["probability"] for top in one["top"]] == pytest.approx([p for _, p in known.top], abs=1e-6)


def test_a_picture_comes_as_it_is_in_a_form_in_json_or_by_its_id(client, digits):
    raw = client.post("/v1/predict?top=3", content=digits[0], headers={"Content-Type": "image/png"})
    form = client.post("/v1/predict", files={"picture": digits[0]}, data={"top": "3"})
    json = client.post("/v1/predict", json={"picture": in_base64(digits[0]), "top": 3})
    again = client.post("/v1/predict", json={"picture": {"id": raw.json()["predictions"][0]["picture"]}, "top": 3})
    predictions = [answer.json()["predictions"] for answer in (raw, form, json, again)]
    assert predictions[0] == predictions[1] == predictions[2] == predictions[3]
    assert len(predictions[0][0]["top"]) == 3


def test_one_bad_picture_of_several_is_listed_and_a_single_one_is_refused(client, digits):
    pictures = [in_base64(digits[0]), in_base64(b"no picture"), in_base64(digits[1])]
    answer = client.post("/v1/predict", json={"pictures": pictures}).json()
    assert len(answer["predictions"]) == 2
    (bad,) = answer["unreadable"]
    assert bad["place"] == 1 and bad["reason"].startswith("unreadable")
    alone = client.post("/v1/predict", json={"pictures": pictures[1:2]})
    assert alone.status_code == 422
    assert "cannot be read" in alone.json()["error"]["what"] and alone.json()["error"]["remedy"]


def test_a_picture_that_is_not_kept_is_gone(client):
    answer = client.post("/v1/predict", json={"picture": {"id": "0" * 32}})
    assert answer.status_code == 410
    assert answer.json()["error"]["remedy"] == "send it again"


def test_a_field_with_a_wrong_name_is_answered_with_the_nearest(client, digits):
    answer = client.post("/v1/predict?tpo=3", content=digits[0], headers={"Content-Type": "image/png"})
    assert answer.status_code == 400
    assert "'tpo' (near: top)" in answer.json()["error"]["what"]
