"""`convlens shrink` under a budget: candidates are built, taught for a short while and judged; the best one for longer.

They are judged on the run's validation part, by the engine that is fastest on this machine and the file that it runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.data import decode_pixels
from convlens.engines import Engine
from convlens.errors import ConvlensError, DataError, Stopped, StorageError, counted
from convlens.measurement import score
from convlens.pictures import Preprocess
from convlens.runs import Run
from convlens.shrinking.search import INT8, Candidate, Figures, Limits, Space, search
from convlens.training.signals import StopRequest
from convlens.workbench.compare import row_of
from convlens.workbench.contenders import of_run
from convlens.workbench.export import bytes_beside
from convlens.workbench.fewer_bits import BitLearner, Bits
from convlens.workbench.gather import Gathered
from convlens.workbench.results import silent
from convlens.workbench.search_record import Record, about
from convlens.workbench.shipped import Shipped, opened, shipped_file, shipped_network, steady_latencies
from convlens.workbench.smaller import Way, design_smaller
from convlens.workbench.teach import Teaching
from convlens.workbench.tried import Search, Tried, chosen, is_the_run, misses_of, name_of, verdict_of

TAUGHT = 0.25  # of the winner's epochs, for each candidate
MOST_JUDGED = 2000  # validation pictures
COMPARED = 128  # of them, on which engines are chosen
CALIBRATED = 64  # training pictures, for a candidate in 8 bits
AT_ONCE = 32  # pictures that an engine answers
ANOTHER = "-99"  # what a name may have behind it where it is taken
Learnt = tuple[Run, tuple[str, ...]]  # and the operations whose channels stayed


@dataclass(frozen=True)
class Made:
    """A candidate that stands in a folder of its own, and what would be shipped of it; `rounding`: in 8 bits."""

    tried: Tried
    run: Run
    shipped: Shipped
    rounding: nn.Module | None = None
    stayed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Length:
    """At most so many `trials`, and none that would not end within `budget_s`."""

    trials: int
    budget_s: float


@dataclass
class Searcher:
    """`pruning` are options of `shrinking.prune`; `scratch` is a folder for what is only tried."""

    teaching: Teaching
    gathered: Gathered
    limits: Limits
    space: Space
    pruning: dict[str, Any]
    scratch: Path
    length: Length
    began: float  # time.monotonic
    new_name: str | None = None  # of the run to come; by default of the run and the candidate
    taught: dict[tuple[str, bool], Learnt] = field(default_factory=dict)
    found: list[Tried] = field(default_factory=list)
    pixels: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    longest_s: float = 0.0
    begun: int = 0

    def __post_init__(self) -> None:
        rows = np.asarray(self.gathered.splits.indices("val"))
        self.num_train = len(self.gathered.splits.indices("train"))
        if not len(rows):
            raise DataError(
                "a search judges on the validation part, and these pictures have none; give DATA that has one, or "
                "choose yourself with --prune, --width, --resolution or --quantise"
            )
        self.rows = rows[np.unique(np.linspace(0, len(rows) - 1, MOST_JUDGED).round().astype(int))]
        self.labels = self.gathered.images.labels[self.rows]
        self.record = Record(about(self.teaching, self.gathered, self.pruning), self.limits)

    def run(self) -> tuple[Made | None, Search]:
        """The candidate that keeps within the limits, if one does, and all that was tried."""
        with self._stoppable():
            self.own = self._as_it_is()
            self._tell_what_comes()
            asked = {"trials": self.length.trials, "seed": self.teaching.recipe.seed}
            search(self.space, self.limits, self.judge, goes_on=self._goes_on, **asked)
            made, finalists = self._finals()
        winner, before = None if made is None else made.tried, self.own.tried
        verdict = verdict_of(self.limits, before, self.found, finalists, winner)
        told = (before, tuple(self.found), tuple(finalists), winner, len(self.rows), self._epochs(True, short=True))
        return made, Search(verdict, self.limits, *told, round(time.monotonic() - self.began, 1))

    def judge(self, candidate: Candidate) -> Figures | None:
        """One trial, told in one line."""
        self._stop_if_asked()
        began, trials = time.monotonic(), self.length.trials
        self.begun += 1
        number = f"trial {self.begun} of {trials}"
        if self.teaching.progress:
            self.teaching.progress("search", self.begun - 1, trials, name_of(candidate))
        before = None if is_the_run(candidate) else self.record.before.get(candidate)
        try:
            tried = before or self._made(candidate, short=True).tried
        except (Stopped, StorageError):
            raise
        except ConvlensError as error:
            self.teaching.tell(f"{number}: {name_of(candidate)} cannot be had: {error}")
            return None
        took = "as it was judged before" if before else f"{time.monotonic() - began:.0f} s"
        tried = before or replace(tried, seconds=round(time.monotonic() - began, 1))
        self.longest_s = max(self.longest_s, tried.seconds)
        self.found.append(tried)
        self.record.keep(self.found)
        self.teaching.tell(f"{number}: {tried.name}: {tried.words}; {took}")
        return tried.judged

    def _tell_what_comes(self) -> None:
        before, short = self.own.tried, self._epochs(True, short=True)
        anew = self._epochs(False, short=True)
        more = "" if anew == short else f", {anew:,} where it begins anew"
        self.teaching.tell(
            f"as it is: {before.words}; each candidate is taught for {counted(short, 'epoch')}{more}, the winner for "
            f"{self._epochs(True, short=False):,}"
        )
        if known := len(self.record.before):
            self.teaching.tell(f"going on with {counted(known, 'trial')} of such a search, which did not end")

    def _finals(self) -> tuple[Made | None, list[Tried]]:
        """Those chosen are taught for longer, one after the other, until one keeps within the limits."""
        finalists: list[Tried] = []
        for one in chosen(self.found, self.limits):
            self._stop_if_asked()
            if finalists and not self._has_time():
                break
            made = self._made(one.candidate, short=False)
            finalists.append(replace(made.tried, figures=replace(made.tried.figures, name=f"{one.name}, final")))
            self.teaching.tell(f"final: {one.name}: {made.tried.words}")
            if not made.tried.misses:
                return made, finalists
        return None, finalists

    def _made(self, candidate: Candidate, *, short: bool) -> Made:
        """Built, taught and judged."""
        if is_the_run(candidate):
            return self.own
        run, stayed = (self.teaching.run, ()) if candidate.untouched else self._learnt(candidate, short=short)
        images = self._images(run.preprocess)
        if candidate.precision != INT8:
            shipped, rounding = shipped_network(run.model, images, run.temperature), None
        else:
            learner = BitLearner(run, self.gathered, self.teaching.recipe.seed, None, silent)
            learner = replace(learner, calibrated=CALIBRATED) if short else learner
            rounding = learner.quantised(Bits("int8"))
            shipped = shipped_file(learner.int8_file(rounding), images)
        name = self.new_name or f"{self.teaching.run.manifest.name}-{run.manifest.name}{ANOTHER}"
        named = replace(run, manifest=replace(run.manifest, name=name))
        shipped = replace(shipped, more_bytes=bytes_beside(named))
        return Made(self._judged(candidate, run, shipped), run, shipped, rounding, stayed)

    def _as_it_is(self) -> Made:
        run = self.teaching.run
        shipped = shipped_network(run.model, self._images(run.preprocess), run.temperature)
        shipped = replace(shipped, more_bytes=bytes_beside(run))
        return Made(self._judged(Candidate(), run, shipped), run, shipped)

    def _learnt(self, candidate: Candidate, *, short: bool) -> Learnt:
        """From the run; both precisions of a candidate share what was taught."""
        way = Way(candidate.width, candidate.resolution, candidate.prune, self.pruning)
        if (way.label, short) in self.taught:
            return self.taught[way.label, short]
        teaching = self.teaching
        smaller = design_smaller(teaching.run, way, teaching.recipe.seed, teaching.own_network)
        recipe = replace(teaching.recipe, epochs=self._epochs(smaller.keeps, short=short))
        place = self.scratch / ("tried" if short else "taught") / way.label
        learner = replace(teaching, recipe=recipe, tell=silent, reports=False)
        learnt = learner.learn(way, smaller, self.gathered, place), smaller.stayed
        self.taught[way.label, short] = learnt
        return learnt

    def _epochs(self, keeps: bool, *, short: bool) -> int:
        whole = self.teaching.epochs(self.num_train, keeps)
        return max(1, round(TAUGHT * whole)) if short else whole

    def _judged(self, candidate: Candidate, run: Run, shipped: Shipped) -> Tried:
        self._stop_if_asked()
        with opened([shipped]) as (engine,):
            (latency,) = steady_latencies([engine])
            scores = score(self._logits(engine, run.preprocess), self.labels, run.classes, temperature=run.temperature)
        loss = 0.0 if is_the_run(candidate) else (self.own.tried.figures.accuracy or 0.0) - scores.accuracy
        row = row_of(of_run(run, name_of(candidate), scores, "the validation part"), latency)
        figures = Figures(latency.p50_ms, loss, shipped.size_bytes)
        misses = misses_of(self.limits, figures)
        return Tried(row, candidate, str(shipped.settings), latency, shipped.size_bytes, loss, misses)

    def _logits(self, engine: Engine, preprocess: Preprocess) -> Tensor:
        parts = self._decoded(preprocess).split(AT_ONCE)
        return torch.cat([engine(preprocess.normalise(part)) for part in parts])

    def _images(self, preprocess: Preprocess) -> Tensor:
        return preprocess.normalise(self._decoded(preprocess)[:: max(1, len(self.rows) // COMPARED)][:COMPARED])

    def _decoded(self, preprocess: Preprocess) -> Tensor:
        if preprocess.size not in self.pixels:
            self.pixels[preprocess.size] = decode_pixels(self.gathered.images, self.rows, preprocess)
        return self.pixels[preprocess.size]

    def _goes_on(self) -> bool:
        """Or says why not."""
        if not self._has_time():
            left = max(0.0, self.length.budget_s - (time.monotonic() - self.began))
            self.teaching.tell(
                f"no other is tried: one took up to {self.longest_s:.0f} s, the winner about {1 / TAUGHT:g} times as "
                f"much, and {left:.0f} of {self.length.budget_s:.0f} s are left (--budget)"
            )
            return False
        return True

    def _has_time(self) -> bool:
        """For another trial as long as the longest, and for the winner after it."""
        spent = time.monotonic() - self.began
        return spent + self.longest_s * (1 + 1 / TAUGHT) < self.length.budget_s

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """What a training that was stopped says of going on holds for none of these: the search itself goes on."""
        with StopRequest() as self.asked_to_stop:
            try:
                yield
                self._stop_if_asked()
            except (Stopped, KeyboardInterrupt) as error:
                tried = f"the search was stopped after {len(self.found)} of {self.length.trials} trials"
                again = "the same command goes on with them" if self.record.kept else "begin again"
                status = error.exit_status if isinstance(error, Stopped) else 130
                raise Stopped(f"{tried}; no run was saved: {again}", status) from error

    def _stop_if_asked(self) -> None:
        if self.asked_to_stop.signal is not None:
            raise Stopped("stopped", self.asked_to_stop.exit_status)
