"""`convlens shrink`: smaller runs of a run, and what became of its accuracy, bytes and time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from convlens import training
from convlens.data import Augment
from convlens.errors import UsageError
from convlens.measurement import Paired, told_apart
from convlens.runs import Run
from convlens.workbench.claim import claim, claim_free, keep_apart
from convlens.workbench.compare import Compared, compare
from convlens.workbench.evaluate import own_source
from convlens.workbench.gather import Gathered, gather, same_pictures
from convlens.workbench.learn import Manner, learn
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.smaller import Way, check_way, design_smaller
from convlens.workbench.task import chosen_augment
from convlens.workbench.typed import typed


@dataclass(frozen=True)
class Shrunk:
    """One smaller run: its figures, those of the run before in `ShrinkResult.before`.

    `file_bytes` is the size of the weights' file; `answers` compares both on the same pictures (first: before).
    `smaller` and `faster` are facts of this machine: fewer bytes, and a latency that can be told apart.
    """

    run: Path
    figures: Compared
    file_bytes: int
    answers: Paired
    smaller: bool
    faster: bool

    @property
    def verdict(self) -> str:
        if self.smaller and self.faster:
            return "smaller and faster"
        if self.smaller:
            return "smaller, but not faster on this machine"
        return "faster on this machine, but not smaller" if self.faster else "neither smaller nor faster: keep the run"


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
    width: float | Sequence[float] | None = None,
    resolution: int | Sequence[int] | None = None,
    epochs: int | None = None,
    budget: str | float | None = None,
    teach: bool = True,
    out: str | Path | None = None,
    plot: str | Path | None = None,
    device: str = "auto",
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
    **recipe_options: Any,
) -> ShrinkResult:
    """Make smaller runs of a run, one for each pair of a width and a resolution, and judge them beside it.

    Each learns from the run's answers too, unless `teach` is false, on the pictures that the run was trained on,
    divided as they were, or on `data`. `epochs` or `budget` is for each. `out` is the new run, or the folder of
    several; `plot` an SVG of accuracy against latency. The run itself stays as it is. Raises UsageError for what its
    network cannot have, DataError where its pictures have changed.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    ways = [Way(*pair) for pair in product(_each(width), _each(resolution))]
    if ways == [Way()]:
        raise UsageError("nothing to make smaller was asked for; give --width 0.5, --resolution 160 or several of them")
    for way in ways:
        check_way(run, way)
    if budget is not None:
        recipe_options["budget_s"] = training.parse_duration(budget)
    seed = recipe_options.pop("seed", run.manifest.seed or 0)
    recipe = training.recipe_from({"seed": seed, "epochs": epochs, **recipe_options})
    source, looked_in = (data, data_dir) if data is not None else own_source(run, data_dir)
    keep_apart(Path(out or "runs"), source)
    gathered = _gathered(run, source, looked_in, own=data is None, seed=seed, progress=progress, tell=tell)
    runs = []
    for way in ways:
        place = None if out is None else Path(out) / (way.label if len(ways) > 1 else "")
        manner = Manner(
            str(training.choose_device(device)), run.manifest.keep_pictures, time.monotonic(), run if teach else None
        )
        runs.append(_one(run, way, gathered, recipe, manner, place, progress=progress, tell=tell))
    return _judged(run, runs, data, plot, data_dir, progress, tell)


def _each(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, Sequence) else (values,)


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
    exact = not run.manifest.keep_pictures
    found = gather(source, data_dir=data_dir, max_bad=1.0, seed=seed, exact=exact, progress=progress, tell=tell)
    before = run.splits if own else None
    if before is not None:
        same_pictures(found, before, str(source))
        found = replace(found, splits=before)
    if set(found.images.classes) != set(run.classes):
        raise UsageError(f"{source} has other classes than {run.path}: {', '.join(found.images.classes[:5])}")
    return found


def _one(
    run: Run,
    way: Way,
    gathered: Gathered,
    recipe: training.Recipe,
    manner: Manner,
    place: Path | None,
    *,
    progress: Progress | None,
    tell: Tell,
) -> Run:
    with ExitStack() as held:
        held.enter_context(torch.random.fork_rng(devices=[]))
        folder = claim(held, place) if place is not None else claim_free(held, f"{run.manifest.name}-{way.label}")
        gathered.write(folder)
        made, keeps = design_smaller(run, way, recipe.seed)
        tell(f"{way.label}: {'the weights of the run learn on' if keeps else 'a new network learns from the run'}")
        drawn = _drawn(run, made.preprocess.size) or chosen_augment(True, made.preprocess)
        how = replace(manner, goes_on=keeps)
        return learn(folder, gathered, made, recipe, made.preprocess, drawn, how, progress=progress, tell=tell)


def _drawn(run: Run, size: tuple[int, int]) -> Augment | None:
    """What was drawn for the run's own training pictures, where it was trained here at this size."""
    plan = run.manifest.plan
    return None if plan is None or run.preprocess.size != size else Augment(**plan["augment"])


def _judged(
    run: Run,
    runs: Sequence[Run],
    data: str | Path | None,
    plot: str | Path | None,
    data_dir: str | Path | None,
    progress: Progress | None,
    tell: Tell,
) -> ShrinkResult:
    asked: dict[str, Any] = {"data": data, "data_dir": data_dir, "plot": plot, "progress": progress, "tell": tell}
    found = compare([run, *runs], latency=True, **asked)
    before, *after = found.rows
    bytes_before = run.folder.weights.stat().st_size
    shrunk = []
    for one, row, pair in zip(runs, after, found.pairs, strict=False):  # the first pairs are those with the run
        size = one.folder.weights.stat().st_size
        assert before.latency is not None and row.latency is not None
        faster = told_apart(before.latency, row.latency) and row.latency.p50_ms < before.latency.p50_ms
        shrunk.append(Shrunk(one.path, row, size, pair.answers, size < bytes_before, faster))
    return ShrinkResult(before, bytes_before, tuple(shrunk), found.num_pictures, found.plot)
