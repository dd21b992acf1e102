"""Serving from Python: blocking, or beside one's own program; engines; a network of one's own."""

from __future__ import annotations

import ast
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

import convlens
from convlens.errors import Stopped, UsageError
from convlens.runs import Run
from convlens.server import create_app, running_server, still_computing
from convlens.server.guard import Guard


def test_the_verb_is_at_the_top_and_says_where_it_listens(trained_run):
    found: list[str] = []

    def ask_and_stop(result):
        def ask():
            found.append(httpx.get(f"{result.url}v1/health").json()["status"])
            server[0].should_exit = True

        threading.Thread(target=ask, daemon=True).start()

    import convlens.server.listening as listening

    server: list[listening.Server] = []
    make = listening.make_server
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listening, "make_server", lambda *given: server.append(make(*given)) or server[0])
        result = convlens.serve(trained_run, port=0, listening=ask_and_stop)
    assert found == ["ok"]
    assert result.url == f"http://127.0.0.1:{result.port}/" and result.runs == ("digits",) and not result.token


def test_importing_the_server_asks_for_no_web_framework():
    """So that `convlens serve` can say what is missing."""
    folder = Path(convlens.server.__file__).parent
    for name in ("__init__", "serve", "extra", "limits", "refused", "workers"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in imports:
            text = ast.unparse(node)
            assert "starlette" not in text and "uvicorn" not in text, f"{name}.py: {text}"


def test_a_server_beside_a_program_ends_with_its_block(trained_run):
    with running_server([trained_run, trained_run]) as served:
        assert served.runs == ("digits", "digits-2")
        assert httpx.get(f"{served.url}v1/health").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.url}v1/health")
    assert not still_computing()


def test_a_run_that_is_open_can_be_served_and_no_run_cannot(trained_run):
    with running_server(Run.load(trained_run)) as served:
        assert served.runs == ("digits",)
    with pytest.raises(UsageError, match="no run was given"), running_server([]):
        pass


def test_arguments_of_another_type_are_told(trained_run):
    with pytest.raises(UsageError, match="port came as '8000'; expected a whole number"):
        convlens.serve(trained_run, port="8000")
    with pytest.raises(UsageError, match="runs came as 7; expected a run, text, a path or a list"), running_server(7):
        pass


def test_an_engine_gives_the_same_answers_and_is_named(trained_run, digits, tmp_path):
    Image.open(io.BytesIO(digits[0])).save(tmp_path / "a.png")
    known = convlens.predict(trained_run, tmp_path / "a.png", top=10).predictions[0]
    with running_server(trained_run, engine="torch") as served:
        assert httpx.get(f"{served.url}v1/run").json()["engine"].startswith("torch, fp32")
        answer = httpx.post(f"{served.url}v1/predict", files={"picture": digits[0]}, data={"all": "true"}).json()
    found = {one["label"]: one["probability"] for one in answer["predictions"][0]["top"]}
    assert found == pytest.approx(dict(known.top), abs=1e-5)


def test_the_app_can_be_made_for_another_server(trained_run):
    app = create_app([Run.load(trained_run)])
    assert isinstance(app, Guard)


def test_a_signal_is_told_as_one(trained_run, monkeypatch):
    import signal

    from convlens.server.listening import Server

    startup = Server.startup

    async def started(server, sockets=None):
        await startup(server, sockets)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Server, "startup", started)
    with pytest.raises(Stopped, match="the server has ended") as stopped:
        convlens.serve(trained_run, port=0)
    assert stopped.value.exit_status == 143


@pytest.mark.skipif(os.name == "nt", reason="has no SIGINT of its own")
def test_a_second_ctrl_c_prints_no_traceback(trained_run):
    command = [sys.executable, "-m", "convlens", "serve", str(trained_run), "--port", "0", "--no-open"]
    half = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\nx"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline().partition("http://127.0.0.1:")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(half)
            time.sleep(0.3)
            server.send_signal(signal.SIGINT)
            time.sleep(0.1)
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=30)
    assert server.returncode == 130 and errors == "convlens: the server has ended\n"


def test_a_server_on_every_address_says_one_for_this_machine_and_one_for_others(trained_run):
    with running_server(trained_run, host="0.0.0.0", token="secret") as served:
        headers = {"Authorization": "Bearer secret"}
        assert served.url == f"http://127.0.0.1:{served.port}/"
        assert httpx.get(f"{served.url}v1/health", headers=headers).status_code == 200
        assert served.url_elsewhere is not None
        host = served.url_elsewhere.removeprefix("http://").removesuffix(f":{served.port}/")
        assert host not in ("", "0.0.0.0") and "/" not in host
    with running_server(trained_run) as served:
        assert served.url_elsewhere is None
