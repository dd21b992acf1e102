"""The run that a training learns from, beside the labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convlens.errors import RunError, UsageError
from convlens.runs import Run
from convlens.training import Recipe, Teacher
from convlens.workbench.own_network import open_run
from convlens.workbench.own_pictures import first_few


def teacher_path(teacher: Run | str | Path) -> Path:
    """From the root on, as a training may go on from another folder."""
    return (teacher.path if isinstance(teacher, Run) else Path(teacher)).resolve()


def check_teacher(teacher: Run | str | Path, recipe: Recipe, network: str | None = None) -> Run:
    """What can be seen to be wrong before a picture is looked at. RunError where it is no run.

    `network` (file.py:Class) goes with a teacher that is a network of the user's own.
    """
    if recipe.shuffle_labels:
        raise UsageError("--teacher knows the true labels, and --shuffle-labels hides them; leave one of them out")
    return _opened(teacher, network)


def _opened(teacher: Run | str | Path, network: str | None) -> Run:
    run = teacher if isinstance(teacher, Run) else Run.load(teacher)
    named = run.manifest.architecture.get("network")
    if named is None or run.given_model is not None:
        return run
    if network is None:
        raise UsageError(
            f"the teacher {run.path} is a network of your own ({named}); give it with --teacher-network {named}"
        )
    return open_run(run, network)


def open_teacher(run: Run, classes: Sequence[str]) -> tuple[Teacher, dict[str, Any]]:
    """A run and the student's classes -> the teacher, and what the plan records of it.

    Raises UsageError where it was trained on other classes.
    """
    missing = [name for name in classes if name not in run.classes]
    if missing:
        raise UsageError(
            f"--teacher {run.path} knows {first_few(run.classes)}, and not {first_few(missing)}, which these pictures "
            "have; give a run that was trained on the same classes"
        )
    columns = tuple(run.classes.index(name) for name in classes)
    network = copy.deepcopy(run.model).requires_grad_(False)
    return Teacher(network, run.preprocess, columns), {
        "run": str(teacher_path(run)),
        "sha256": run.manifest.weights["sha256"],
    }


def same_teacher(
    recorded: Mapping[str, Any] | None, classes: Sequence[str], network: str | None = None
) -> Teacher | None:
    """The one that a training began with; RunError where it has changed since, or is gone."""
    if recorded is None:
        return None
    if not Path(recorded["run"]).is_dir():
        raise RunError(f"the teacher {recorded['run']} of this training is there no longer; put it back to go on")
    teacher, now = open_teacher(_opened(recorded["run"], network), classes)
    if now["sha256"] != recorded["sha256"]:
        raise RunError(
            f"the teacher {recorded['run']} has other weights than when this training began; put the former ones back, "
            "or start a new training"
        )
    return teacher
