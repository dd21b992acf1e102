"""Exporters at work: without what they tell their own developers, and their reasons in one line."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

PLACE = re.compile(  # in OpenVINO's own source: where it gave up, not why
    r"Exception from |Check '.*' failed at |FrontEnd API failed with |While validating node '|"
    r".* Failed operations detailed log:$"
)

CONSTANT = "Constraints violated (batch)"  # torch.export's word for a batch that is not free
CONSTANT_BATCH = (
    "the number of pictures is a constant in its forward, as len(x) and int(x.shape[0]) are, or it mixes the pictures "
    "of a batch; take x.shape[0], and let no picture see another"
)


@contextmanager
def quietly() -> Iterator[None]:
    """No warning, no record of logging and no line on standard error gets out."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def reason(error: BaseException) -> str:
    """The innermost cause, in one line: exporters wrap it in pages. KeyboardInterrupt where that was it."""
    if _was_interrupted(error):
        raise KeyboardInterrupt from error
    while error.__cause__ is not None:
        error = error.__cause__
    if CONSTANT in str(error):
        return CONSTANT_BATCH
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((line for line in lines if not PLACE.match(line)), lines[0] if lines else "no reason given")
    return f"{type(error).__name__}: {line}"


def _was_interrupted(error: BaseException | None) -> bool:
    """What Ctrl-C breaks off raises errors of its own on the way out."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
