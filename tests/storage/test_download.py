"""Downloads against a local server that is slow, breaks off, lies and stalls; nothing here touches the network."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from convlens.errors import DownloadError, StorageError
from convlens.storage import FolderLock, download, sha256_bytes
from convlens.storage import download as download_function

FILE = bytes(range(256)) * 1000
HALF = len(FILE) // 2
DIGEST = sha256_bytes(FILE)


class Handler(BaseHTTPRequestHandler):
    """The first step of the path is the behaviour: /good/file, /stall/file, ..."""

    server: Server

    def do_GET(self) -> None:
        behaviour, asked = self.path.split("/")[1], self.headers.get("Range")
        self.server.requests.append((behaviour, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        with suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, behaviour.replace("-", "_"))(start)
        self.close_connection = True

    def begin(self, start: int = 0, *, length: int | None = None, total: int = len(FILE)) -> None:
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - start if length is None else length))
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def good(self, start: int) -> None:
        if start >= len(FILE):
            return self.send_error(416)
        self.begin(start)
        self.send(FILE[start:])

    def ignores_ranges(self, start: int) -> None:
        self.good(0)

    def slow(self, start: int) -> None:
        self.begin(start)
        for place in range(start, len(FILE), len(FILE) // 8):
            self.send(FILE[place : place + len(FILE) // 8])
            time.sleep(0.02)

    def without_length(self, start: int) -> None:
        self.send_response(200)
        self.end_headers()
        self.send(FILE)

    def missing(self, start: int) -> None:
        self.send_error(404)

    def busy(self, start: int) -> None:
        self.send_error(503)

    def wrong(self, start: int) -> None:
        self.begin(start)
        self.send(bytes(len(FILE) - start))

    def login_page(self, start: int) -> None:
        self.begin(total=20)
        self.send(b"<html>log in</html>\n")

    def endless(self, start: int) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.send(bytes(100_000))

    def other_range(self, start: int) -> None:
        self.begin(start + 5 if start else 0)
        self.send(FILE[start:])

    def breaks_off(self, start: int) -> None:
        """Half of what is left, though all of it was promised."""
        self.begin(start)
        self.send(FILE[start : start + (len(FILE) - start) // 2])

    def breaks_off_once(self, start: int) -> None:
        self.good(start) if len(self.server.requests) > 1 else self.breaks_off(start)

    def resets(self, start: int) -> None:
        """Half of it, then the connection is reset as by a crashed server."""
        self.breaks_off(start)
        time.sleep(0.1)  # a reset drops what is still on its way
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def stalls(self, start: int) -> None:
        self.begin(start)
        self.send(FILE[start : start + 1000])
        self.server.closing.wait(20)

    def never_answers(self, start: int) -> None:
        self.server.closing.wait(20)

    def trickles(self, start: int) -> None:
        self.begin(start)
        for place in range(start, len(FILE)):
            self.send(FILE[place : place + 1])
            if self.server.closing.wait(0.02):
                return

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.closing = threading.Event()

    def urls(self, *behaviours: str) -> list[str]:
        return [f"http://127.0.0.1:{self.server_port}/{behaviour}/file" for behaviour in behaviours]

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


# fmt: off
MIRRORS = [  # what the mirrors do, the requests that come
    (["good"],                      [("good", None)]),
    (["slow"],                      [("slow", None)]),
    (["without-length"],            [("without-length", None)]),
    (["missing", "good"],           [("missing", None), ("good", None)]),
    (["busy", "good"],              [("busy", None), ("good", None)]),
    (["wrong", "good"],             [("wrong", None), ("good", None)]),
    (["login-page", "good"],        [("login-page", None), ("good", None)]),
    (["breaks-off-once"],           [("breaks-off-once", None), ("breaks-off-once", f"bytes={HALF}-")]),
    (["breaks-off", "good"],        [("breaks-off", None), ("breaks-off", f"bytes={HALF}-"),
                                     ("good", f"bytes={HALF + HALF // 2}-")]),
    (["breaks-off", "ignores-ranges"], [("breaks-off", None), ("breaks-off", f"bytes={HALF}-"),
                                     ("ignores-ranges", f"bytes={HALF + HALF // 2}-")]),
    (["breaks-off", "wrong", "good"], [("breaks-off", None), ("breaks-off", f"bytes={HALF}-"),
                                     ("wrong", f"bytes={HALF + HALF // 2}-"), ("wrong", None), ("good", None)]),
    (["stalls", "good"],            [("stalls", None), ("good", "bytes=1000-")]),
    (["never-answers", "good"],     [("never-answers", None), ("good", None)]),
]
# fmt: on


@pytest.mark.parametrize(("mirrors", "requests"), MIRRORS)
def test_a_file_arrives_whole_whatever_the_mirrors_do(
    mirrors: list[str], requests: list[tuple[str, str | None]], server: Server, tmp_path: Path
) -> None:
    size = None if mirrors == ["without-length"] else len(FILE)
    target = download(server.urls(*mirrors), tmp_path / "file", sha256=DIGEST, size_bytes=size, timeout_s=0.5)
    assert target.read_bytes() == FILE
    assert server.requests == requests
    assert not target.with_name("file.part").exists()


def test_a_mirror_that_sends_without_end_is_left(server: Server, tmp_path: Path) -> None:
    target = download(server.urls("endless", "good"), tmp_path / "file", sha256=DIGEST, size_bytes=len(FILE))
    assert target.read_bytes() == FILE


def test_a_reset_connection_is_resumed_by_the_next_mirror(server: Server, tmp_path: Path) -> None:
    target = download(server.urls("resets", "good"), tmp_path / "file", sha256=DIGEST)
    assert target.read_bytes() == FILE
    assert server.requests[1][1] and server.requests[-1][0] == "good"


def test_the_next_call_continues_where_the_last_one_ended(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"broke off after {HALF + HALF // 2:,} of {len(FILE):,} bytes"):
        download(server.urls("breaks-off"), tmp_path / "file", sha256=DIGEST)
    assert not (tmp_path / "file").exists()
    download(server.urls("good"), tmp_path / "file", sha256=DIGEST)
    assert server.requests[-1] == ("good", f"bytes={HALF + HALF // 2}-")
    assert (tmp_path / "file").read_bytes() == FILE


@pytest.mark.parametrize("part", [b"not the file", FILE, FILE + b"more", bytes(len(FILE))])
@pytest.mark.parametrize("size_bytes", [None, len(FILE)])
def test_whatever_an_old_part_holds_the_file_is_right(
    part: bytes, size_bytes: int | None, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "file.part").write_bytes(part)
    target = download(server.urls("good"), tmp_path / "file", sha256=DIGEST, size_bytes=size_bytes)
    assert target.read_bytes() == FILE


def test_a_part_that_is_whole_costs_no_request(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(FILE)
    download(server.urls("good"), tmp_path / "file", sha256=DIGEST, size_bytes=len(FILE))
    assert server.requests == [] and (tmp_path / "file").read_bytes() == FILE


def test_a_login_page_does_not_replace_a_good_part(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(FILE[:HALF])
    with pytest.raises(DownloadError, match="the file has 20 bytes there, 256,000 are expected"):
        download(server.urls("login-page"), tmp_path / "file", sha256=DIGEST, size_bytes=len(FILE))
    assert (tmp_path / "file.part").read_bytes() == FILE[:HALF]


def test_a_server_that_sends_another_range_is_not_believed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(FILE[:HALF])
    with pytest.raises(DownloadError, match="another range than asked"):
        download(server.urls("other-range"), tmp_path / "file", sha256=DIGEST)
    assert (tmp_path / "file.part").read_bytes() == FILE[:HALF]


def test_a_trickling_mirror_counts_as_stalled(server: Server, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(DownloadError, match="stalled"):
        download(server.urls("trickles"), tmp_path / "file", sha256=DIGEST, timeout_s=0.3)
    assert time.monotonic() - started < 3


def test_a_stalled_mirror_costs_one_timeout(server: Server, tmp_path: Path) -> None:
    started = time.monotonic()
    download(server.urls("stalls", "good"), tmp_path / "file", sha256=DIGEST, timeout_s=0.4)
    assert 0.4 <= time.monotonic() - started < 1.5


def test_when_all_mirrors_fail_each_reason_the_file_and_its_folder_are_named(server: Server, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9/file"  # the discard port: nothing listens there
    with pytest.raises(DownloadError) as caught:
        download([*server.urls("missing", "wrong"), closed], tmp_path / "data" / "digits.gz", sha256=DIGEST)
    message = str(caught.value)
    assert message.startswith(f"cannot download digits.gz (127.0.0.1:{server.server_port}: HTTP 404 Not Found; ")
    assert "another SHA-256" in message and "refused" in message
    assert message.endswith(f"put the file (SHA-256 {DIGEST}) into {tmp_path / 'data'} by hand")
    assert "\n" not in message and not (tmp_path / "data" / "digits.gz.part").exists()


def test_a_file_that_is_already_there_costs_no_request(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FILE)
    assert download(server.urls("good"), tmp_path / "file", sha256=DIGEST) == tmp_path / "file"
    assert server.requests == []


def test_a_damaged_file_that_is_already_there_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FILE[:-1])
    assert download(server.urls("good"), tmp_path / "file", sha256=DIGEST).read_bytes() == FILE


def test_the_first_digits_of_the_digest_are_enough(server: Server, tmp_path: Path) -> None:
    assert download(server.urls("good"), tmp_path / "file", sha256=DIGEST[:8]).read_bytes() == FILE
    with pytest.raises(DownloadError, match="another SHA-256"):
        download(server.urls("good"), tmp_path / "other", sha256="0" * 8)
    with pytest.raises(AssertionError, match="not a SHA-256"):
        download(server.urls("good"), tmp_path / "file", sha256="")


def test_progress_counts_to_the_whole_file_resumed_or_not(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int, str]] = []
    download(server.urls("breaks-off-once"), tmp_path / "file", sha256=DIGEST, progress=lambda *step: seen.append(step))
    done = [step[1] for step in seen]
    assert done == sorted(done) and done[-1] == len(FILE)
    assert {step[2] for step in seen} == {len(FILE)} and {step[0::3] for step in seen} == {("download", "file")}


def test_a_full_disk_is_no_mirror_s_fault(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = Path.open

    def nearly_full(path: Path, mode: str = "r", *rest: int) -> object:
        if mode in ("ab", "wb"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_open(path, mode, *rest)

    monkeypatch.setattr(Path, "open", nearly_full)
    with pytest.raises(StorageError, match=r"cannot write .*file\.part: the disk is full") as caught:
        download(server.urls("good", "good"), tmp_path / "file", sha256=DIGEST)
    assert not isinstance(caught.value, DownloadError) and len(server.requests) == 1
    assert not (tmp_path / "file").exists()


def test_two_processes_do_not_write_one_file(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(download_function.__globals__, "WAIT_FOR_OTHER_S", 0.0)
    with FolderLock(tmp_path, name=".download.lock"), pytest.raises(StorageError, match="is in use by process"):
        download(server.urls("good"), tmp_path / "file", sha256=DIGEST)
    assert server.requests == []
