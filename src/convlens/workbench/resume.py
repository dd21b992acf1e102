"""Go on with an interrupted training, exactly as if it had not been interrupted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convlens import training
from convlens.data import Augment
from convlens.errors import DataError, RunError, UsageError, counted
from convlens.graph import ChannelPlan, apply_channel_plan
from convlens.pictures import Preprocess
from convlens.runs import Run, RunFolder, read_splits
from convlens.storage import FolderLock
from convlens.workbench.claim import sweep
from convlens.workbench.gather import Gathered, check_data_dir, gather, same_pictures
from convlens.workbench.own_network import load_network, recorded_name
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.task import prepare
from convlens.workbench.teacher import same_teacher, teacher_path
from convlens.zoo import Architecture, build


def go_on(
    path: str | Path,
    data: str | Path | None = None,
    *,
    network: str | None = None,
    teacher_network: str | None = None,
    data_dir: str | Path | None = None,
    asked: Mapping[str, Any] | None = None,
    given: Collection[str] = (),
    progress: Progress | None = None,
    tell: Tell = silent,
    watch: training.Watch | None = None,
) -> tuple[Run, Gathered]:
    """`data` is needed only where the pictures have moved; they must be the same ones.

    `asked` are options by name; those that say something else than the checkpoint are refused with UsageError. Raises
    RunError when there is nothing to go on with, DataError when the pictures changed.
    """
    folder = RunFolder(Path(path))
    if not folder.path.is_dir():
        raise RunError(f"{path} does not exist; --resume takes the folder of an interrupted training")
    with FolderLock(folder.path), torch.random.fork_rng(devices=[]):
        sweep(folder)
        recipe, plan, facts = training.interrupted(folder)
        augment = Augment(**plan.augment)  # what an earlier version did not know is off
        _refuse_changes(asked or {}, given, recipe, plan, augment, facts)
        recipe = _saving_as_asked(recipe, asked or {}, given)
        built = _rebuild(facts, network)
        teacher = same_teacher(plan.teacher, facts["classes"], teacher_network, network)
        source = str(data or facts["data"]["source"])
        check_data_dir(source, data_dir)
        looked_in = data_dir or facts["data"].get("data_dir")
        exact = "looks_sha256" not in facts["data"]
        gathered = gather(source, data_dir=looked_in, max_bad=1.0, exact=exact, progress=progress, tell=silent)
        before = read_splits(folder.splits)
        same_pictures(gathered, before, source)
        gathered = replace(gathered, splits=before)
        if not len(before.indices("train")):
            raise DataError(f"{folder.splits} leaves no picture to train on; put back the file of this training")
        preprocess = Preprocess.from_dict(facts["preprocess"])
        lessons = prepare(gathered, preprocess, augment, recipe, progress=progress, tell=tell)
        task = lessons.task(recipe, plan.batch, facts, teacher)
        tell(f"going on with {path}: {counted(plan.total_steps, 'step')} in all, as planned when it began")
        run = training.go_on(built, task, recipe, plan, folder, progress=progress, watch=watch)
    return run, gathered


def refuse_at_resume(
    fixed: Mapping[str, tuple[Any, Any]], given: Collection[str], path: str | Path, out: str | Path | None
) -> None:
    """UsageError for what only counts at the beginning: {option: (came, usual)}, and for another folder."""
    for name, (came, usual) in fixed.items():
        if came != usual or (name in given and usual != "auto"):
            raise UsageError(
                f"{training.as_option(name)} came with --resume, and counts only where a training begins; it goes on "
                "as it began: leave that out, or start a new training"
            )
    if out is not None and Path(out).resolve() != Path(path).resolve():
        raise UsageError(f"--out {out} came with --resume {path}, which goes on in its own folder; leave --out out")


def _refuse_changes(
    asked: Mapping[str, Any],
    given: Collection[str],
    recipe: training.Recipe,
    plan: training.Plan,
    augment: Augment,
    facts: dict[str, Any],
) -> None:
    """What is asked must be what the training began with, or, unless it was `given`, what nobody asks for."""
    if isinstance(named := asked.get("augment"), Mapping):
        asked = {**asked, "augment": True, **_as_options(named)}
    began = {
        **recipe.to_dict(),
        **_as_options(augment.to_dict()),
        "model": facts["architecture"].get("name"),
        "recipe": recipe.name,
        "teacher": None if plan.teacher is None else str(teacher_path(plan.teacher["run"])),
        "image_size": facts["preprocess"]["size"][0],
        "device": plan.device,
        "fit": facts["preprocess"]["fit"],
        "no_pictures": not facts["keep_pictures"],
        **{f"option {name}": value for name, value in facts["architecture"].get("options", {}).items()},
    }
    options = asked.get("options", {})
    began = {**{f"option {name}": None for name in options}, **began}
    asked = {**asked, **{f"option {name}": options[name] for name in options}}
    usual = {**training.Recipe().to_dict(), "model": "auto", "recipe": None, "teacher": None, "image_size": None}
    usual |= {"device": "auto", "fit": "auto", "no_pictures": False}
    planned = {name: getattr(plan, name) for name in ("batch", "learning_rate", "precision", "threads")}
    del began["checkpoint_seconds"]
    for name, value in asked.items():
        if name not in began:
            continue
        says_nothing = value == usual.get(name, began[name]) and (name not in given or value == "auto")
        if not says_nothing and value not in (began[name], planned.get(name, began[name])):
            known = planned.get(name) if began[name] is None else began[name]
            raise UsageError(
                f"{training.as_option(name)} came as {value}, and this training began with {known}; it goes on as it "
                "began: leave that out, or start a new training"
            )


def _saving_as_asked(recipe: training.Recipe, asked: Mapping[str, Any], given: Collection[str]) -> training.Recipe:
    """How often is saved changes no result."""
    seconds, usual = asked.get("checkpoint_seconds"), training.Recipe().checkpoint_seconds
    if seconds is None or (seconds == usual and "checkpoint_seconds" not in given):
        return recipe
    return replace(recipe, checkpoint_seconds=seconds)


def _as_options(augmentation: Mapping[str, Any]) -> dict[str, Any]:
    """{"rotate": 10} as a user gives it: --augmentation rotate."""
    return {f"augmentation {name}": value for name, value in augmentation.items()}


def _rebuild(facts: dict[str, Any], network: str | None) -> nn.Module:
    """As it was when the training began: new, or pruned."""
    built = _built(facts, network)
    return apply_channel_plan(built, ChannelPlan.from_dict(plan)) if (plan := facts.get("channel_plan")) else built


def _built(facts: dict[str, Any], network: str | None) -> nn.Module:
    if "network" not in facts["architecture"]:
        if network is not None:
            name = facts["architecture"].get("name")
            raise UsageError(f"--network {network} came, and this training is of {name}, of the zoo; leave that out")
        return build(Architecture.from_dict(facts["architecture"]))
    began = facts["architecture"]["network"]
    if network is None:
        raise UsageError(f"this training is of your own network; add --network {began}")
    if recorded_name(network) != began:
        raise UsageError(f"--network {network} came, and this training began with {began}; give that, wherever it lies")
    return load_network(network, num_classes=len(facts["classes"]), in_channels=int(facts["preprocess"]["channels"]))
