"""`convlens serve`: one line with the address, an end at once, and clear words where it cannot begin."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time

import httpx
import pytest

from convlens.cli import serve as command
from convlens.errors import Stopped
from convlens.server.listening import Server


@pytest.fixture
def stopped_at_once(monkeypatch):
    """The server stops as soon as it listens."""
    startup = Server.startup

    async def started(server, sockets=None):
        await startup(server, sockets)
        server.should_exit = True

    monkeypatch.setattr(Server, "startup", started)


def test_it_prints_its_address_answers_and_ends_at_once_with_ctrl_c(process, trained_run):
    child = process("serve", trained_run, "--port", "0")
    line = child.stdout.readline()
    name, address = line.split(": ", 1)
    assert name == "digits" and line.endswith(" (Ctrl-C ends it)\n")
    assert httpx.get(f"{address.split(' ')[0]}v1/health").json()["status"] == "ok"
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = child.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert (child.returncode, out, err) == (130, "", "convlens: the server has ended\n")


def test_the_address_comes_as_json(convlens, trained_run, stopped_at_once):
    outcome = convlens("serve", trained_run, "--port", "0", "--token", "abc", "--json")
    assert outcome.status == 0
    assert outcome.json == {
        "url": f"http://127.0.0.1:{outcome.json['port']}/",
        "host": "127.0.0.1",
        "port": outcome.json["port"],
        "runs": ["digits"],
        "token": True,
        "url_elsewhere": None,
    }


def test_a_port_that_is_taken_is_told_with_a_free_one(convlens, trained_run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = convlens("serve", trained_run, "--port", port)
    assert outcome.status == 2
    assert outcome.complaint.startswith(f"port {port} on 127.0.0.1 cannot be had (address already in use); --port ")
    assert outcome.complaint.endswith(" is free")


# fmt: off
WRONG = [
    (("--port", "70000"),        2, "the port is 70000; expected 0, for a free one, to 65535"),
    (("--host", "no.such.host"), 2, "no address is called 'no.such.host'"),
    (("--token", "a b"),         2, "the token is empty or has other characters"),
    (("--engine", "fast"),       2, "no engine is called 'fast'"),
    (("--max-megabytes", "0"),   2, "--max-megabytes is 0, expected a whole number of at least 1"),
    (("nowhere",),               1, "nowhere does not exist"),
]
# fmt: on


@pytest.mark.parametrize(("arguments", "status", "words"), WRONG)
def test_what_cannot_be_served_is_told_before_it_listens(convlens, trained_run, arguments, status, words):
    outcome = convlens("serve", trained_run, "--port", "0", *arguments)
    assert outcome.status == status
    assert words in outcome.complaint


def test_who_listens_to_others_without_a_token_is_told(convlens, trained_run, stopped_at_once):
    outcome = convlens("serve", trained_run, "--host", "0.0.0.0", "--port", "0")
    assert "whoever reaches 0.0.0.0 may ask; --token keeps others out" in outcome.stderr
    assert "whoever" not in convlens("serve", trained_run, "--host", "0.0.0.0", "--port", "0", "--token", "t").stderr


def test_the_page_is_opened_with_the_token(convlens, trained_run, stopped_at_once, monkeypatch):
    opened: list[str] = []
    done = threading.Event()
    monkeypatch.setattr(command.webbrowser, "open", lambda address: (opened.append(address), done.set()))
    outcome = convlens("serve", trained_run, "--port", "0", "--token", "a+b/c=&%#d", "--open", "--json")
    assert done.wait(20)
    assert opened == [f"{json.loads(outcome.stdout)['url']}#token=a%2Bb%2Fc%3D%26%25%23d"]


def test_an_answer_that_nobody_waits_for_does_not_hold_up_the_end(convlens, trained_run, monkeypatch):
    left: list[int] = []
    monkeypatch.setattr("convlens.server.still_computing", lambda: True)
    monkeypatch.setattr(command.os, "_exit", left.append)
    monkeypatch.setattr("convlens.server.serve", interrupted)
    outcome = convlens("serve", trained_run)
    assert left == [130] == [outcome.status]


def interrupted(*_, **__):
    raise Stopped("the server has ended", 130)


def test_without_the_packages_of_the_server_it_says_how_to_install_them(convlens, trained_run, monkeypatch):
    monkeypatch.setattr("convlens.server.extra.find_spec", lambda name: None if name == "uvicorn" else object())
    outcome = convlens("serve", trained_run)
    assert outcome.status == 1
    assert outcome.complaint == "the server needs uvicorn, which is not installed; pip install 'convlens[serve]'"
