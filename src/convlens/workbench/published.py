"""Which published recipe a training follows, if any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from convlens.errors import UsageError
from convlens.training import Recipe, Record, default_record, record_named
from convlens.workbench.design import Request

OF_THE_MACHINE = ("seed", "threads", "precision", "checkpoint_seconds")  # options that leave a recipe what it is


def published(
    name: str | None, data: str | Path, ask: Request, wanted: Recipe, augment: bool | Mapping[str, Any]
) -> Record | None:
    """The recipe of this name; without one, the set's own, where nothing is asked that it decides.

    UsageError where a recipe is named and something is asked that it decides.
    """
    asked = _decided_by_a_recipe(ask, wanted, augment)
    if name is None:
        return None if asked or not isinstance(data, str) else default_record(data)
    record = record_named(name)
    if asked:
        raise UsageError(
            f"--recipe {name} decides about all but the seed and the machine, and {asked[0]} was given too; "
            "leave one of them out"
        )
    return record


def request_of(record: Record) -> Request:
    return Request(
        record.model, image_size=record.image_size, options=dict(record.options), crop_ratio=record.crop_ratio
    )


def recipe_of(record: Record, wanted: Recipe) -> Recipe:
    kept = {name: getattr(wanted, name) for name in OF_THE_MACHINE}
    return replace(record.recipe, name=record.name, **kept)


def _decided_by_a_recipe(ask: Request, wanted: Recipe, augment: bool | Mapping[str, Any]) -> list[str]:
    """What was asked, as options of the command line."""
    usual, plain = Request(), Recipe()
    found = [f"--{f.name}" for f in fields(Request) if getattr(ask, f.name) != getattr(usual, f.name)]
    found += [
        f"--{f.name.removesuffix('_s')}"
        for f in fields(Recipe)
        if f.name not in OF_THE_MACHINE and getattr(wanted, f.name) != getattr(plain, f.name)
    ]
    found += ["--augmentation"] if isinstance(augment, Mapping) else []
    said = {"--options": "--option", "--augment": "--no-augment"}  # as the command line has them
    return [said.get(option, option.replace("_", "-")) for option in found]
