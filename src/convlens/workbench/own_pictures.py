"""The pictures that a run was trained on, divided as they were, and how it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from convlens import training
from convlens.data import Augment
from convlens.errors import UsageError
from convlens.pictures import Preprocess
from convlens.runs import Run
from convlens.workbench.gather import Gathered, gather, same_pictures
from convlens.workbench.results import Progress, Tell
from convlens.workbench.task import chosen_augment

OF_ONE = (
    "budget_s",
    "epochs",
    "learning_rate",
    "seed",
    "name",
    "shuffle_labels",
    "freeze_stem",
    "progressive",
)


def recipe_of(run: Run, asked: dict[str, Any]) -> training.Recipe:
    """The run's own, but for what belongs to one training."""
    own = run.manifest.recipe or {}
    kept = {field.name for field in fields(training.Recipe)} - {*OF_ONE}
    return training.recipe_from({**{name: value for name, value in own.items() if name in kept}, **asked})


def pictures_of(
    run: Run,
    source: str | Path,
    data_dir: str | Path | None,
    *,
    own: bool,
    seed: int,
    progress: Progress | None,
    tell: Tell,
) -> Gathered:
    """The run's own pictures are divided as they were, among others too: none of its test part is trained on."""
    exact = run.manifest.data is not None and "looks_sha256" not in run.manifest.data
    more: dict[str, Any] = {"exact": exact, "begins_with": None if own else run, "progress": progress, "tell": tell}
    found = gather(source, data_dir=data_dir, max_bad=1.0, seed=seed, **more)
    before = run.splits if own else None
    if before is not None:
        same_pictures(found, before, str(source))
        found = replace(found, splits=before)
    if found.images.classes != run.classes:
        raise UsageError(
            f"{source} has the classes {first_few(found.images.classes)}, and {run.path} knows "
            f"{first_few(run.classes)}; give pictures of the same classes"
        )
    return found


def first_few(names: Sequence[str]) -> str:
    """ "a, b, c, d, e …", for an error."""
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def drawn_for(run: Run, preprocess: Preprocess) -> Augment:
    """What was drawn for the run's own training pictures, where it was trained here at this size; else by default."""
    plan = run.manifest.plan
    if plan is not None and run.preprocess.size == preprocess.size:
        return Augment(**plan["augment"])
    return chosen_augment((run.manifest.recipe or {}).get("augment", True), preprocess)
