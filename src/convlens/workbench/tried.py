"""What a search tried, in figures and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from convlens.errors import counted
from convlens.measurement import Latency
from convlens.shrinking.search import INT8, Candidate, Figures, Limits
from convlens.workbench.compare import Compared
from convlens.workbench.smaller import Way

FINALISTS = 3  # that are taught for longer, at most
HOPE = 0.02  # of accuracy, that learning for longer may bring


@dataclass(frozen=True)
class Tried:
    """A candidate: of `resolution` and `prune` None is as in the run; `figures` are on the validation part.

    `latency` is of one picture by its `engine`, the fastest here, and so is the accuracy of an 8-bit one. `misses`
    says by how much it misses which limit; `seconds` is what teaching and judging it took.
    """

    figures: Compared
    candidate: Candidate
    engine: str
    latency: Latency
    size_bytes: int
    accuracy_loss: float
    misses: tuple[str, ...]
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.figures.name

    @property
    def judged(self) -> Figures:
        return Figures(self.latency.p50_ms, self.accuracy_loss, self.size_bytes)

    @property
    def words(self) -> str:
        met = " and ".join(self.misses) or "within the limits"
        return (
            f"{self.latency.p50_ms:.3g} ms ± {self.latency.doubt:.0%} ({self.engine}), {self.size_bytes:,} bytes, "
            f"{self.figures.accuracy:.2%} ({100 * (0 - self.accuracy_loss):+.2f} points), {met}"
        )


@dataclass(frozen=True)
class Search:
    """`verdict` says in one line what came of it; `winner` is None where nothing keeps within the limits.

    `before` is the run itself, `finalists` are what was taught for longer, `num_pictures` those of the validation part
    that judged, `epochs` those of a candidate that keeps the run's weights.
    """

    verdict: str
    limits: Limits
    before: Tried
    trials: tuple[Tried, ...]
    finalists: tuple[Tried, ...]
    winner: Tried | None
    num_pictures: int
    epochs: int
    seconds: float

    @property
    def rows(self) -> list[Compared]:
        """All that was tried, for a drawing."""
        return [one.figures for one in (self.before, *self.trials, *self.finalists)]


def name_of(candidate: Candidate) -> str:
    """ "160px-pruned0.3, int8"."""
    way = Way(candidate.width, candidate.resolution, candidate.prune).label
    return f"{way or 'as it is'}, {candidate.precision}"


def is_the_run(candidate: Candidate) -> bool:
    return candidate.untouched and candidate.precision != INT8


def chosen(found: Sequence[Tried], limits: Limits) -> list[Tried]:
    """Whom to teach for longer, in this order: what may come within the limits by it and is smaller, then the surest.

    Where nothing keeps within them, the nearest whose bytes do: learning saves none.
    """
    order = sorted((one for one in found if not is_the_run(one.candidate)), key=lambda one: limits.rank(one.judged))
    if not order or order[0].misses:
        return [one for one in order if limits.excess(one.judged).get("bytes", 0) <= 0][:FINALISTS]
    best = limits.worth(order[0].judged)
    hopeful = [one for one in order if one.misses and limits.worth(one.judged) < best and _is_near(one, limits)]
    return sorted(hopeful[: FINALISTS - 1], key=lambda one: limits.worth(one.judged)) + order[:1]


def _is_near(one: Tried, limits: Limits) -> bool:
    """It misses the accuracy alone, and not by much."""
    others = replace(limits, accuracy_loss=None)
    return others.kept_by(one.judged) and one.accuracy_loss <= (limits.accuracy_loss or 0) + HOPE


def limits_in_words(limits: Limits) -> str:
    words = [] if limits.latency_ms is None else [f"{limits.latency_ms:g} ms"]
    words += [] if limits.accuracy_loss is None else [f"a loss of {100 * limits.accuracy_loss:g} points"]
    words += [] if limits.size_bytes is None else [f"{limits.size_bytes:,} bytes"]
    return " and ".join(words)


def misses_of(limits: Limits, found: Figures) -> tuple[str, ...]:
    beyond, words = limits.excess(found), []
    if beyond.get("latency", 0) > 0:
        words.append(f"{found.latency_ms - (limits.latency_ms or 0):.3g} ms too slow")
    if beyond.get("accuracy", 0) > 0:
        words.append(f"{100 * (found.accuracy_loss - (limits.accuracy_loss or 0)):.2f} points too inaccurate")
    if beyond.get("bytes", 0) > 0:
        words.append(f"{found.size_bytes - (limits.size_bytes or 0):,} bytes too large")
    return tuple(words)


def verdict_of(
    limits: Limits, before: Tried, trials: Sequence[Tried], finalists: Sequence[Tried], winner: Tried | None
) -> str:
    asked, tried = limits_in_words(limits), counted(len(trials), "candidate")
    if winner is not None:
        doubt = "" if limits.latency_ms is None else _doubt(winner.latency, limits.latency_ms)
        return f"{winner.name} keeps within {asked}{doubt}: {winner.words}; the best of {tried}"
    itself = "" if before.misses else "; the run as it is does"
    known = [one for one in (*finalists, *trials) if not is_the_run(one.candidate)]
    if not known:
        return f"nothing could be tried that keeps within {asked}{itself}"
    nearest = min(known, key=lambda one: limits.rank(one.judged))
    missed = " and ".join(nearest.misses) or "within them after a short while, and not when it had learnt for longer"
    return f"nothing keeps within {asked}{itself}: the nearest of {tried}, {nearest.name}, is {missed}"


def _doubt(latency: Latency, limit_ms: float) -> str:
    close = abs(latency.p50_ms / limit_ms - 1) <= latency.doubt
    return " (its latency and the limit cannot be told apart)" if close else ""
