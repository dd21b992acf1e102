"""A search under a budget, from what may be chosen to the winner as a run, judged like any other."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import convlens.zoo as room
from convlens.data import usable_cpus
from convlens.errors import ConvlensError, NetworkError, UsageError, check_count, check_number
from convlens.exporting import load
from convlens.reports import write_report
from convlens.runs import Run, RunFolder, save_run
from convlens.shrinking import prune
from convlens.shrinking.search import FLOAT, INT8, Limits, Space, check_search
from convlens.training import Recipe
from convlens.training.machine import has_fast_bf16
from convlens.workbench.claim import claim, claim_free
from convlens.workbench.compare import draw_front, on_front, side_by_side
from convlens.workbench.fewer_bits import BitLearner, Bits, FewerBits, check_bits
from convlens.workbench.results import silent
from convlens.workbench.search import Length, Made, Searcher
from convlens.workbench.shipped import Shipped, opened, steady_latencies
from convlens.workbench.shrunk import ShrinkResult, judged_as_files
from convlens.workbench.smaller import Choices, Way, check_way, weights_fit
from convlens.workbench.teach import Teaching
from convlens.workbench.tried import Search
from convlens.workbench.where import Where, whole_already

WIDTHS = (0.75, 0.5, 0.25)  # MobileNet v1, tables 6 and 7, and as shares of a side its 192, 160 and 128 of 224 px
SIDES = (6 / 7, 5 / 7, 4 / 7)
PRUNED = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
TRIALS, BUDGET_S = 16, 900.0  # unless asked for otherwise


@dataclass(frozen=True)
class WithinLimits:
    """The smallest that keeps within them, of what may be chosen from."""

    limits: Limits
    choices: Choices
    bits: Bits
    length: Length

    def check(self, run: Run) -> None:
        """Before a picture is read. UsageError, or MissingExtra."""
        self.limits.check()
        check_count("--trials", self.length.trials)
        check_number("--budget", self.length.budget_s, 0, above=True)
        if self.bits.cluster is not None or self.bits.sparsity:
            raise UsageError("--cluster came with a limit to search within, which knows float32 and int8; leave it out")
        check_bits(run, self.bits)
        if run.manifest.quantisation is not None:
            raise UsageError(f"{run.path} is quantised; search from the run that it was made from")
        check_search()
        for package in ("onnx", "onnxscript", "onnxruntime"):
            load(package, "a search under a budget, which measures files,")

    def make(self, teaching: Teaching, where: Where, began: float) -> ShrinkResult:
        """The folder is taken at once, and nothing is in it until the winner is."""
        run, tell = teaching.run, teaching.tell
        teaching = replace(teaching, recipe=_measured_before(teaching.recipe, run, teaching.device))
        space = space_of(run, self.choices, self.bits)
        with ExitStack() as held:
            folder = None if where.place is None else claim(held, where.place)
            scratch = Path(held.enter_context(TemporaryDirectory(prefix="convlens-search-")))
            name = None if folder is None else folder.path.resolve().name
            asked = (self.limits, space, dict(self.choices.pruning), scratch, self.length, began, name)
            searcher = Searcher(teaching, where.gather(), *asked)
            made, found = searcher.run()
            if made is None:
                return _none(searcher, found, where)
            folder = folder or claim_free(held, f"{run.manifest.name}-{made.run.manifest.name}")
            new = _saved(made, folder, searcher)
        tell("bytes and latency are those of ONNX files, each by its fastest engine here: convlens export writes them")
        with whole_already(run, [new.run]):
            searcher.record.forget()
            draw_front(where.plot, on_front(found.rows), "ms")
            result = judged_as_files(run, new, where.answers([run, new.run]), plot=None, progress=teaching.progress)
        return replace(result, plot=where.plot, search=found)


def _none(searcher: Searcher, found: Search, where: Where) -> ShrinkResult:
    """Nothing keeps within the limits: the run stands alone."""
    draw_front(where.plot, on_front(found.rows), "ms")
    run, size = searcher.teaching.run, searcher.own.shipped.size_bytes
    alone = side_by_side([run], where.answers([run]), latency=False)
    searcher.record.forget()
    return ShrinkResult(alone.rows[0], size, (), alone.num_pictures, where.plot, found)


def space_of(run: Run, choices: Choices, bits: Bits) -> Space:
    """All that this network can have, or of it what was asked for. UsageError where that cannot be had."""
    widths = _had(run, "width", choices.widths, _widths(run))
    resolutions = _had(run, "resolution", choices.resolutions, _sides(run))
    fresh = frozenset(side for side in resolutions if not weights_fit(run, side))
    prunes = tuple(sorted(choices.prunes)) or PRUNED
    try:
        prune(run.model, run.input_shape, prunes[0], **choices.pruning)
    except NetworkError:
        if choices.prunes:
            raise
        prunes = ()
    return Space(widths, resolutions, prunes, (INT8,) if bits.quantise else (FLOAT, INT8), fresh)


def _had(run: Run, name: str, asked: Sequence[Any], known: Sequence[Any]) -> tuple[Any, ...]:
    """The mildest first."""
    found = []
    for value in sorted(asked or known, reverse=True):
        try:
            check_way(run, Way(**{name: value}))
            found.append(value)
        except ConvlensError:
            if asked:
                raise
    return tuple(found)


def _widths(run: Run) -> Sequence[float]:
    architecture = run.manifest.architecture
    return WIDTHS if "name" in architecture and "width" in room.entry(architecture["name"]).options else ()


def _sides(run: Run) -> Sequence[int]:
    """Whole steps of 32 pixels, of small pictures 4."""
    longest = max(run.preprocess.size)
    step = 32 if longest >= 128 else 4
    return sorted({step * round(share * longest / step) for share in SIDES} - {0, longest}, reverse=True)


def _measured_before(recipe: Recipe, run: Run, device: str) -> Recipe:
    """All candidates run their steps as the run did: nothing is timed anew, and the same seed gives the same."""
    if recipe.precision != "auto" or device != "cpu":
        return recipe
    plan = run.manifest.plan or {"precision": "fp32", "threads": usable_cpus()}
    fast = plan["precision"] if plan["precision"] == "fp32" or has_fast_bf16() else "fp32"
    return replace(recipe, precision=fast, threads=recipe.threads or min(plan["threads"], usable_cpus()))


def _saved(made: Made, folder: RunFolder, searcher: Searcher) -> FewerBits:
    """The winner, in its folder, beside what the run's own engine takes."""
    run, own = searcher.teaching.run, searcher.own.shipped
    sizes, times = (own.size_bytes, made.shipped.size_bytes), _in_turn(own, made.shipped)
    if made.rounding is None:
        return FewerBits(_moved(made.run, folder), sizes, times, stayed=made.stayed)
    learner = BitLearner(made.run, searcher.gathered, searcher.teaching.recipe.seed, None, silent)
    new = learner.save(folder, made.rounding, origin=run)
    return FewerBits(new, sizes, times, made.shipped.model.onnx, made.shipped.settings, made.stayed)


def _in_turn(before: Shipped, after: Shipped) -> Any:
    with opened([before, after]) as engines:
        return steady_latencies(engines)


def _moved(run: Run, folder: RunFolder) -> Run:
    """All that the training wrote, the manifest last."""
    for path in (run.folder.splits, run.folder.looks, run.folder.history, run.folder.best):
        if path.exists():
            target = folder.path / path.relative_to(run.path)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = replace(run.manifest, name=folder.path.resolve().name, created=created)
    made = save_run(folder, manifest, run.model.state_dict())
    made = made if run.given_model is None else replace(made, given_model=run.given_model)
    write_report(made)
    return made
