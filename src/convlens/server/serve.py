"""`convlens serve`: listen until it is told to stop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlens.errors import UsageError
from convlens.runs import Run
from convlens.server.extra import need_extra
from convlens.server.limits import Limits
from convlens.workbench import open_run
from convlens.workbench.results import Tell, silent
from convlens.workbench.running import PLAIN, check_engine_name

if TYPE_CHECKING:
    from convlens.server.shelf import Shelf

PORT = 8000
TRIED_NEXT = 20  # ports looked at for a free one to name
Runs = Run | str | Path | Sequence[Run | str | Path]


@dataclass(frozen=True)
class ServeResult:
    """Where a server listens, and the runs it serves; without a token everybody who reaches the address may ask."""

    url: str
    host: str
    port: int
    runs: tuple[str, ...]
    token: bool


def serve(
    runs: Runs,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    engine: str = PLAIN,
    network: str | None = None,
    limits: Limits | None = None,
    listening: Callable[[ServeResult], None] | None = None,
    tell: Tell = silent,
) -> ServeResult:
    """Serve runs until Ctrl-C or SIGTERM; `listening` is called once the server answers.

    Port 0 takes a free one. Raises UsageError for a port that is taken, RunError for a run that cannot be opened, and
    MissingExtra without the packages of the extra `serve`.
    """
    server, result, listener = _prepared(runs, host, port, token, engine, network, limits, tell)
    server.on_started = (lambda: listening(result)) if listening else None
    with listener:
        server.run(sockets=[listener])
    return result


@contextmanager
def running_server(runs: Runs, *, port: int = 0, **options: Any) -> Iterator[ServeResult]:
    """The same beside your own program, in a thread that ends with the block: for notebooks and tests."""
    names = ("host", "token", "engine", "network", "limits", "tell")
    defaults: dict[str, Any] = {"host": "127.0.0.1", "token": None, "engine": PLAIN, "network": None, "limits": None}
    given = {**defaults, "tell": silent, **options}
    if unknown := set(given) - set(names):
        raise UsageError(f"running_server takes no {sorted(unknown)[0]}; it takes {', '.join(names)} and port")
    server, result, listener = _prepared(
        runs, given["host"], port, *(given[name] for name in ("token", "engine", "network", "limits", "tell"))
    )
    with in_thread(server, listener):
        yield result


@contextmanager
def in_thread(server: Any, listener: socket.socket) -> Iterator[threading.Thread]:
    """It answers within the block, and has ended after it."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield thread
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _prepared(
    runs: Runs,
    host: str,
    port: int,
    token: str | None,
    engine: str,
    network: str | None,
    limits: Limits | None,
    tell: Tell,
) -> tuple[Any, ServeResult, socket.socket]:
    """The server, what it will say, and the socket it listens on."""
    need_extra()
    check_engine_name(engine)
    check_token(token)
    from convlens.server.following import follow, is_unfinished
    from convlens.server.shelf import open_shelf

    given = [runs] if isinstance(runs, Run | str | Path) else list(runs)
    if not given:
        raise UsageError("no run was given; give the folder of one or more")
    unfinished = [run for run in given if not isinstance(run, Run) and is_unfinished(run)]
    opened = [open_run(run, network) for run in given if run not in unfinished]
    listener = bound_socket(host, port)
    try:
        shelf = open_shelf(opened, limits or Limits(), engine=engine, tell=tell)
        follow(shelf, unfinished, network)
    except BaseException:
        listener.close()
        raise
    return (*behind(shelf, listener, host, token), listener)


def check_token(token: str | None) -> None:
    if token is not None and (not token.isascii() or not token.strip() or " " in token):
        raise UsageError("the token is empty or has a character other than letters, digits and signs; give another")


def behind(shelf: Shelf, listener: socket.socket, host: str, token: str | None) -> tuple[Any, ServeResult]:
    """A server of what is on the shelf, and what it will say; it does not answer yet."""
    from convlens.server.app import app_of
    from convlens.server.listening import make_server

    found = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    result = ServeResult(f"http://{shown}:{found}/", host, found, tuple(shelf.runs), token is not None)
    hosts = ["*"] if host in ("0.0.0.0", "::") else [host]
    return make_server(app_of(shelf, token, hosts), shelf.limits), result


def bound_socket(host: str, port: int) -> socket.socket:
    """UsageError where the port is taken, naming a free one, or where there is no such host."""
    if not 0 <= port <= 65535:
        raise UsageError(f"the port is {port}; expected 0, for a free one, to 65535")
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


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
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
