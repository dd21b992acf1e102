"""From gathered pictures and a network to a run: what `train` and `shrink` have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convlens import training
from convlens.data import Augment
from convlens.errors import counted
from convlens.pictures import Preprocess
from convlens.runs import Run, RunFolder
from convlens.workbench.design import Design
from convlens.workbench.gather import Gathered
from convlens.workbench.results import Progress, Tell
from convlens.workbench.task import prepare
from convlens.workbench.teacher import open_teacher

PROBING, LONGEST_PROBING_S = 0.05, 10.0  # share of a budget, and seconds without one, to time ways to run a step


@dataclass(frozen=True)
class Manner:
    """Where, since when (`time.monotonic`) and from whom; `goes_on`: the weights are a run's, all of which learn on."""

    device: str
    keep_pictures: bool
    started: float
    teacher: Run | None = None
    goes_on: bool = False
    watch: training.Watch | None = None


def learn(
    folder: RunFolder,
    gathered: Gathered,
    made: Design,
    recipe: training.Recipe,
    preprocess: Preprocess,
    drawn: Augment,
    manner: Manner,
    *,
    progress: Progress | None,
    tell: Tell,
) -> Run:
    """Decode, plan, train, save; `gathered` has been written into the folder."""
    classes = list(gathered.images.classes)
    teacher, recorded = None, None
    if manner.teacher is not None:
        teacher, recorded = open_teacher(manner.teacher, classes)
    lessons = prepare(gathered, preprocess, drawn, recipe, progress=progress, tell=tell)
    probing = PROBING * recipe.budget_s if recipe.budget_s else LONGEST_PROBING_S
    setting = training.Setting(
        len(classes), made.pretrained, made.classifier, manner.device, probing, goes_on=manner.goes_on
    )
    plan = training.make_plan(made.network, lambda batch: lessons.batches(batch, recipe.seed), recipe, setting, tell)
    plan = replace(plan, augment=drawn.to_dict(), candidates=made.measured, teacher=recorded)
    tell(describe(plan, made, recipe))
    facts = {"name": folder.path.resolve().name, "keep_pictures": manner.keep_pictures}
    facts |= {"data": gathered.facts(), "classes": classes}
    facts |= {**made.facts(), "preprocess": preprocess.to_dict()}
    task = lessons.task(recipe, plan.batch, facts, teacher)
    begun, watch = manner.started, manner.watch
    return training.fit(made.network, task, recipe, plan, folder, started=begun, progress=progress, watch=watch)


def describe(plan: training.Plan, made: Design, recipe: training.Recipe) -> str:
    """The one line that says what was chosen."""
    height, width = made.preprocess.size
    length = f"a budget of {recipe.budget_s:g} s" if recipe.budget_s else counted(plan.epochs, "epoch")
    how = "measured on this machine" if plan.measured else "not measured"
    named = f"recipe {recipe.name}: " if recipe.name else ""
    begins = (
        "" if recipe.progressive == 1 else "{}×{} to ".format(*training.size_at((height, width), recipe.progressive, 0))
    )
    options = "".join(f" {key} {value}" for key, value in made.architecture.get("options", {}).items())
    return (
        f"{named}{made.label}{options} at {begins}{height}×{width} px ({made.preprocess.fit}), {length}, "
        f"batch {plan.batch}, {recipe.optimiser} {plan.learning_rate:.2g} {recipe.schedule}; {how}: {plan.precision}, "
        f"{plan.layout}, {plan.threads} thread{'s' if plan.threads > 1 else ''}"
    )
