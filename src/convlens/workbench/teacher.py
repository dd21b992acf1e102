"""The run that a training learns from, beside the labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convlens.errors import RunError, UsageError
from convlens.runs import Run
from convlens.training import Recipe, Teacher
from convlens.workbench.own_network import open_run, recorded_name
from convlens.workbench.own_pictures import first_few


def teacher_path(teacher: Run | str | Path) -> Path:
    """From the root on, as a training may go on from another folder."""
    return (teacher.path if isinstance(teacher, Run) else Path(teacher)).resolve()


def check_teacher(
    teacher: Run | str | Path, recipe: Recipe, named: str | None = None, students: str | None = None
) -> Run:
    """What can be seen to be wrong before a picture is looked at. RunError where it is no run.

    `named` (file.py:Class) is for a teacher that is a network of the user's own; `students`, that of the student, is
    taken in its place where it is the one that the teacher was trained as.
    """
    if recipe.shuffle_labels:
        raise UsageError("--teacher knows the true labels, and --shuffle-labels hides them; leave one of them out")
    return _opened(teacher, named, students)


def _opened(teacher: Run | str | Path, named: str | None, students: str | None) -> Run:
    run = teacher if isinstance(teacher, Run) else Run.load(teacher)
    own = run.manifest.architecture.get("network")
    if own is None or run.given_model is not None:
        if named is not None:
            raise UsageError(f"--teacher-network {named} came, and the teacher {run.path} needs none; leave it out")
        return run
    if named is None and students is not None:
        named = students if recorded_name(students) == own else None
    if named is None:
        raise UsageError(
            f"the teacher {run.path} is a network of your own ({own}); give it with --teacher-network {own}"
        )
    return open_run(run, named)


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
    recorded = {"run": str(teacher_path(run)), "sha256": run.manifest.weights["sha256"]}
    return Teacher(network, run.preprocess, columns), recorded


def same_teacher(
    recorded: Mapping[str, Any] | None, classes: Sequence[str], named: str | None = None, students: str | None = None
) -> Teacher | None:
    """The one that a training began with; RunError where it has changed since, or is gone."""
    if recorded is None:
        if named is not None:
            raise UsageError(f"--teacher-network {named} came, and this training has no teacher; leave it out")
        return None
    path = Path(recorded["run"])
    if not path.is_dir():
        back = "put it back to go on" if path.is_absolute() else "go on from the folder in which the training began"
        raise RunError(f"the teacher of this training, {path}, is not there ({path.resolve()}); {back}")
    teacher, now = open_teacher(_opened(path, named, students), classes)
    if now["sha256"] != recorded["sha256"]:
        raise RunError(
            f"the teacher {recorded['run']} has other weights than when this training began; put the former ones back, "
            "or start a new training"
        )
    return teacher
