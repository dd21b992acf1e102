"""The run that a training learns from, beside the labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convlens.errors import RunError, UsageError
from convlens.runs import Run
from convlens.training import Recipe, Teacher
from convlens.workbench.own_pictures import first_few


def teacher_path(teacher: Run | str | Path) -> Path:
    return teacher.path if isinstance(teacher, Run) else Path(teacher)


def check_teacher(teacher: Run | str | Path, recipe: Recipe) -> Run:
    """What can be seen to be wrong before a picture is looked at. RunError where it is no run."""
    if recipe.shuffle_labels:
        raise UsageError("--teacher knows the true labels, and --shuffle-labels hides them; leave one of them out")
    return teacher if isinstance(teacher, Run) else Run.load(teacher)


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
    return Teacher(network, run.preprocess, columns), {"run": str(run.path), "sha256": run.manifest.weights["sha256"]}


def same_teacher(recorded: Mapping[str, Any] | None, classes: Sequence[str]) -> Teacher | None:
    """The one that a training began with; RunError where it has changed since, or is gone."""
    if recorded is None:
        return None
    teacher, now = open_teacher(Run.load(recorded["run"]), classes)
    if now["sha256"] != recorded["sha256"]:
        raise RunError(
            f"the teacher {recorded['run']} has other weights than when this training began; put the former ones back, "
            "or start a new training"
        )
    return teacher
