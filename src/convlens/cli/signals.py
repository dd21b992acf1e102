"""What Ctrl-C and SIGTERM do to a command: `kill`, and a machine that shuts down, clear all away as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """What a command sees of a SIGTERM that it does not hear itself."""


@contextmanager
def hearing_sigterm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # elsewhere Python forbids handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM are heard at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    for one in before:
        signal.signal(one, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        if heard:
            signal.raise_signal(heard[0])


def _terminate(*_: object) -> NoReturn:
    raise Terminated
