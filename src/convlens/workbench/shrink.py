"""`convlens shrink`: smaller runs of a run, and what became of its accuracy, bytes and time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from convlens import training
from convlens.data import usable_cpus
from convlens.errors import UsageError
from convlens.runs import Run
from convlens.shrinking.search import Limits
from convlens.storage import check_writable
from convlens.workbench.claim import check_free, keep_apart
from convlens.workbench.compare import side_by_side
from convlens.workbench.drawing_file import drawing_file
from convlens.workbench.evaluate import own_source
from convlens.workbench.fewer_bits import BitLearner, Bits, check_bits
from convlens.workbench.gather import check_data_dir
from convlens.workbench.own_network import open_run
from convlens.workbench.own_pictures import pictures_of, recipe_of
from convlens.workbench.process import process_kept
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.same_pictures import answers_of
from convlens.workbench.search import Length
from convlens.workbench.shrunk import ShrinkResult, judged, judged_as_files
from convlens.workbench.smaller import Choices, check_way, design_smaller
from convlens.workbench.teach import Teaching
from convlens.workbench.typed import typed
from convlens.workbench.where import Where, whole_already
from convlens.workbench.within_limits import BUDGET_S, TRIALS, WithinLimits


@typed
@process_kept()
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
    only: str | None = None,
    epochs: int | None = None,
    budget: str | float | None = None,
    teach: bool = True,
    latency_ms: float | None = None,
    max_accuracy_loss: float | None = None,
    max_bytes: int | None = None,
    trials: int | None = None,
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

    `prune` is the share of the channels that goes (`importance`, `spread`, `target`, `multiple`, `least` and `only` are
    those of `shrinking.prune`), `width` and `resolution` (px) those of a smaller network of the family; of several each
    is made with each. What comes of it learns on the pictures that the run was trained on, divided as they were, or on
    `data`, and from the run's answers too unless `teach` is false. `epochs` or `budget` is for each; trained weights
    take a quarter of the epochs and half of the rate of a training from the beginning. `quantise` ("int8") or `cluster`
    (bits, with a `sparsity`) keeps the network and takes fewer bits; it learns for `epochs`, by default none.

    With a limit, `latency_ms` (of one picture, by the fastest engine here), `max_accuracy_loss` (0 to 1, of the
    validation part) or `max_bytes`, the smallest network within it is searched for among widths, resolutions, shares
    of channels, float32 and int8, or of each those that are given: `trials` candidates, or as many as a `budget` for
    all of it allows. Nothing is shrunk where none keeps within; the result's `search` tells by how much. `out` is the
    new run, or the folder of several; `plot` an SVG of accuracy against latency. `network` (file.py:Class) goes
    with a run of your own. The run itself stays as it is. Raises UsageError, NetworkError for what its network cannot
    have, DataError where its pictures have changed; Stopped after a signal, once saved, and `train --resume` goes on;
    with a search goes on the same call.
    """
    began = time.monotonic()
    torch.set_num_threads(usable_cpus())
    run = open_run(run, network)
    pruning: dict[str, Any] = {
        "importance": importance,
        "spread": spread,
        "target": target,
        "multiple": multiple,
        "least": least,
        "only": only,
    }
    choices = Choices(_all(width), _all(resolution), _all(prune), pruning)
    bits = Bits(quantise, cluster, sparsity, epochs or 0, recipe_options.get("learning_rate"))
    budget_s = None if budget is None else training.parse_duration(budget)
    job = _job(Limits(latency_ms, max_accuracy_loss, max_bytes), choices, bits, trials, budget_s)
    job.check(run)
    if out is None:
        check_writable(Path("runs") / "run.json")
    drawn = drawing_file("--plot", plot)
    asked = {"seed": recipe_options.pop("seed", run.manifest.seed or 0), "epochs": epochs, **recipe_options}
    recipe = recipe_of(
        run, asked | ({"budget_s": budget_s} if isinstance(job, ByWays) and budget_s is not None else {})
    )
    source, looked_in = (data, data_dir) if data is not None else own_source(run, data_dir)
    check_data_dir(source, data_dir)
    keep_apart(Path(out or "runs"), source)
    told: dict[str, Any] = {"progress": progress, "tell": tell}
    own: dict[str, Any] = {"own": data is None, "seed": recipe.seed}
    teaching = Teaching(run, recipe, str(training.choose_device(device)), run if teach else None, network, **told)
    where = Where(
        None if out is None else Path(out),
        drawn,
        partial(pictures_of, run, source, looked_in, **own, **told),
        partial(answers_of, data=data, data_dir=data_dir, **told),
    )
    return job.make(teaching, where, began)


def _job(
    limits: Limits, choices: Choices, bits: Bits, trials: int | None, budget_s: float | None
) -> WithinLimits | InBits | ByWays:
    if limits != Limits():
        length = Length(TRIALS if trials is None else trials, BUDGET_S if budget_s is None else budget_s)
        return WithinLimits(limits, choices, bits, length)
    if trials is not None:
        raise UsageError(f"--trials came as {trials} without a limit; add --latency-ms or --max-accuracy-loss")
    if bits.quantise is not None or bits.cluster is not None:
        return InBits(bits, choices, budget_s)
    return ByWays(choices, bits)


@dataclass(frozen=True)
class InBits:
    """The same network in fewer bits."""

    bits: Bits
    choices: Choices
    budget_s: float | None

    def check(self, run: Run) -> None:
        if any(way.label for way in self.choices.ways):
            raise UsageError(
                "fewer bits come last: shrink to the network first, and quantise or cluster what comes of it"
            )
        if self.budget_s is not None:
            raise UsageError("--budget came with fewer bits, which learn for --epochs, by default none; give those")
        check_bits(run, self.bits)

    def make(self, teaching: Teaching, where: Where, _: float) -> ShrinkResult:
        run, seed = teaching.run, teaching.recipe.seed
        if where.place is not None:
            check_free(where.place)
        made = BitLearner(run, where.gather(), seed, teaching.progress, teaching.tell).make(self.bits, where.place)
        with whole_already(run, [made.run]):
            answers = where.answers([run, made.run])
            return judged_as_files(run, made, answers, plot=where.plot, progress=teaching.progress)


@dataclass(frozen=True)
class ByWays:
    """A smaller network for each way that was asked for."""

    choices: Choices
    bits: Bits

    def check(self, run: Run) -> None:
        check_bits(run, self.bits)
        if not any(way.label for way in self.choices.ways):
            raise UsageError(
                "nothing to make smaller was asked for; give --prune 0.5, --width 0.5, --resolution 160, --quantise "
                "int8 or --cluster 5, or a limit to search within: --latency-ms 3, --max-accuracy-loss 0.01"
            )
        for way in self.choices.ways:
            check_way(run, way)

    def make(self, teaching: Teaching, where: Where, _: float) -> ShrinkResult:
        run, place, ways = teaching.run, where.place, self.choices.ways
        places = [place / way.label if place is not None and len(ways) > 1 else place for way in ways]
        for its_place in places:
            if its_place is not None:
                check_free(its_place)
        smaller = [design_smaller(run, way, teaching.recipe.seed, teaching.own_network) for way in ways]
        gathered, runs = where.gather(), list[Run]()
        with whole_already(run, runs):
            for way, made_smaller, its_place in zip(ways, smaller, places, strict=True):
                runs.append(teaching.learn(way, made_smaller, gathered, its_place))
            answers = where.answers([run, *runs])
            found = side_by_side([run, *runs], answers, latency=True, plot=where.plot, progress=teaching.progress)
        return judged(run, runs, [one.stayed for one in smaller], found)


def _all(values: Any) -> tuple[Any, ...]:
    """One or several, each once; none where none came."""
    if values is None:
        return ()
    return tuple(dict.fromkeys(values)) if isinstance(values, Sequence) else (values,)
