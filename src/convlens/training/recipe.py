"""The recipe: what was asked of a training, before anything is known of the data or the machine."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any

from convlens.data import usable_cpus
from convlens.errors import UsageError, unknown_name

OPTIMISERS = ("adamw", "sgd", "muon")
BESIDE_MUON = ("adamw", "sgd")
SCHEDULES = ("one_cycle", "cosine", "linear")
PRECISIONS = ("auto", "fp32", "bf16")
IN_PYTHON = (  # no options of the command line
    "momentum",
    "betas",
    "head_rate",
    "bias_rate",
    "on_sphere",
    "beside_muon",
    "l1_scales",
    "lookahead",
    "clip",
    "distil_weight",
    "distil_temperature",
    "freeze_stem",
)
POSITIVE = (
    "epochs",
    "budget_s",
    "batch",
    "learning_rate",
    "head_rate",
    "bias_rate",
    "threads",
    "checkpoint_seconds",
    "clip",
    "distil_temperature",
)


@dataclass(frozen=True)
class Recipe:
    """None means: resolved by the plan. Learning rates are peaks of the schedule. `betas` are AdamW's.

    `label_smoothing`: Szegedy et al. 2015. `l1`: weight of the sum of |w| over filters and matrices in the loss.
    `l1_scales`: of the sum of |scale| over batch norms (Liu et al. 2017), which tells channels that nobody needs.
    `head_rate` and `bias_rate`: rates of the classifier, and of norms and biases, as multiples of the others'.
    `on_sphere`: see `optimisers.Muon`. `momentum` is SGD's and Muon's. `beside_muon`: "adamw", at a tenth of the rate,
    or "sgd" moves what Muon does not: biases, norms and the classifier.
    `ema`: decay a step of the weights' running mean, which is then what is validated and saved.
    `clip`: the gradient of all weights together is made no longer than this (Pascanu et al. 2013, algorithm 1).
    `lookahead`: share of the way that slow weights go to the trained ones; see `optimisers.Lookahead`.
    `distil_weight`: share of the loss that a teacher's answers, softened by `distil_temperature`, have; see
    `distillation`.
    `freeze_stem`: share of the schedule after which the stem learns no more; see `freeze`.
    `progressive`: share of the pictures' side at which training begins; see `schedule.size_at`.
    `shuffle_labels`: on which to train for a sanity check of explanations (Adebayo et al. 2018, section 4).
    """

    epochs: int | None = None
    budget_s: float | None = None
    batch: int | None = None
    optimiser: str = "adamw"
    learning_rate: float | None = None
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    head_rate: float = 1.0
    bias_rate: float = 1.0
    on_sphere: bool = False
    beside_muon: str = "adamw"
    weight_decay: float = 0.05
    schedule: str = "one_cycle"
    label_smoothing: float = 0.1
    l1: float = 0.0
    l1_scales: float = 0.0
    ema: float | None = None
    lookahead: float | None = None
    clip: float | None = None
    distil_weight: float = 0.9
    distil_temperature: float = 4.0
    freeze_stem: float | None = None
    progressive: float = 1.0
    class_weights: bool = False
    shuffle_labels: bool = False
    augment: bool = True
    precision: str = "auto"
    threads: int | None = None
    checkpoint_seconds: float = 60.0
    seed: int = 0
    name: str | None = None  # of a published recipe

    def __post_init__(self) -> None:
        self._check_types()
        object.__setattr__(self, "betas", tuple(self.betas))  # a list in JSON
        _choice("optimiser", self.optimiser, OPTIMISERS)
        _choice("beside_muon", self.beside_muon, BESIDE_MUON)
        _choice("schedule", self.schedule, SCHEDULES)
        _choice("precision", self.precision, PRECISIONS)
        if self.epochs is not None and self.budget_s is not None:
            raise UsageError("--epochs and --budget were both given; a training has one end: give one of them")
        for name in POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{as_option(name)} came as {value}; expected a number above 0")
        for name in ("epochs", "batch", "threads", "seed"):
            value = getattr(self, name)
            if value is not None and value != int(value):
                raise UsageError(f"{as_option(name)} came as {value}; expected a whole number")
        for name in ("label_smoothing", "ema", "momentum"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UsageError(f"{as_option(name)} came as {value}; expected 0 or more and less than 1")
        if self.lookahead is not None and not 0 < self.lookahead <= 1:
            raise UsageError(f"lookahead came as {self.lookahead}; expected a share above 0, up to 1, like 0.8")
        if not 0 < self.distil_weight <= 1:
            raise UsageError(
                f"distil_weight came as {self.distil_weight}; expected a share of the loss above 0, up to 1"
            )
        if self.freeze_stem is not None and not 0 < self.freeze_stem <= 1:
            raise UsageError(
                f"freeze_stem came as {self.freeze_stem}; expected a share of the schedule above 0, up to 1"
            )
        if not 0 < self.progressive <= 1:
            raise UsageError(f"--progressive came as {self.progressive}; expected a share of the side above 0, up to 1")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(f"betas came as {self.betas}; expected two numbers of 0 or more and less than 1")
        for name in ("l1", "l1_scales", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{as_option(name)} came as {getattr(self, name)}; expected 0 or more")
        if not 0 <= self.seed < 1 << 63:
            raise UsageError(f"--seed came as {self.seed}; expected a number from 0 to 2**63 - 1")
        if self.threads is not None and self.threads > 16 * usable_cpus():
            raise UsageError(f"--threads came as {self.threads}; this process may use {usable_cpus()} processors")

    def _check_types(self) -> None:
        for field in fields(self):
            value, kind = getattr(self, field.name), str(field.type)
            optional = value is None and "None" in kind
            number = isinstance(value, Real) and not isinstance(value, bool)
            if kind.startswith(("int", "float")) and not (number or optional):
                raise UsageError(f"{field.name} came as {value!r:.80}; expected a number")
            if kind == "bool" and not isinstance(value, bool):
                raise UsageError(f"{field.name} came as {value!r:.80}; expected True or False")
        if not isinstance(self.betas, tuple | list) or not all(isinstance(beta, Real) for beta in self.betas):
            raise UsageError(f"betas came as {self.betas!r:.80}; expected two numbers of 0 or more and less than 1")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def recipe_from(options: dict[str, Any]) -> Recipe:
    """Options by name -> Recipe; an unknown one names the nearest."""
    known = [field.name for field in fields(Recipe)]
    for name in options:
        if name not in known:
            raise unknown_name("training option", name, known, f"the options are {', '.join(known)}")
    return Recipe(**options)


def as_option(field: str) -> str:
    """checkpoint_seconds -> --checkpoint-seconds; what Python alone takes keeps its name."""
    return field if field in IN_PYTHON else f"--{field.removesuffix('_s').replace('_', '-')}"


def _choice(kind: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise unknown_name(kind, value, choices, f"choose {' or '.join(choices)}")


def parse_duration(text: str | float) -> float:
    """ "90", "90s", "5m", "1h30m" -> seconds. Raises UsageError."""
    if isinstance(text, int | float):
        return float(text)
    found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip().lower())
    if not text.strip() or found is None:
        raise UsageError(f"a duration came as '{text}'; expected something like 90s, 5m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds
