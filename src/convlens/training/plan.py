"""The plan: what a recipe became on this data and this machine. It is recorded, and resume replays it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import nn

from convlens.training.recipe import Recipe
from convlens.training.schedule import Segment, progress_at

GOING_ON = 0.5  # of the rate of a training from the beginning, for a run that learns on; see benchmarks/pruning.py
PICTURES_SEEN = 600_000  # of a training whose length was not asked for; 10 to 60 epochs


@dataclass(frozen=True)
class Setting:
    """What a plan depends on beside the recipe; `seconds` is how long ways to run a step may be timed.

    `classifier` is the path of the layer that is new in a network whose other weights are trained ones.
    """

    num_classes: int
    pretrained: bool = False
    classifier: str | None = None
    device: str = "cpu"
    seconds: float = 10.0
    goes_on: bool = False


@dataclass(frozen=True)
class Plan:
    batch: int
    steps_per_epoch: int
    learning_rate: float
    segments: tuple[Segment, ...]
    precision: str = "fp32"
    layout: str = "channels_first"
    threads: int = 1
    allocator: str = "system"
    device: str = "cpu"
    measured: tuple[dict[str, Any], ...] = ()
    augment: dict[str, Any] = field(default_factory=dict)  # what is drawn for each picture
    candidates: tuple[dict[str, Any], ...] = ()  # networks that were timed to choose one
    pretrained: bool = False  # then norms keep their statistics, and earlier layers learn slower
    classifier: str | None = None  # fitted to the features of the others before the first step
    goes_on: bool = False  # the weights are those of a run, all of which learn on
    teacher: dict[str, Any] | None = None  # the run whose answers are learnt beside the labels, and its weights' digest

    @property
    def total_steps(self) -> int:
        return self.segments[-1].total_steps

    @property
    def epochs(self) -> float:
        return self.total_steps / self.steps_per_epoch

    def replanned(self, step: int, total_steps: int) -> Plan:
        """The rest of the schedule ends at `total_steps` instead; at most one segment begins at a step."""
        now = Segment(step, progress_at(step, self.segments), max(step, total_steps))
        return replace(self, segments=(*(s for s in self.segments if s.step < step), now))

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values, "total_steps": self.total_steps, "epochs": round(self.epochs, 3)}

    @property
    def reached(self) -> float:
        """Share of the schedule at the last step: less than 1 where a budget's time was up before."""
        return progress_at(self.total_steps, self.segments)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        kept = {k: v for k, v in values.items() if k not in ("total_steps", "epochs")}
        segments = tuple(Segment(**segment) for segment in kept.pop("segments"))
        return cls(
            **{
                **kept,
                "segments": segments,
                "measured": tuple(kept["measured"]),
                "candidates": tuple(kept["candidates"]),
            }
        )


def first_plan(recipe: Recipe, num_pictures: int, network: nn.Module, setting: Setting, *, most: int = 1 << 20) -> Plan:
    """Batch (at most `most`), rate and length by stated rules; a budget's length is a guess until steps are timed."""
    batch = min(recipe.batch or min(default_batch(num_pictures), most), num_pictures)
    steps_per_epoch = max(1, num_pictures // batch)
    epochs = recipe.epochs or default_epochs(num_pictures)
    rate = recipe.learning_rate or default_rate(recipe.optimiser, network, batch, pretrained=setting.pretrained)
    if setting.goes_on and recipe.learning_rate is None:
        rate *= GOING_ON
    return Plan(
        batch,
        steps_per_epoch,
        rate,
        (Segment(0, 0.0, epochs * steps_per_epoch),),
        device=setting.device,
        pretrained=setting.pretrained,
        classifier=setting.classifier,
        goes_on=setting.goes_on,
    )


def default_batch(num_pictures: int) -> int:
    """A power of two that gives about 16 steps an epoch, within 16 and 128."""
    return max(16, min(128, 1 << max(0, (num_pictures // 16).bit_length() - 1)))


def default_epochs(num_pictures: int) -> int:
    return max(10, min(60, round(PICTURES_SEEN / num_pictures)))


def default_rate(optimiser: str, network: nn.Module, batch: int, *, pretrained: bool) -> float:
    """Peak rate; less for fine-tuning and for deep networks without normalisation, which diverge otherwise."""
    scale = (batch / 128) ** 0.5 if optimiser == "adamw" else batch / 256  # Malladi et al. 2022; Goyal et al. 2017
    peak = 6e-3 if optimiser == "adamw" else 0.1
    if pretrained:
        peak /= 4
    elif _deep_without_normalisation(network):
        peak /= 10
    return peak * scale


def _deep_without_normalisation(network: nn.Module) -> bool:
    modules = list(network.modules())
    normalised = any(isinstance(m, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm) for m in modules)
    depth = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in modules)
    return depth > 6 and not normalised
