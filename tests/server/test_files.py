"""No file but the page's own and the run's thumbnails is ever served."""

from __future__ import annotations

from importlib.resources import files

import pytest

from convlens.runs import Run
from convlens.server.assets import page_files
from convlens.server.samples import thumbnails_of

from .conftest import answer_on, connect

OUTSIDE = ("../run.json", "..%2frun.json", "%2e%2e/run.json", "..\\run.json", "/etc/passwd", "%00", "a/../../run.json")


@pytest.mark.parametrize("place", ["/page/", "/v1/thumbnails/", "/v1/pictures/", "/"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_lead_nowhere_else(served, place, name):
    with connect(served.url) as connection:
        connection.sendall(f"GET {place}{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = answer_on(connection)
    assert answer.split(b" ")[1] in (b"400", b"404", b"410")
    assert b"format_version" not in answer and b"root:" not in answer


def test_a_thumbnail_that_is_a_link_is_not_followed(copied_run, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    copied_run.joinpath("thumbnails").mkdir(exist_ok=True)
    copied_run.joinpath("thumbnails", "a.jpg").symlink_to(tmp_path / "secret.jpg")
    copied_run.joinpath("thumbnails", "b.jpg").write_bytes(b"own")
    assert list(thumbnails_of(Run.load(copied_run))) == ["b.jpg"]


def test_the_page_is_served_from_a_table_of_its_files(client):
    assert client.get("/").content == client.get("/page/index.html").content
    for name, (data, media) in page_files().items():
        answer = client.get(f"/page/{name}")
        assert answer.content == data and answer.headers["content-type"] == media
    assert client.get("/page/__init__.py").status_code == 404


def test_nothing_in_the_page_comes_from_elsewhere():
    for file in (files("convlens.server") / "page").iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert "http://" not in text and "https://" not in text, file.name


def test_a_picture_comes_back_as_it_was_given_and_as_the_network_sees_it(client, digits):
    name = client.post("/v1/predict", files={"picture": digits[0]}).json()["predictions"][0]["picture"]
    shown = client.get(f"/v1/pictures/{name}")
    assert shown.headers["content-type"] == "image/png" and shown.content[16:24] == bytes([0, 0, 0, 8]) * 2
    seen = client.get(f"/v1/pictures/{name}", params={"as": "seen"})
    assert seen.content[16:24] == bytes([0, 0, 0, 28]) * 2
    assert client.get(f"/v1/pictures/{name}?as=other").status_code == 400


def test_an_unknown_address_and_an_unknown_method_are_answered_with_where_to_look(client):
    assert client.get("/v1/nothing").status_code == 404
    assert client.get("/v1/health/").status_code == 404
    answer = client.put("/v1/predict")
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"
    for one in (client.get("/v1/nothing"), answer):
        assert "/openapi.json" in one.json()["error"]["remedy"]
