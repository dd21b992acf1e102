"""`convlens serve`: listen until it is told to stop."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlens.engines import PLAIN
from convlens.errors import Stopped, UsageError
from convlens.runs import Run
from convlens.server.extra import need_extra
from convlens.server.limits import Limits
from convlens.workbench import open_runs
from convlens.workbench.results import Tell, silent
from convlens.workbench.running import check_engine_name
from convlens.workbench.typed import typed

if TYPE_CHECKING:
    from convlens.server.listening import Server
    from convlens.server.shelf import Shelf

LOOPBACK = "127.0.0.1"
ONLY_HERE = (LOOPBACK, "localhost", "::1")
PORT = 8000
TRIED_NEXT = 20  # ports looked at for a free one to name
Runs = Run | str | Path | Sequence[Run | str | Path]


@dataclass(frozen=True)
class ServeResult:
    """Where a server listens, and the runs it serves; without a token everybody who reaches the address may ask.

    `url` is for this machine; `url_elsewhere` for others, where it listens on every address.
    """

    url: str
    host: str
    port: int
    runs: tuple[str, ...]
    token: bool
    url_elsewhere: str | None = None


@typed
def serve(
    runs: Runs,
    *,
    host: str = LOOPBACK,
    port: int = PORT,
    token: str | None = None,
    engine: str = PLAIN,
    network: str | None = None,
    limits: Limits | None = None,
    listening: Callable[[ServeResult], None] | None = None,
    tell: Tell = silent,
) -> ServeResult:
    """Serve runs until Ctrl-C or SIGTERM, which raise Stopped; `listening` is called once the server answers.

    Port 0 takes a free one. Raises UsageError for a port that is taken, RunError for a run that cannot be opened, and
    MissingExtra without the packages of the extra `serve`.
    """
    given: dict[str, Any] = {"engine": engine, "network": network, "limits": limits, "tell": tell}
    with shelf_at(host, port, token, runs, **given) as (shelf, listener):
        server, result = server_on(shelf, listener, host, token)
        server.on_started = (lambda: listening(result)) if listening else None
        server.run(sockets=[listener])
    if server.stopped_by is not None:
        raise Stopped("the server has ended", 128 + server.stopped_by)
    return result


@contextmanager
@typed
def running_server(
    runs: Runs,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    token: str | None = None,
    engine: str = PLAIN,
    network: str | None = None,
    limits: Limits | None = None,
    tell: Tell = silent,
) -> Iterator[ServeResult]:
    """The same beside your own program, in a thread that ends with the block: for notebooks and tests."""
    given: dict[str, Any] = {"engine": engine, "network": network, "limits": limits, "tell": tell}
    with (
        shelf_at(host, port, token, runs, **given) as (shelf, listener),
        shelf_served(shelf, listener, host=host, token=token) as result,
    ):
        yield result


@contextmanager
def shelf_at(
    host: str, port: int, token: str | None, runs: Runs, *, engine: str, tell: Tell, **given: Any
) -> Iterator[tuple[Shelf, socket.socket]]:
    """The runs on a shelf, and the socket to serve them at; all is checked before anything is opened."""
    check(port, token, engine)
    with bound_socket(host, port) as listener:
        if token is None and host not in ONLY_HERE:
            tell(f"whoever reaches {host} may ask; --token keeps others out")
        yield opened(runs, engine=engine, tell=tell, **given), listener


@contextmanager
def shelf_served(
    shelf: Shelf, listener: socket.socket, *, host: str = LOOPBACK, token: str | None = None
) -> Iterator[ServeResult]:
    """A shelf that is open, served in a thread until the block ends; closed then."""
    server, result = server_on(shelf, listener, host, token)
    started = threading.Event()
    server.on_started = started.set
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        while not started.wait(0.05) and thread.is_alive():
            continue
        assert started.is_set(), "the server ended before it listened"
        yield result
    finally:
        server.should_exit = True
        thread.join()


def check(port: int, token: str | None, engine: str) -> None:
    """Before anything is opened: MissingExtra, or UsageError for what cannot be one."""
    need_extra()
    check_engine_name(engine)
    if not 0 <= port <= 65535:
        raise UsageError(f"the port is {port}; expected 0, for a free one, to 65535")
    if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise UsageError("the token is empty or has other characters than letters, digits and signs; give another")


def opened(runs: Runs, *, engine: str, network: str | None, limits: Limits | None, tell: Tell) -> Shelf:
    """The runs on a shelf."""
    from convlens.server.following import follow, is_unfinished
    from convlens.server.shelf import open_shelf

    given = [runs] if isinstance(runs, Run | str | Path) else list(runs)
    if not given:
        raise UsageError("no run was given; give the folder of one or more")
    unfinished = [run for run in given if not isinstance(run, Run) and is_unfinished(run)]
    whole = open_runs([run for run in given if run not in unfinished])
    if not unfinished or any("network" in run.manifest.architecture for run in whole):
        whole = open_runs(whole, network)
    shelf = open_shelf(whole, limits or Limits(), engine=engine, tell=tell)
    try:
        follow(shelf, unfinished, network)
    except BaseException:
        shelf.close()
        raise
    return shelf


def server_on(shelf: Shelf, listener: socket.socket, host: str, token: str | None) -> tuple[Server, ServeResult]:
    from convlens.server.app import app_of
    from convlens.server.listening import make_server

    port, everywhere = listener.getsockname()[1], host in ("0.0.0.0", "::")
    shown = LOOPBACK if everywhere else f"[{host}]" if ":" in host else host
    others = f"http://{address_for_others()}:{port}/" if everywhere else None
    result = ServeResult(f"http://{shown}:{port}/", host, port, shelf.names, token is not None, others)
    app = app_of(shelf, token, ["*"] if everywhere else [host])
    server = make_server(app, shelf.limits)
    server.on_ending = shelf.end_streams
    return server, result


def bound_socket(host: str, port: int) -> socket.socket:
    """UsageError where the port is taken, naming a free one, or where there is no such host."""
    try:
        return _bound(host, port)
    except socket.gaierror as error:
        raise UsageError(f"no address is called {host!r} ({error.strerror}); give one of this machine") from error
    except PermissionError as error:
        raise UsageError(f"port {port} is for the administrator alone; give one above 1023") from error
    except OSError as error:
        free = next((one for one in range(port + 1, port + TRIED_NEXT) if _is_free(host, one)), 0)
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"port {port} on {host} cannot be had ({why}); --port {free} is free") from error


def address_for_others() -> str:
    """The one from which this machine would reach others; its name where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # of RFC 5737, in nobody's network: nothing is sent
            return str(asked.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":  # where it would share a port that another program has
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener


def _is_free(host: str, port: int) -> bool:
    try:
        _bound(host, port).close()
    except (OSError, OverflowError):
        return False
    return True
