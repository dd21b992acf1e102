"""Who may ask, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from convlens.server import running_server
from convlens.server.guard import Guard, host_of, is_address, needs_token, site_of

from .conftest import answer_on, connect

TOKEN = "s3cret-and-long"


@pytest.fixture(scope="module")
def closed(trained_run) -> Iterator[httpx.Client]:
    """A server with a token."""
    with running_server(trained_run, token=TOKEN) as served, httpx.Client(base_url=served.url) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/v1/health", "/v1/run", "/nowhere", "/metrics", "/openapi.json"])
def test_every_answer_has_the_headers_that_keep_a_browser_safe(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers
    assert len(headers.get_list("cache-control")) == 1


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "a@127.0.0.1", "127.0.0.1:80:80", "["])
def test_another_host_is_refused(client, host):
    answer = client.get("/v1/health", headers={"Host": host})
    assert answer.status_code == 421
    assert "open it under the address it printed" in answer.json()["error"]["remedy"]


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1234", "127.0.0.1", "[::1]:8000"])
def test_loopback_has_several_names(client, host):
    assert client.get("/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("hosts", ["", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n"])
def test_a_request_has_one_host(served, hosts):
    with connect(served.url) as connection:
        connection.sendall(f"GET /v1/health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
        assert answer_on(connection).split(b" ")[1] in (b"400", b"421")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://", "", "http://["])
def test_another_site_is_refused(client, origin, digits):
    answer = client.post("/v1/predict", files={"picture": digits[0]}, headers={"Origin": origin})
    assert answer.status_code == 403


def test_its_own_page_may_ask(client, served, digits):
    answer = client.post("/v1/predict", files={"picture": digits[0]}, headers={"Origin": served.url.rstrip("/")})
    assert answer.status_code == 200


def test_another_site_may_link_to_the_page_and_read_nothing(client):
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/", headers=foreign).status_code == 200
    assert client.get("/v1/run", headers=foreign).status_code == 403


@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"]
)
def test_without_the_token_every_call_is_refused(closed, given):
    headers = {"Authorization": given.encode()} if given else {}
    for path in ("/v1/health", "/v1/run", "/metrics", "/openapi.json", "/v1/pictures/a", "/nowhere"):
        answer = closed.get(path, headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in answer.json()["error"]["remedy"]


def test_with_the_token_all_is_answered(closed, digits):
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert closed.get("/v1/run", headers=headers).status_code == 200
        assert closed.post("/v1/predict", files={"picture": digits[0]}, headers=headers).status_code == 200


def test_the_page_itself_needs_no_token(closed):
    assert closed.get("/").status_code == 200
    assert closed.get("/page/index.html").status_code == 200
    assert not needs_token("/page/app.js") and needs_token("/v1/run") and needs_token("//") and needs_token("/page")


def test_a_server_on_all_addresses_is_called_by_numbers_alone():
    guard = Guard(None, ["*"])  # type: ignore[arg-type]
    assert guard._is_ours("192.168.1.7") and guard._is_ours("fe80::1") and guard._is_ours("localhost")
    assert not guard._is_ours("evil.example") and not guard._is_ours(None)


def test_addresses_are_read_as_they_should_be():
    assert host_of("//[::1]:80") == "::1" and host_of("//a:b") is None and host_of("//u@h") is None
    assert site_of("http://localhost:8000") == "localhost:8000"
    assert site_of("http://localhost:8000/path") is None and site_of("null") is None
    assert is_address("10.0.0.1") and not is_address("10.0.0.1.example")


def test_headers_that_are_too_long_are_refused_however_they_arrive(client):
    answer = client.get("/v1/health", headers={"X-Long": "a" * 40_000})
    assert answer.status_code == 431 and "bytes" in answer.json()["error"]["what"]
    assert client.get("/v1/health", headers={"X-Long": "a" * 30_000}).status_code == 200
