"""How an error becomes an answer: a status, what is wrong and what to do."""

from __future__ import annotations

from typing import Any

from convlens.errors import (
    ConvlensError,
    DataError,
    ExplanationError,
    ExportError,
    MissingExtra,
    NetworkError,
    PictureError,
    RunError,
    StorageError,
)

STATUS: tuple[tuple[type[ConvlensError], int], ...] = (
    (PictureError, 422),
    (DataError, 422),
    (ExplanationError, 422),
    (NetworkError, 422),
    (MissingExtra, 501),
    (RunError, 503),
    (ExportError, 503),
    (StorageError, 503),
)


class Refused(ConvlensError):
    """A request that is not answered, with the status that says why; `retry_after` is in seconds."""

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def status_of(error: ConvlensError) -> int:
    """400 for what no line of the table names."""
    if isinstance(error, Refused):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 400)


def as_json(status: int, message: str) -> dict[str, Any]:
    """ "what; remedy" -> {"error": {"status", "what", "remedy"}}."""
    what, _, remedy = " ".join(message.split()).partition("; ")
    return {"error": {"status": status, "what": what, "remedy": remedy}}
