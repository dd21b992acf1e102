"""Bodies that are too large, too deep, of another kind or broken: a clear 4xx each."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from convlens.server import Limits, running_server

from .conftest import answer_on, connect

JSON = {"Content-Type": "application/json"}
SMALL = Limits(body=20_000, json_body=30_000, json_text=2_000, json_values=200, pictures=3)


@pytest.fixture(scope="module")
def small(trained_run) -> Iterator[httpx.Client]:
    """A server that takes little."""
    with running_server(trained_run, limits=SMALL) as served, httpx.Client(base_url=served.url) as client:
        yield client


# fmt: off
BROKEN = {
    "no JSON":                (b"{", 400, "no JSON"),
    "no object":              (b"[1]", 400, "send an object"),
    "a bare word":            (b'{"top": NaN}', 400, "NaN is no JSON"),
    "a number of digits":     (b'{"top": ' + b"9" * 5000 + b"}", 400, "no JSON"),
    "no UTF-8":               (b'{"run": "\xff"}', 400, "no JSON"),
    "a lone half character":  (b'{"run": "\\ud800"}', 400, "no picture came"),
    "nested too deep":        (b'{"picture": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "nested more than 32 deep"),
    "unclosed and deep":      (b"[" * 100_000, 400, "nested more than 32 deep"),
    "objects for a name":     (b'{"run": {"a": 1}}', 400, "expected text"),
    "too many values":        (b'{"picture": [' + b"0," * 100_001 + b"0]}", 413, "more than 100,000 values"),
    "too much text":          (b'{"run": "' + b"a" * (1 << 20) + b'"}', 413, "beside its pictures"),
    "no base64":              (b'{"picture": {"base64": "\\u00e9"}}', 400, "no base64"),
    "a picture by its path":  (b'{"picture": {"path": "/etc/passwd"}}', 400, 'give {"base64": "…"} or {"id": "…"}'),
    "a picture as text":      (b'{"picture": "abc"}', 400, 'give {"base64": "…"} or {"id": "…"}'),
    "no picture":             (b"{}", 400, "no picture came"),
    "no body":                (b"", 400, "no picture came"),
}
# fmt: on


@pytest.mark.parametrize("name", BROKEN)
def test_broken_json_is_refused_with_what_is_wrong(client, name):
    body, status, words = BROKEN[name]
    answer = client.post("/v1/predict", content=body, headers=JSON)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["status"] == status and error["remedy"]
    assert words in f"{error['what']}; {error['remedy']}"


def test_a_call_without_pictures_takes_no_more_text_than_others(client):
    body = b'{"layer": "' + b"a" * (2 << 20) + b'"}'
    answer = client.post("/v1/maximise", content=body, headers=JSON)
    assert answer.status_code == 413 and "beside its pictures" in answer.json()["error"]["what"]


@pytest.mark.slow
def test_a_broken_form_writes_nothing_to_the_terminal():
    code = """if True:
        from convlens.server.body import read_body
        from convlens.server.endpoint import Doc
        from convlens.server.limits import Limits
        from convlens.server.refused import Refused
        try:
            read_body(b"{no form}", "multipart/form-data; boundary=x", Doc("", pictures="one"), Limits())
        except Refused:
            print("refused")"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_what_is_wrong_with_a_unit_or_a_wish_comes_with_a_remedy(client, digits):
    picture = {"base64": base64.b64encode(digits[0]).decode()}
    outside = client.post("/v1/unit", json={"node": 0, "channel": 99, "row": 0, "column": 0, "picture": picture})
    for answer in (outside, client.post("/v1/maximise", json={})):
        assert answer.status_code == 400 and answer.json()["error"]["remedy"]


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "video/mp4", "", "image", "x/y/z"]
)
def test_other_content_types_are_refused(client, digits, media):
    answer = client.post("/v1/predict", content=digits[0], headers={"Content-Type": media})
    assert answer.status_code == 415
    assert "image/*" in answer.json()["error"]["remedy"]


def test_a_content_type_with_parameters_and_capitals_is_taken(client, digits):
    answer = client.post("/v1/predict", content=digits[0], headers={"Content-Type": "Image/PNG; quality=1"})
    assert answer.status_code == 200


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'


# fmt: off
FORMS = {
    "without a boundary":  ({"Content-Type": "multipart/form-data"}, b"--x--", "names no boundary"),
    "cut short":           (FORM, PART + b"abc", "ends before its last boundary"),
    "of other parts":      (FORM, b"--y\r\n\r\n--y--", "cannot be read"),
    "with a nameless one": (FORM, b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", "has no name"),
    "without a head":      (FORM, b"--x\r\n\r\na\r\n--x--\r\n", "has no name"),
    "with another file":   (FORM, PART.replace(b"picture", b"file") + b"a\r\n--x--\r\n", "call it 'picture'"),
    "with a wrong field":  (FORM, PART.replace(b'; filename="a"', b"").replace(b"picture", b"tap") + b"a\r\n--x--\r\n",
                            "no field is called 'tap' (near: top)"),
    "that is empty":       (FORM, b"--x--\r\n", "no picture came"),
}
# fmt: on


@pytest.mark.parametrize("name", FORMS)
def test_a_broken_form_is_refused(client, name):
    headers, body, words = FORMS[name]
    answer = client.post("/v1/predict", content=body, headers=headers)
    assert answer.status_code == 400
    assert words in json.dumps(answer.json(), ensure_ascii=False)


def test_a_body_that_is_too_large_is_refused_by_what_it_declares(small):
    answer = small.post("/v1/predict", content=b"x" * 20_001, headers={"Content-Type": "image/png"})
    assert answer.status_code == 413
    assert "more than 20,000 bytes" in answer.json()["error"]["what"]


def test_a_body_of_unknown_length_is_counted_while_it_comes(small):
    parts = (b"x" * 1000 for _ in range(40))
    answer = small.post("/v1/predict", content=parts, headers={"Content-Type": "image/png"})
    assert answer.status_code == 413


def test_a_length_that_lies_is_no_way_around(served, digits):
    head = "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {}\r\n"
    with connect(served.url) as less:
        less.sendall(head.format(10).encode() + b"Connection: close\r\n\r\n" + digits[0])
        assert answer_on(less).startswith(b"HTTP/1.1 422")  # ten bytes are no picture, and the rest no request
    for wrong in ("-1", "1e9", "9" * 30, "0x10"):
        with connect(served.url) as odd:
            odd.sendall(head.format(wrong).encode() + b"Connection: close\r\n\r\n")
            assert answer_on(odd).split(b" ")[1] in (b"400", b"413")


def test_more_pictures_than_a_request_may_have_are_refused(small, digits):
    form = small.post("/v1/predict", files=[("picture", digits[0])] * 4)
    listed = small.post("/v1/predict", json={"pictures": [{"id": "0"}] * 4})
    assert form.status_code == listed.status_code == 413
    assert "more than 3 pictures" in form.json()["error"]["what"] and "more than 3" in listed.json()["error"]["what"]


def test_a_picture_that_unfolds_to_too_many_pixels_is_refused(client):
    """A bitmap whose header claims 60,000 x 60,000 pixels."""
    size = (60_000).to_bytes(4, "little")
    head = b"BM" + bytes(8) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little") + size + size + b"\1\0\x18\0"
    answer = client.post("/v1/predict", content=head + bytes(500), headers={"Content-Type": "image/bmp"})
    assert answer.status_code == 422
    assert "decompression bomb" in answer.json()["error"]["what"]


def test_the_server_still_answers(client, digits):
    assert client.post("/v1/predict", files={"picture": digits[0]}).status_code == 200


def test_a_field_of_a_form_that_is_an_object_is_json(client, digits):
    files = {"picture": ("a.png", digits[0], "image/png")}
    turned = client.post("/v1/changed", files=files, data={"changes": '{"rotation": 40}'})
    picture = {"id": turned.json()["prediction"]["picture"]}
    asked = {"picture": picture, "changes": {"rotation": 40}}
    assert turned.status_code == 200 and turned.json()["seen"] == client.post("/v1/changed", json=asked).json()["seen"]
    for wrong in ("{", "[1]", '{"rotation": NaN}', '{"rotation": 1e400}', "{" * 100_000, '{"a":' * 32 + "1" + "}" * 32):
        answer = client.post("/v1/changed", files=files, data={"changes": wrong})
        assert answer.status_code == 400 and "changes" in answer.json()["error"]["what"], wrong
