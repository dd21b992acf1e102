"""`POST /v1/evaluate`: score a run on its own test part, in a thread, as `convlens evaluate` does.

The call answers at once; `/v1/evaluation` tells how far it is, and what it found. The network that is scored is another
one than the served network, read anew: meanwhile predictions and explanations are answered, only more slowly.
"""

from __future__ import annotations

import copy
import logging
import threading
from dataclasses import asdict, dataclass
from shlex import quote
from typing import Any

from convlens.data.named import at_hand
from convlens.errors import ConvlensError, UsageError
from convlens.runs import Run
from convlens.server.endpoint import Asked, Doc
from convlens.server.refused import Refused
from convlens.server.shelf import ServedRun, Shelf
from convlens.server.workers import computing
from convlens.workbench.evaluate import evaluate as evaluate_run
from convlens.workbench.evaluate import own_source

log = logging.getLogger("convlens.server")
UNDER_WAY = "evaluating"  # what is kept of it by its run

TEXT, COUNT, FLAG = ({"type": kind} for kind in ("string", "integer", "boolean"))
PROGRESS: dict[str, dict[str, Any]] = {
    "running": FLAG,
    "phase": {**TEXT, "description": "what it is at, such as reading pictures"},
    "done": COUNT,
    "total": {**COUNT, "description": "of this phase; 0 where nobody knows"},
    "unit": TEXT,
    "failed": {**TEXT, "description": "why it came to nothing, and what to do; else empty"},
}
EVALUATE_DOC = Doc(
    "Score the run on its own test part, in the background; `/v1/evaluation` says how far it is.",
    takes={"robustness": {**FLAG, "default": False, "description": "on changed pictures too, which takes minutes"}},
    answer=PROGRESS,
)


@dataclass
class Evaluating:
    """How far an evaluation is; `failed` says why it came to nothing."""

    running: bool = True
    phase: str = "begin"
    done: int = 0
    total: int = 0
    unit: str = ""
    failed: str = ""


def evaluate(asked: Asked) -> dict[str, Any]:
    """The one that is under way where there is one; Refused with 503 while another run is evaluated."""
    shelf, served = asked.shelf, asked.served
    check_source(served.run)
    with shelf.starting:
        if (now := under_way(served)) is not None and now.running:
            return asdict(now)
        if busy := [one.name for one in shelf.runs.values() if (other := under_way(one)) and other.running]:
            raise Refused(503, f"{busy[0]} is being evaluated; ask again when that is done", retry_after=5)
        begun = served.kept[UNDER_WAY] = Evaluating()
    work = (shelf, served, begun, bool(asked.values["robustness"]))
    threading.Thread(target=_work, args=work, name=f"evaluate {served.name}", daemon=True).start()
    return asdict(begun)


def under_way(served: ServedRun) -> Evaluating | None:
    """The last evaluation that was asked for here, if any."""
    found: Evaluating | None = served.kept.get(UNDER_WAY)
    return found


def check_source(run: Run) -> None:
    """UsageError where the pictures that it was trained on are not there: a server downloads nothing."""
    source, data_dir = own_source(run, None)
    if not at_hand(source, data_dir=data_dir):
        command = f"`convlens evaluate {quote(str(run.path))}`"
        raise UsageError(f"{source}, on which {run.path} was trained, is not here any more; {command} downloads it")


def can_evaluate(run: Run) -> bool:
    """Whether the pictures that it was trained on are still there."""
    try:
        check_source(run)
    except ConvlensError:
        return False
    return True


def _work(shelf: Shelf, served: ServedRun, state: Evaluating, robustness: bool) -> None:
    def progress(phase: str, done: int, total: int, unit: str) -> None:
        if shelf.closing:
            raise Refused(503, "the server has ended; start it again")
        state.phase, state.done, state.total, state.unit = phase, done, total, unit

    try:
        with computing():
            with served.lock:  # explanations hang hooks on it
                given = copy.deepcopy(served.run.given_model)
            own = Run.load(served.run.path, model=given)
            evaluate_run(own, robustness=robustness, progress=progress)
        served.forget_pictures()
    except ConvlensError as error:
        state.failed = str(error)
    except Exception as error:
        log.exception("the evaluation of %s failed", served.name)
        state.failed = f"the evaluation failed ({type(error).__name__}: {error}); the server's log says more"
    finally:
        state.running = False
