"""Silence for Pillow's warnings that is safe in threads.

`warnings.catch_warnings` swaps the list of filters for the whole process, so two threads inside it can leave the wrong
list behind. Here one filter, for Pillow's own modules only, is in the list while any thread decodes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator

# The comment inside the pattern makes the filter ours alone, so that no filter of the user is ever removed.
PILLOW_MODULES = r"PIL\.(?#while convlens decodes)"

_lock = threading.Lock()
_num_inside = 0

# Pillow logs damaged TIFF files as errors; without a handler Python would print them to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warning of Pillow is shown, nor raised where the user made warnings errors; all others are untouched."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _num_inside
    with _lock:
        _num_inside += 1
        warnings.filterwarnings("ignore", module=PILLOW_MODULES)  # moves to the front when it is there already


def _leave() -> None:
    global _num_inside
    with _lock:
        _num_inside -= 1
        if _num_inside == 0:
            warnings.filters[:] = [entry for entry in warnings.filters if not _is_ours(entry)]  # type: ignore[index]


def _is_ours(entry: tuple) -> bool:
    return getattr(entry[3], "pattern", None) == PILLOW_MODULES
