"""`convlens shrink`: a run -> a smaller run, fine-tuned, with what it gained and lost."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from convlens import training
from convlens.data import Augment, usable_cpus
from convlens.errors import DataError, counted
from convlens.graph import ChannelPlan
from convlens.graph.coupling import ANSWER
from convlens.measurement import Paired
from convlens.reports import write_report
from convlens.runs import Run
from convlens.shrinking import PrunedResult
from convlens.shrinking import prune as remove_channels
from convlens.workbench.claim import claim, claim_free, keep_apart
from convlens.workbench.evaluate import own_source
from convlens.workbench.gather import Gathered, check_data_dir, gather, same_pictures
from convlens.workbench.own_network import open_run
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.shrunk import Size, both_measured, verdict_on
from convlens.workbench.task import chosen_augment, prepare
from convlens.workbench.typed import typed

LOW = 0.5  # of the rate at which a new network is trained; see benchmarks/pruning.py
SHORT = 0.25  # of the epochs that a new network is trained for


@dataclass(frozen=True)
class ShrinkResult:
    """`run` is new; `verdict` says in one line what it was worth. `stayed`: operations whose channels had to stay.

    `answers` compares both on the same pictures; None where there are none. `seconds` are from the start to the saved
    run.
    """

    run: Path
    name: str
    verdict: str
    before: Size
    after: Size
    answers: Paired | None
    num_pictures: int
    epochs: float
    stayed: tuple[str, ...]
    seconds: float
    report: Path


@typed
def shrink(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    prune: float = 0.5,
    importance: str = "weights",
    spread: str = "uniform",
    target: str = "channels",
    multiple: int = 1,
    least: int = 1,
    epochs: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    network: str | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
    **recipe_options: Any,
) -> ShrinkResult:
    """Remove a share of a run's channels, fine-tune what is left on the run's own training part, save it as a new run.

    `prune`, `importance`, `spread`, `target`, `multiple` and `least` are those of `shrinking.prune`. Fine-tuning takes
    a quarter of the epochs and half of the rate of a training from the beginning, unless `epochs` and `learning_rate`
    say otherwise; `recipe_options` are other fields of `training.Recipe`, the run's own by default. `data` is needed
    where the pictures have moved. Raises DataError, NetworkError, UsageError, StorageError; Stopped after a signal,
    once saved, and `train --resume` goes on.
    """
    began = time.monotonic()
    torch.set_num_threads(usable_cpus())
    opened = open_run(run, network)
    recipe = _recipe(opened, {"epochs": epochs, "learning_rate": learning_rate, "seed": seed, **recipe_options})
    asked: dict[str, Any] = {"importance": importance, "spread": spread, "target": target}
    pruned = remove_channels(opened.model, opened.input_shape, prune, multiple=multiple, least=least, **asked)
    if data is None:
        data, data_dir = own_source(opened, data_dir)
    check_data_dir(data, data_dir)
    keep_apart(Path(out or "runs"), data)
    with ExitStack() as held:
        held.enter_context(torch.random.fork_rng(devices=[]))
        folder = None if out is None else claim(held, Path(out))
        gathered = _gathered(opened, data, data_dir, progress, tell)
        folder = folder or claim_free(held, f"{opened.path.resolve().name}-pruned")
        gathered.write(folder)
        augment = _augment(opened)
        lessons = prepare(gathered, opened.preprocess, augment, recipe, progress=progress, tell=tell)
        small = pruned.network
        setting = training.Setting(gathered.num_classes)
        plan = training.make_plan(small, lambda batch: lessons.batches(batch, seed), recipe, setting)
        plan = replace(plan, augment=augment.to_dict())
        if learning_rate is None:
            plan = replace(plan, learning_rate=LOW * plan.learning_rate)
        tell(_describe(pruned, plan))
        facts = _facts(opened, gathered, pruned.plan, folder.path.resolve().name, network)
        task = lessons.task(recipe, plan.batch, facts)
        made = training.fit(small, task, recipe, plan, folder, started=began, progress=progress)
    seconds = round(time.monotonic() - began, 3)
    report = write_report(made)
    made = replace(made, given_model=small) if "network" in made.manifest.architecture else made
    before, after, answers, num_pictures = both_measured(opened, made, data, data_dir, progress=progress, tell=tell)
    stayed = tuple(dict.fromkeys(f"{kept.op} ({kept.reason})" for kept in pruned.kept if kept.reason != ANSWER))
    verdict = verdict_on(before, after, answers)
    facts_of_it = (verdict, before, after, answers, num_pictures, plan.epochs, stayed, seconds, report)
    return ShrinkResult(made.path, made.manifest.name, *facts_of_it)


def _recipe(run: Run, asked: dict[str, Any]) -> training.Recipe:
    """The run's own, but for its length, rate and seed."""
    own = run.manifest.recipe or {}
    known = {field.name for field in fields(training.Recipe)}
    one_time = {"budget_s", "epochs", "learning_rate", "seed", "name", "shuffle_labels", "freeze_stem", "progressive"}
    kept = {name: value for name, value in own.items() if name in known - one_time}
    if asked["epochs"] is None:
        num_train = ((run.manifest.data or {}).get("parts") or {}).get("train", 10_000)
        asked["epochs"] = max(1, round(SHORT * training.default_epochs(num_train)))
    return training.recipe_from({**kept, **asked})


def _augment(run: Run) -> Augment:
    """What the run's own training drew for each picture."""
    drawn = (run.manifest.plan or {}).get("augment")
    return Augment(**drawn) if drawn else chosen_augment(True, run.preprocess)


def _gathered(
    run: Run, data: str | Path, data_dir: str | Path | None, progress: Progress | None, tell: Tell
) -> Gathered:
    """The run's pictures, divided as they were when it was trained."""
    exact = run.manifest.data is not None and "looks_sha256" not in run.manifest.data
    found = gather(data, data_dir=data_dir, max_bad=1.0, exact=exact, progress=progress, tell=silent)
    if found.images.classes != run.classes:
        raise DataError(
            f"{data} has the classes {', '.join(found.images.classes[:5])} …, and {run.path} knows "
            f"{', '.join(run.classes[:5])} …; give the pictures that it was trained on"
        )
    if run.splits is None:
        tell(f"{run.path} was not trained here: the pictures of {data} are divided anew")
        return found
    same_pictures(found, run.splits, str(data))
    return replace(found, splits=run.splits)


def _facts(run: Run, gathered: Gathered, plan: ChannelPlan, name: str, network: str | None) -> dict[str, Any]:
    """What the new manifest says; a run that was pruned before has both cuts in one plan."""
    if run.manifest.channel_plan is not None:
        plan = plan.after(ChannelPlan.from_dict(run.manifest.channel_plan))
    return {
        "name": name,
        "keep_pictures": run.manifest.keep_pictures,
        "data": gathered.facts(),
        "classes": list(run.classes),
        "architecture": run.manifest.architecture,
        "weights": str(run.folder.weights),
        "own_network": network,
        "preprocess": run.preprocess.to_dict(),
        "channel_plan": plan.to_dict(),
    }


def _describe(pruned: PrunedResult, plan: training.Plan) -> str:
    left = pruned.after.parameters / pruned.before.parameters
    macs = pruned.after.macs / max(1, pruned.before.macs)
    return (
        f"pruned: {left:.0%} of the parameters and {macs:.0%} of the MACs are left; fine-tuned for "
        f"{counted(plan.epochs, 'epoch')} at {plan.learning_rate:.2g}"
    )
