"""Errors become one line and an exit status: 1 for what went wrong, 2 for wrong usage, 130 or 143 for a stop."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import typer

from convlens.cli.signals import Terminated, hearing_sigterm, signals_held
from convlens.errors import ConvlensError

Command = TypeVar("Command", bound=Callable[..., Any])


def load(room: str) -> None:
    """Import what a command needs, and have the garbage collector leave it alone for good.

    It would go through all objects of torch while these are made, and again whenever a command has made many of its
    own: 0.4 s of a training on MNIST.
    """
    if room not in sys.modules and gc.isenabled():
        gc.disable()
        try:
            with signals_held():  # half-way an interrupt may come out of torch or NumPy as any other error
                import_module(room)
            gc.freeze()
        finally:
            gc.enable()


def _after_a_stop(command: str) -> str:
    if command in ("train", "shrink"):
        return "a training that had begun goes on with `convlens train --resume`, all else is begun again"
    return f"begin `convlens {command}` again"


def guarded(command: Command) -> Command:
    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            with hearing_sigterm():
                load("convlens.workbench")
                return command(*args, **kwargs)
        except ConvlensError as error:
            print(f"convlens: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(error.exit_status) from error
        except KeyboardInterrupt as error:
            print(
                f"convlens: stopped; nothing half-written is left: {_after_a_stop(command.__name__)}",
                file=sys.stderr,
            )
            raise typer.Exit(143 if isinstance(error, Terminated) else 130) from error
        except BrokenPipeError as error:  # `convlens zoo | head`
            sys.stderr.close()
            raise typer.Exit(0) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            print(f"convlens: {where}{error.strerror or error}", file=sys.stderr)
            raise typer.Exit(1) from error

    return run  # type: ignore[return-value]
