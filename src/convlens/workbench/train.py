"""`convlens train`: from pictures to a run."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from convlens import training
from convlens.data import usable_cpus
from convlens.errors import UsageError
from convlens.reports import write_report
from convlens.runs import Run
from convlens.workbench.claim import claim, claim_free, keep_apart
from convlens.workbench.design import Request, design
from convlens.workbench.gather import Gathered, check_data_dir, excluded, gather
from convlens.workbench.learn import Manner, learn
from convlens.workbench.lineage import begun_with
from convlens.workbench.process import process_kept
from convlens.workbench.published import published, recipe_of, request_of
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.resume import go_on, refuse_at_resume
from convlens.workbench.task import check_augmentation, chosen_augment, with_statistics
from convlens.workbench.teacher import check_teacher, teacher_path
from convlens.workbench.typed import typed
from convlens.workbench.weights import weights_file

FIELDS = {"budget": "budget_s"}  # of a recipe, by the option that is called otherwise
ANNEALED = 0.9  # share of a schedule at which its rate is nearly nothing
OVERRUN = 1.05  # times the budget, from which it is said


@dataclass(frozen=True)
class TrainResult:
    """`val_accuracy` is None without a validation part; `seconds` are from the command's start to the saved run."""

    run: Path
    name: str
    num_pictures: int
    num_excluded: int
    epochs: float
    steps: int
    val_accuracy: float | None
    temperature: float
    seconds: float
    report: Path


@typed
@process_kept()
def train(
    data: str | Path | None = None,
    *,
    model: str = "auto",
    recipe: str | None = None,
    network: str | None = None,
    budget: str | float | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    image_size: int | None = None,
    fit: str = "auto",
    split: tuple[float, float, float] = (0.8, 0.1, 0.1),
    weights: str | Path = "auto",
    teacher: Run | str | Path | None = None,
    teacher_network: str | None = None,
    model_options: dict[str, Any] | None = None,
    augment: bool | Mapping[str, Any] = True,
    data_dir: str | Path | None = None,
    max_bad: float = 0.1,
    keep_pictures: bool = True,
    progress: Progress | None = None,
    tell: Tell = silent,
    watch: training.Watch | None = None,
    started: float | None = None,
    given: Collection[str] = (),
    **recipe_options: Any,
) -> TrainResult:
    """Train a network on a folder of pictures (or any other source) and save it as a run.

    `budget` ("5m", or seconds) or `epochs` sets the length; with neither, about 600,000 pictures are shown, in 10 to
    60 epochs. `recipe` is the name of a published one, which decides about all else; a named set has one of its own,
    taken where nothing else is asked. From a `teacher`, a run of the same classes, the network learns beside the
    labels; `teacher_network` (file.py:Class) goes with one of your own that is not `network` itself. `augment` is
    whether, or fields of `data.Augment` by name that are to be other than by default. `recipe_options` are the fields
    of `training.Recipe`. With `resume`, an interrupted training goes on, and all else stands in its checkpoint, from
    which no option may differ; those that are as by default count only where `given` names them. `watch` is looked at
    from other threads, and may stop it. Raises DataError, UsageError, StorageError; Stopped after a signal, once saved.
    """
    started = time.monotonic() if started is None else started
    progress = progress if watch is None else watch.beside(progress)
    check_augmentation(augment)
    torch.set_num_threads(usable_cpus())
    if budget is not None:
        recipe_options["budget_s"] = training.parse_duration(budget)
    if resume is not None:
        asked = {**recipe_options, "seed": seed, "model": model, "recipe": recipe, "image_size": image_size}
        asked |= {"augment": augment, "teacher": None if teacher is None else str(teacher_path(teacher))}
        asked |= {"device": device, "fit": fit, "options": model_options or {}, "no_pictures": not keep_pictures}
        fixed = {"weights": (weights, "auto"), "split": (tuple(split), (0.8, 0.1, 0.1)), "max_bad": (max_bad, 0.1)}
        refuse_at_resume(fixed, given, resume, out)
        more: dict[str, Any] = {"progress": progress, "tell": tell, "watch": watch, "teacher_network": teacher_network}
        more["given"] = {FIELDS.get(name, name) for name in given}
        return _result(*go_on(resume, data, network=network, data_dir=data_dir, asked=asked, **more), started)
    if data is None:
        raise UsageError("nothing to train on; give a folder of pictures or a name such as digits, or --resume RUN")
    wanted = training.recipe_from({"seed": seed, **recipe_options, "augment": augment is not False})
    if wanted.shuffle_labels and weights not in ("auto", "none"):
        raise UsageError(f"weights came as {weights} with shuffled labels, which need random ones; leave it out")
    target = str(training.choose_device(device))
    ask = Request(model, network, image_size, fit, str(weights_file(weights)), model_options or {})
    if teacher is None and teacher_network is not None:
        raise UsageError(f"--teacher-network {teacher_network} came without --teacher; give both, or leave it out")
    if teacher is not None:
        teacher = check_teacher(teacher, wanted, teacher_network, network)
        ask = replace(ask, teacher=str(teacher.path))
    record = published(recipe, data, ask, wanted, augment)
    if record is not None:
        ask, wanted = request_of(record), recipe_of(record, wanted)
    elif wanted.shuffle_labels:
        ask = replace(ask, weights="none")
    check_data_dir(data, data_dir)
    keep_apart(Path(out or "runs"), data)
    with ExitStack() as held:
        held.enter_context(torch.random.fork_rng(devices=[]))
        folder = None if out is None else claim(held, Path(out))
        gathered = gather(
            data,
            data_dir=data_dir,
            fractions=split,
            seed=seed,
            max_bad=max_bad,
            exact=not keep_pictures,  # a look is a picture too, of 16 x 18 greys
            begins_with=begun_with(ask.weights, tell),
            progress=progress,
            tell=tell,
        )
        if not len(gathered.splits.indices("val")):
            remedy = "give pictures new to the weights" if gathered.num_known else "give more pictures or a --split"
            tell(f"no picture is left for validation: no best weights, no temperature; {remedy}")
        made = design(ask, gathered, wanted, started=started, tell=tell)
        folder = folder or claim_free(held, f"{gathered.images.name}-{made.label}")
        gathered.write(folder)
        preprocess = made.preprocess if made.has_statistics else with_statistics(made.preprocess, gathered)
        drawn = chosen_augment(augment, preprocess) if record is None else record.augment
        how = Manner(target, keep_pictures, started, teacher, watch=watch)
        run = learn(folder, gathered, made, wanted, preprocess, drawn, how, progress=progress, tell=tell)
    result = _result(run, gathered, started)
    if wanted.budget_s and result.seconds > OVERRUN * wanted.budget_s:
        tell(f"the budget of {wanted.budget_s:g} s was too short for these pictures; steps made: {result.steps:,}")
    elif (reached := training.Plan.from_dict(run.manifest.plan or {}).reached) < ANNEALED:
        tell(f"the time was up at {reached:.0%} of the schedule, as the machine slowed down: a rerun may score more")
    return result


def _result(run: Run, gathered: Gathered, started: float) -> TrainResult:
    seconds = time.monotonic() - started
    plan, metrics = run.manifest.plan or {}, run.manifest.metrics
    return TrainResult(
        run=run.path,
        name=run.manifest.name,
        num_pictures=len(gathered.images),
        num_excluded=excluded(gathered.splits),
        epochs=plan["epochs"],
        steps=metrics["steps"],
        val_accuracy=metrics["val"]["accuracy"] if "val" in metrics else None,
        temperature=run.temperature,
        seconds=round(seconds, 3),
        report=write_report(run),
    )
