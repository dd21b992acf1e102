"""Which candidates a search asks for, and what it takes for the best."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from convlens.errors import MissingExtra, UsageError
from convlens.shrinking.search import FLOAT, INT8, Candidate, Figures, Limits, Space, search

pytest.importorskip("optuna")
SPACE = Space((0.5, 0.25), (160, 128), (0.2, 0.4, 0.6), fresh=frozenset({128}))


def figures_of(candidate: Candidate) -> Figures:
    """As if half of the channels were a quarter of the bytes, and all that goes cost accuracy."""
    left = (1 - (candidate.prune or 0)) ** 2 * (candidate.width or 1) ** 2
    side = (candidate.resolution or 224) / 224
    bits = 0.25 if candidate.precision == INT8 else 1.0
    loss = 0.05 * (candidate.prune or 0) + 0.1 * (1 - side) + 0.2 * (1 - (candidate.width or 1))
    return Figures(10 * left * side**2 * (0.5 + bits / 2), loss, round(1e6 * left * bits))


def asked(limits: Limits, *, trials: int = 12, seed: int = 0, **options: Callable[[], bool]) -> list[Candidate]:
    found: list[Candidate] = []

    def judge(candidate: Candidate) -> Figures:
        found.append(candidate)
        return figures_of(candidate)

    assert search(SPACE, limits, judge, trials=trials, seed=seed, **options) == len(found)
    return found


def test_no_candidate_is_judged_twice_and_all_of_them_are_what_the_space_has():
    found = asked(Limits(accuracy_loss=0.03), trials=100)
    assert len(set(found)) == len(found) <= SPACE.size == 30
    assert len(found) > 14
    for one in found:
        assert one.prune is None or (one.width is None and one.resolution != 128)


def test_the_same_seed_asks_for_the_same_candidates_and_another_for_others():
    limits = Limits(latency_ms=3, accuracy_loss=0.05)
    assert asked(limits) == asked(limits)
    assert asked(limits) != asked(limits, seed=1)


def test_eight_bits_alone_come_first_and_trials_are_bounded():
    found = asked(Limits(latency_ms=3), trials=3)
    assert found == [Candidate(precision=INT8), Candidate(prune=0.2, precision=INT8), Candidate(None, 160, 0.2, INT8)]


def test_it_ends_when_the_time_does_but_for_the_first():
    assert len(asked(Limits(latency_ms=3), goes_on=lambda: False)) == 1


def test_what_cannot_be_built_is_passed_over():
    seen: list[Candidate] = []

    def judge(candidate: Candidate) -> Figures | None:
        seen.append(candidate)
        return None if candidate.prune else figures_of(candidate)

    assert search(SPACE, Limits(accuracy_loss=0.03), judge, trials=8, seed=0) == len(seen) == 8


def test_the_smallest_within_the_limits_is_first_and_then_the_nearest():
    limits = Limits(latency_ms=5, accuracy_loss=0.02)
    small, large = Figures(4, 0.01, 100), Figures(4, 0.0, 200)
    slow, far = Figures(5.5, 0.01, 10), Figures(9, 0.05, 1)
    assert sorted([far, slow, large, small], key=limits.rank) == [small, large, slow, far]
    assert limits.kept_by(small) and not limits.kept_by(slow)


def test_without_a_limit_to_the_loss_the_most_accurate_is_the_best():
    limits = Limits(latency_ms=5)
    assert limits.rank(Figures(4, 0.01, 200)) < limits.rank(Figures(1, 0.02, 100))


def test_a_loss_that_is_just_what_is_allowed_is_within():
    assert Limits(accuracy_loss=0.01).kept_by(Figures(1, 0.91 - 0.90, 1))


def test_a_space_of_one_precision_has_no_other():
    space = Space(prunes=(0.5,), precisions=(INT8,))
    found: list[Candidate] = []
    search(space, Limits(size_bytes=1), lambda one: found.append(one) or figures_of(one), trials=9, seed=0)  # type: ignore[func-returns-value]
    assert {one.precision for one in found} == {INT8} and len(found) <= space.size == 2
    assert FLOAT not in {one.precision for one in found}


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(latency_ms=0.0), "--latency-ms is 0"),
        (Limits(accuracy_loss=1.5), "--max-accuracy-loss is 1.5"),
        (Limits(size_bytes=0), "--max-bytes is 0"),
        (Limits(), "without a limit"),
    ],
)
def test_limits_that_mean_nothing_are_refused(limits: Limits, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        limits.check()


def test_without_optuna_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"needs optuna, .*convlens\[shrink\]"):
        search(SPACE, Limits(latency_ms=1), figures_of, trials=1, seed=0)
