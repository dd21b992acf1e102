"""Every error that convlens raises on purpose.

ConvlensError                 what came, what was expected, what to do; exit status 1
├── UsageError                an argument is wrong: unknown name, value out of range; exit status 2
├── DataError                 the pictures or labels cannot be used as they are
│   ├── PictureError          one picture cannot be read
│   └── UnreadablePictures    more of them cannot be read than the bound allows
├── RunError                  not a run folder, a damaged one, or one in use
├── StorageError              the disk is full, read-only or locked
│   └── DownloadError         no mirror gave the file
├── NetworkError              a network does not fit the pictures or cannot be traced
├── ExplanationError          the method is not defined for this network
├── ExportError               a network does not go into this format, or the file does not agree with it
├── MissingExtra              an optional package is not installed; says how to install it
└── Stopped                   the user stopped a command, which says what is saved; exit status 130 or 143
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path


class ConvlensError(Exception):
    """The root of the tree; its text is one line for the user."""

    exit_status = 1


class UsageError(ConvlensError):
    exit_status = 2


class DataError(ConvlensError):
    pass


class PictureError(DataError):
    """One picture cannot be read; `path` and `reason` are kept apart for reports."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


class UnreadablePictures(DataError):
    """More pictures than the bound allows cannot be read; `names` are theirs, of `num_pictures`."""

    def __init__(self, message: str, names: tuple[str, ...], num_pictures: int) -> None:
        super().__init__(message)
        self.names = names
        self.num_pictures = num_pictures


class RunError(ConvlensError):
    pass


class StorageError(ConvlensError):
    pass


class DownloadError(StorageError):
    pass


class NetworkError(ConvlensError):
    pass


class ExplanationError(ConvlensError):
    pass


class ExportError(ConvlensError):
    pass


class MissingExtra(ConvlensError):
    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed; pip install 'convlens[{extra}]'")


class Stopped(ConvlensError):
    """Stopped by a signal; the text says what is saved, and what goes on with it."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


def counted(number: float, one: str, many: str | None = None) -> str:
    """A number with what it counts: "1 picture", "1,797 pictures", "2.5 epochs", "2 classes" (not `one` and s)."""
    shown = f"{number:,}" if isinstance(number, int) else f"{number:.4g}"
    return f"{shown} {one if number == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """ "a, b, c"; of more than `most` the first, and "…"."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def check_count(what: str, value: object, least: int = 1) -> int:
    """`value` as an int where it is a whole number, Python's or NumPy's, of at least `least`; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UsageError(f"{what} is {value!r}, expected a whole number of at least {least}")
    return int(value)


def check_number(
    what: str, value: object, least: float = -math.inf, below: float = math.inf, *, above: bool = False
) -> float:
    """`value` as a float where it is a finite number, Python's or NumPy's, of at least `least` (or `above` it) and less
    than `below`; UsageError otherwise.
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if math.isfinite(number) and least <= number < below and not (above and number == least):
        return number
    lower = (
        "a finite number"
        if least == -math.inf
        else f"a number above {least:g}"
        if above
        else f"a number of at least {least:g}"
    )
    upper = "" if below == math.inf else f" and less than {below:g}"
    raise UsageError(f"{what} is {value!r:.80}; expected {lower}{upper}")


def unknown_name(kind: str, name: str, choices: Iterable[str], remedy: str) -> UsageError:
    """An error for a name that nothing has, with the nearest: "no network is called 'resnet5' (near: resnet50)"."""
    return UsageError(f"no {kind} is called '{name}'{nearest(name, choices)}; {remedy}")


def nearest(name: str, choices: Iterable[str]) -> str:
    """ " (near: resnet50)", or nothing where none is."""
    lower = {choice.lower(): choice for choice in choices}
    near = [lower[one] for one in get_close_matches(str(name).lower(), lower, n=3, cutoff=0.5)]
    return f" (near: {', '.join(near)})" if near else ""
