"""`convlens shrink`: smaller runs of a run, and what became of its accuracy, bytes and time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from convlens import training
from convlens.data import Augment, usable_cpus
from convlens.errors import UsageError
from convlens.measurement import Paired, told_apart
from convlens.reports import write_report
from convlens.runs import Run
from convlens.workbench.claim import claim, claim_free, keep_apart
from convlens.workbench.compare import Compared, CompareResult, compare
from convlens.workbench.evaluate import own_source
from convlens.workbench.gather import Gathered, check_data_dir, gather, same_pictures
from convlens.workbench.learn import Manner, learn
from convlens.workbench.own_network import load_network, open_run
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.smaller import Smaller, Way, check_way, design_smaller
from convlens.workbench.task import chosen_augment
from convlens.workbench.typed import typed

SHORT = 0.25  # of the epochs that a new network is trained for, where trained weights learn on
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


@dataclass(frozen=True)
class Shrunk:
    """One smaller run, which stands beside `ShrinkResult.before`. `verdict` says in one line what it was worth.

    `file_bytes` is the size of the weights' file; `answers` compares both on the same pictures (first: before).
    `stayed` are operations whose channels had to stay, and why.
    """

    run: Path
    verdict: str
    figures: Compared
    file_bytes: int
    answers: Paired
    stayed: tuple[str, ...]


@dataclass(frozen=True)
class ShrinkResult:
    """`num_pictures` were new to every run, and judged them all; latencies are of one picture at a time, by torch."""

    before: Compared
    before_bytes: int
    shrunk: tuple[Shrunk, ...]
    num_pictures: int
    plot: Path | None


@typed
def shrink(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    prune: float | Sequence[float] | None = None,
    width: float | Sequence[float] | None = None,
    resolution: int | Sequence[int] | None = None,
    importance: str = "weights",
    spread: str = "uniform",
    target: str = "channels",
    multiple: int = 1,
    least: int = 1,
    epochs: int | None = None,
    budget: str | float | None = None,
    teach: bool = True,
    out: str | Path | None = None,
    plot: str | Path | None = None,
    device: str = "auto",
    data_dir: str | Path | None = None,
    network: str | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
    **recipe_options: Any,
) -> ShrinkResult:
    """Make smaller runs of a run, one for each of the ways that are asked for, and judge them beside it.

    `prune` is the share of the channels that goes (`importance`, `spread`, `target`, `multiple` and `least` are those
    of `shrinking.prune`), `width` and `resolution` (px) those of a smaller network of the family; of several each is
    made with each. What comes of it learns on the pictures that the run was trained on, divided as they were, or on
    `data`, and from the run's answers too unless `teach` is false. `epochs` or `budget` is for each; trained weights
    take a quarter of the epochs and of the rate of a training from the beginning. `out` is the new run, or the folder
    of several; `plot` an SVG of accuracy against latency. `network` (file.py:Class) goes with a run of your own. The
    run itself stays as it is. Raises UsageError, NetworkError for what its network cannot have, DataError where its
    pictures have changed; Stopped after a signal, once saved, and `train --resume` goes on.
    """
    torch.set_num_threads(usable_cpus())
    run = open_run(run, network)
    pruning = {"importance": importance, "spread": spread, "target": target, "multiple": multiple, "least": least}
    ways = [Way(*three, pruning) for three in product(_each(width), _each(resolution), _each(prune))]
    if ways == [Way(pruning=pruning)]:
        raise UsageError("nothing to make smaller was asked for; give --prune 0.5, --width 0.5, or --resolution 160")
    for way in ways:
        check_way(run, way)
    seed = recipe_options.pop("seed", run.manifest.seed or 0)
    asked = {"seed": seed, "epochs": epochs, **recipe_options}
    if budget is not None:
        asked["budget_s"] = training.parse_duration(budget)
    recipe = _recipe(run, asked)
    source, looked_in = (data, data_dir) if data is not None else own_source(run, data_dir)
    check_data_dir(source, data_dir)
    keep_apart(Path(out or "runs"), source)
    target_device = str(training.choose_device(device))
    learner = _Learner(run, recipe, target_device, run if teach else None, network, progress, tell)
    smaller = [design_smaller(run, way, seed, network) for way in ways]
    gathered = _gathered(run, source, looked_in, own=data is None, seed=seed, progress=progress, tell=tell)
    runs = []
    for way, made in zip(ways, smaller, strict=True):
        place = None if out is None else Path(out) / (way.label if len(ways) > 1 else "")
        runs.append(learner.learn(way, made, gathered, place))
    found = compare(
        [run, *runs],
        latency=True,
        data=data,
        data_dir=data_dir,
        plot=plot,
        progress=progress,
        tell=tell,
    )
    return _judged(run, runs, [made.stayed for made in smaller], found)


def _each(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, Sequence) else (values,)


def _recipe(run: Run, asked: dict[str, Any]) -> training.Recipe:
    """The run's own, but for what belongs to one training."""
    own = run.manifest.recipe or {}
    kept = {field.name for field in fields(training.Recipe)} - {*OF_ONE}
    return training.recipe_from({**{name: value for name, value in own.items() if name in kept}, **asked})


def _gathered(
    run: Run,
    source: str | Path,
    data_dir: str | Path | None,
    *,
    own: bool,
    seed: int,
    progress: Progress | None,
    tell: Tell,
) -> Gathered:
    """The run's own pictures are divided as they were: none of its test part is trained on."""
    exact = run.manifest.data is not None and "looks_sha256" not in run.manifest.data
    found = gather(source, data_dir=data_dir, max_bad=1.0, seed=seed, exact=exact, progress=progress, tell=tell)
    before = run.splits if own else None
    if before is not None:
        same_pictures(found, before, str(source))
        found = replace(found, splits=before)
    if found.images.classes != run.classes:
        raise UsageError(
            f"{source} has the classes {_some(found.images.classes)}, and {run.path} knows {_some(run.classes)}; give "
            "pictures of the same classes"
        )
    return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


@dataclass(frozen=True)
class _Learner:
    run: Run
    recipe: training.Recipe
    device: str
    teacher: Run | None
    own_network: str | None
    progress: Progress | None
    tell: Tell

    def learn(self, way: Way, smaller: Smaller, gathered: Gathered, place: Path | None) -> Run:
        made, run = smaller.design, self.run
        with ExitStack() as held:
            held.enter_context(torch.random.fork_rng(devices=[]))
            folder = claim(held, place) if place is not None else claim_free(held, f"{run.manifest.name}-{way.label}")
            gathered.write(folder)
            self.tell(f"{way.label}: {smaller.words}")
            how = Manner(self.device, run.manifest.keep_pictures, time.monotonic(), self.teacher, smaller.keeps)
            drawn = _drawn(run, made.preprocess.size) or chosen_augment(self.recipe.augment, made.preprocess)
            recipe = self._of_a_length(len(gathered.splits.indices("train")), smaller.keeps)
            told: dict[str, Any] = {"progress": self.progress, "tell": self.tell}
            new = learn(folder, gathered, made, recipe, made.preprocess, drawn, how, **told)
        if self.own_network is not None:
            built = load_network(self.own_network, num_classes=len(new.classes), in_channels=new.preprocess.channels)
            new = replace(new, given_model=built)
        write_report(new)
        return new

    def _of_a_length(self, num_pictures: int, keeps: bool) -> training.Recipe:
        if not keeps or self.recipe.epochs is not None or self.recipe.budget_s is not None:
            return self.recipe
        return replace(self.recipe, epochs=max(1, round(SHORT * training.default_epochs(num_pictures))))


def _drawn(run: Run, size: tuple[int, int]) -> Augment | None:
    """What was drawn for the run's own training pictures, where it was trained here at this size."""
    plan = run.manifest.plan
    return None if plan is None or run.preprocess.size != size else Augment(**plan["augment"])


def _judged(run: Run, runs: Sequence[Run], stayed: Sequence[tuple[str, ...]], found: CompareResult) -> ShrinkResult:
    before, *after = found.rows
    bytes_before = run.weights_file.stat().st_size
    shrunk = []
    for one, row, pair, why in zip(runs, after, found.pairs, stayed, strict=False):  # the first pairs are with the run
        size = one.weights_file.stat().st_size
        verdict = verdict_on(before, row, bytes_before, size)
        shrunk.append(Shrunk(one.path, verdict, row, size, pair.answers, why))
    return ShrinkResult(before, bytes_before, tuple(shrunk), found.num_pictures, found.plot)


def verdict_on(before: Compared, after: Compared, bytes_before: int, bytes_after: int) -> str:
    """What did not get better comes first."""
    assert before.latency is not None and after.latency is not None
    smaller, apart = bytes_after < bytes_before, told_apart(before.latency, after.latency)
    ratio = before.latency.p50_ms / after.latency.p50_ms
    size = f"{bytes_before / bytes_after:.2g} times smaller" if smaller else "not smaller"
    speed = f"{ratio:.2g} times as fast" if apart and ratio > 1 else "not faster on this machine"
    if apart and ratio < 1:
        speed = f"slower on this machine ({1 / ratio:.2g} times the time)"
    faster = apart and ratio > 1
    return f"{speed}, {size}" if smaller and not faster else f"{size}, {speed}"
