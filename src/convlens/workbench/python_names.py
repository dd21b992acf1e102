"""Errors for those who call from Python: they name parameters, and not the options of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from convlens.errors import ConvlensError

OTHERS = {"seed": "random_state", "option": "model_options"}  # of the estimator


@contextmanager
def told_in_python() -> Iterator[None]:
    """An error raised inside says out for --out, random_state for --seed."""
    try:
        yield
    except ConvlensError as error:
        error.args = (re.sub(r"(?<![\w/-])--([a-z][a-z-]*)", _parameter, str(error)), *error.args[1:])
        raise


def _parameter(option: re.Match[str]) -> str:
    name = option[1].replace("-", "_")
    return OTHERS.get(name, name)
