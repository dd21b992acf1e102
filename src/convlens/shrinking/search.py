"""The smallest network within limits: which candidates to build, by Optuna (Akiba et al., 2019).

https://arxiv.org/abs/1907.10902; its sampler, TPE (Bergstra et al., 2011), learns from each candidate that was judged
where better ones lie, those beyond a limit ranked by how far. How a candidate is built and judged is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from convlens.errors import UsageError, check_count, check_number
from convlens.exporting import load

FLOAT, INT8 = "float32", "int8"
STARTING = 5  # candidates that are drawn at random, beside the first guesses
ASKED = 4  # times as often as there are trials; what was judged already comes again when little else is left
SMALL = 1e-3  # of an accuracy: excesses are measured in it where no loss at all is allowed


@dataclass(frozen=True)
class Candidate:
    """One way to make a network smaller; None leaves as it is."""

    width: float | None = None
    resolution: int | None = None
    prune: float | None = None
    precision: str = FLOAT

    @property
    def untouched(self) -> bool:
        return self.width is None and self.resolution is None and self.prune is None


@dataclass(frozen=True)
class Space:
    """What there is to choose from, the mildest first, beside leaving it as it is.

    Another width begins with a new network, and so does a resolution that is `fresh`: nothing of it can be pruned.
    """

    widths: tuple[float, ...] = ()
    resolutions: tuple[int, ...] = ()
    prunes: tuple[float, ...] = ()
    precisions: tuple[str, ...] = (FLOAT, INT8)
    fresh: frozenset[int] = frozenset()

    @property
    def size(self) -> int:
        """How many candidates there are."""
        kept = sum(side not in self.fresh for side in self.resolutions)
        new = len(self.resolutions) - kept + len(self.widths) * (1 + len(self.resolutions))
        return len(self.precisions) * ((1 + kept) * (1 + len(self.prunes)) + new)

    def chosen(self, trial: Any) -> Candidate:
        """As Optuna suggests: places in the lists, whose order tells it what is near."""
        width = _one(trial, "width", self.widths)
        resolution = _one(trial, "resolution", self.resolutions)
        prunes = () if width is not None or resolution in self.fresh else self.prunes
        precision = trial.suggest_categorical("precision", self.precisions)
        return Candidate(width, resolution, _one(trial, "prune", prunes), precision)


@dataclass(frozen=True)
class Figures:
    """`accuracy_loss` (0 to 1) is that from before to after, below 0 where it became better."""

    latency_ms: float
    accuracy_loss: float
    size_bytes: int


@dataclass(frozen=True)
class Limits:
    """None is no limit."""

    latency_ms: float | None = None
    accuracy_loss: float | None = None
    size_bytes: int | None = None

    def check(self) -> None:
        """UsageError for what nothing could keep within."""
        if self.latency_ms is not None:
            check_number("--latency-ms", self.latency_ms, 0, above=True)
        if self.accuracy_loss is not None:
            check_number("--max-accuracy-loss", self.accuracy_loss, 0, 1)
        if self.size_bytes is not None:
            check_count("--max-bytes", self.size_bytes)
        if self == Limits():
            raise UsageError("a search without a limit came; give --latency-ms, --max-accuracy-loss or --max-bytes")

    def excess(self, found: Figures) -> dict[str, float]:
        """By how much each limit is missed, as a share of it; 0 or less keeps within."""
        excess = {}
        if self.latency_ms is not None:
            excess["latency"] = found.latency_ms / self.latency_ms - 1
        if self.accuracy_loss is not None:
            beyond = found.accuracy_loss - self.accuracy_loss
            excess["accuracy"] = 0.0 if abs(beyond) < 1e-9 else beyond / max(self.accuracy_loss, SMALL)
        if self.size_bytes is not None:
            excess["bytes"] = found.size_bytes / self.size_bytes - 1
        return excess

    def kept_by(self, found: Figures) -> bool:
        return all(share <= 0 for share in self.excess(found).values())

    def rank(self, found: Figures) -> tuple[float, float]:
        """The best first: what keeps within, by `worth`; then the nearest, by the sum of its excesses."""
        return sum(max(0.0, share) for share in self.excess(found).values()), self.worth(found)

    def worth(self, found: Figures) -> float:
        """What is made small: the bytes, or the loss of accuracy where no limit is set to it."""
        return float(found.size_bytes) if self.accuracy_loss is not None else found.accuracy_loss


def check_search() -> Any:
    """Optuna; MissingExtra where it is not installed."""
    return load("optuna", "a search under a budget")


def search(
    space: Space,
    limits: Limits,
    judge: Callable[[Candidate], Figures | None],
    *,
    trials: int,
    seed: int,
    goes_on: Callable[[], bool] = lambda: True,
) -> int:
    """Has up to `trials` candidates judged while it `goes_on`, the first whatever it says -> how many there were.

    `judge` gives None for one that cannot be built. No candidate is judged twice. The same seed asks for the same
    candidates as long as the same figures come.
    """
    optuna = check_search()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTING)
        study = optuna.create_study(direction="minimize", sampler=sampler)
        for guess in _first_guesses(space):
            study.enqueue_trial(guess)
        return _judged(study, optuna.trial.TrialState.FAIL, space, limits, judge, min(trials, space.size), goes_on)
    finally:
        optuna.logging.set_verbosity(before)


def _judged(
    study: Any,
    failed: Any,
    space: Space,
    limits: Limits,
    judge: Callable[[Candidate], Figures | None],
    trials: int,
    goes_on: Callable[[], bool],
) -> int:
    known: dict[Candidate, Figures | None] = {}
    for _ in range(ASKED * trials):
        trial = study.ask()
        candidate = space.chosen(trial)
        if candidate not in known:
            if len(known) == trials or (known and not goes_on()):
                break
            known[candidate] = judge(candidate)
        found = known[candidate]
        if found is None:
            study.tell(trial, state=failed)
            continue
        for name, share in limits.excess(found).items():
            trial.set_constraint(name, share)
        study.tell(trial, limits.worth(found))
    return len(known)


def _first_guesses(space: Space) -> Iterator[dict[str, Any]]:
    """8 bits alone cost no training; then a little less of everything that keeps the weights."""
    precision = space.precisions[-1]
    yield {"width": 0, "resolution": 0, "prune": 0, "precision": precision}
    few = -(-len(space.prunes) // 3)
    yield {"width": 0, "resolution": 0, "prune": few, "precision": precision}
    if space.resolutions and space.resolutions[0] not in space.fresh:
        yield {"width": 0, "resolution": 1, "prune": few, "precision": precision}


def _one(trial: Any, name: str, values: tuple[Any, ...]) -> Any:
    place = trial.suggest_int(name, 0, len(values)) if values else 0
    return values[place - 1] if place else None
