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
from convlens.data import usable_cpus
from convlens.errors import UsageError
from convlens.reports import write_report
from convlens.runs import Run
from convlens.workbench.claim import claim, claim_free, keep_apart
from convlens.workbench.compare import compare
from convlens.workbench.drawing_file import drawing_file
from convlens.workbench.evaluate import own_source
from convlens.workbench.fewer_bits import BitLearner, Bits, check_bits
from convlens.workbench.gather import Gathered, check_data_dir
from convlens.workbench.learn import Manner, learn
from convlens.workbench.own_network import load_network, open_run
from convlens.workbench.own_pictures import drawn_for, pictures_of, recipe_of
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.shrunk import ShrinkResult, judged, judged_in_bits
from convlens.workbench.smaller import Smaller, Way, check_way, design_smaller
from convlens.workbench.typed import typed

SHORT = 0.25  # of the epochs that a new network is trained for, where trained weights learn on


@typed
def shrink(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    prune: float | Sequence[float] | None = None,
    width: float | Sequence[float] | None = None,
    resolution: int | Sequence[int] | None = None,
    quantise: str | None = None,
    cluster: int | None = None,
    sparsity: float = 0.0,
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
    take a quarter of the epochs and half of the rate of a training from the beginning. `quantise` ("int8") or `cluster`
    (bits, with a `sparsity`) keeps the network and takes fewer bits; it learns for `epochs`, by default none. `out` is
    the new run, or the folder of several; `plot` an SVG of accuracy against latency. `network` (file.py:Class) goes
    with a run of your own. The run itself stays as it is. Raises UsageError, NetworkError for what its network cannot
    have, DataError where its pictures have changed; Stopped after a signal, once saved, and `train --resume` goes on.
    """
    torch.set_num_threads(usable_cpus())
    run = open_run(run, network)
    pruning = {"importance": importance, "spread": spread, "target": target, "multiple": multiple, "least": least}
    ways = [Way(*three, pruning) for three in product(_each(width), _each(resolution), _each(prune))]
    seed = recipe_options.pop("seed", run.manifest.seed or 0)
    bits = Bits(quantise, cluster, sparsity, epochs or 0, recipe_options.get("learning_rate"))
    few = _check(run, ways, bits, budget)
    drawing_file("--plot", plot)
    asked = {"seed": seed, "epochs": epochs, **recipe_options}
    if budget is not None:
        asked["budget_s"] = training.parse_duration(budget)
    recipe = recipe_of(run, asked)
    source, looked_in = (data, data_dir) if data is not None else own_source(run, data_dir)
    check_data_dir(source, data_dir)
    keep_apart(Path(out or "runs"), source)
    place = None if out is None else Path(out)
    learner = _Learner(
        run, recipe, str(training.choose_device(device)), run if teach else None, network, progress, tell
    )
    smaller = [] if few else [design_smaller(run, way, seed, network) for way in ways]
    gathered = pictures_of(run, source, looked_in, own=data is None, seed=seed, progress=progress, tell=tell)
    told: dict[str, Any] = {"data": data, "data_dir": data_dir, "plot": plot, "progress": progress, "tell": tell}
    if few:
        made = BitLearner(run, gathered, seed, progress, tell).make(bits, place)
        return judged_in_bits(run, made, compare([run, made.run], latency=True, **told))
    runs = []
    for way, made_smaller in zip(ways, smaller, strict=True):
        its_place = place / way.label if place is not None and len(ways) > 1 else place
        runs.append(learner.learn(way, made_smaller, gathered, its_place))
    return judged(run, runs, [one.stayed for one in smaller], compare([run, *runs], latency=True, **told))


def _check(run: Run, ways: Sequence[Way], bits: Bits, budget: str | float | None) -> bool:
    """UsageError for what cannot be had, before a picture is read. Is it fewer bits that are asked for?"""
    few, others = bits.quantise is not None or bits.cluster is not None, any(way.label for way in ways)
    if few and others:
        raise UsageError("fewer bits come last: shrink to the network first, and quantise or cluster what comes of it")
    if few and budget is not None:
        raise UsageError("--budget came with fewer bits, which learn for --epochs, by default none; give those")
    check_bits(run, bits)
    if not few and not others:
        raise UsageError(
            "nothing to make smaller was asked for; give --prune 0.5, --width 0.5, --resolution 160, --quantise int8 "
            "or --cluster 5"
        )
    for way in ways:
        check_way(run, way)
    return few


def _each(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, Sequence) else (values,)


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
            drawn = drawn_for(run, made.preprocess)
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
