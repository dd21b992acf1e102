"""A smaller network learns from the run that it was made of, on the run's own pictures, and becomes a run."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from convlens import training
from convlens.reports import write_report
from convlens.runs import Run
from convlens.workbench.claim import claim, claim_free
from convlens.workbench.gather import Gathered
from convlens.workbench.learn import Manner, learn
from convlens.workbench.own_network import load_network
from convlens.workbench.own_pictures import drawn_for
from convlens.workbench.results import Progress, Tell
from convlens.workbench.smaller import Smaller, Way

SHORT = 0.25  # of the epochs that a new network is trained for, where trained weights learn on


@dataclass(frozen=True)
class Teaching:
    """How all smaller networks of a run learn."""

    run: Run
    recipe: training.Recipe
    device: str
    teacher: Run | None
    own_network: str | None
    progress: Progress | None
    tell: Tell
    reports: bool = True

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
        if self.reports:
            write_report(new)
        return new

    def epochs(self, num_pictures: int, keeps: bool) -> int:
        """Those asked for, else a training's own, of which trained weights take a quarter."""
        if self.recipe.epochs is not None:
            return self.recipe.epochs
        return max(1, round((SHORT if keeps else 1.0) * training.default_epochs(num_pictures)))

    def _of_a_length(self, num_pictures: int, keeps: bool) -> training.Recipe:
        if not keeps or self.recipe.budget_s is not None:
            return self.recipe
        return replace(self.recipe, epochs=self.epochs(num_pictures, keeps))
