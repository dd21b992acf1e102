"""`convlens compare`: runs and networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convlens.data import usable_cpus
from convlens.errors import UsageError
from convlens.layers.fake_quantised import unrounded
from convlens.measurement import Latency, Paired, compare_predictions, measure_network, time_in_turn, told_apart
from convlens.reports import ParetoPoint, pareto_plot
from convlens.runs import Run
from convlens.storage import write_text
from convlens.workbench.contenders import Contender, of_network, of_pattern, of_run
from convlens.workbench.drawing_file import drawing_file
from convlens.workbench.evaluate import check_part
from convlens.workbench.own_network import open_runs
from convlens.workbench.process import process_kept
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.same_pictures import Answers, answers_of
from convlens.workbench.typed import typed


@dataclass(frozen=True)
class Compared:
    """One run or network. `accuracy` (0 to 1) is on `judged_on`, as its `source` says: measured here or published.

    `macs` are of one picture, "at least" where not `complete`, for an operator is unknown; `weight_bytes` are those of
    parameters and buffers, `file_bytes` those of a run's stored weights, which may be packed; `latency`, None unless
    asked for, is of one picture at a time. `on_front`: nothing that was judged on the same is as accurate and cheaper,
    or as cheap and more accurate (Pareto); latencies that cannot be told apart are as cheap.
    """

    name: str
    width: float
    image_size: tuple[int, int]
    parameters: int
    macs: int
    weight_bytes: int
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    judged_on: str | None
    source: str | None
    latency: Latency | None = None
    on_front: bool = False
    complete: bool = True
    file_bytes: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two runs and their answers to the same pictures."""

    first: str
    second: str
    answers: Paired


@dataclass(frozen=True)
class CompareResult:
    """`same_speed` are the names of two whose latencies cannot be told apart; `cost` is "MACs", or "ms" where timed."""

    rows: tuple[Compared, ...]
    pairs: tuple[Pair, ...]
    same_speed: tuple[tuple[str, str], ...]
    num_pictures: int
    cost: str
    plot: Path | None


@typed
@process_kept()
def compare(
    targets: Sequence[Run | str | Path] = (),
    *,
    data: str | Path | None = None,
    zoo: str | None = None,
    latency: bool = False,
    part: str = "test",
    plot: str | Path | None = None,
    data_dir: str | Path | None = None,
    network: str | Sequence[str] | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> CompareResult:
    """Runs, networks of the zoo by name, and all networks that match `zoo`, at every published width and resolution.

    Runs are scored on the pictures that none of them was trained on: those of `data`, by default the test part of the
    first run's own. Networks have their published accuracy, where there is one. `latency` times all of them in turn on
    this machine. `plot` is where an SVG goes: accuracy against MACs, or against latency where it is timed. `network`
    (file.py:Class) goes with runs of your own network, several with runs that were trained as each of them. UsageError
    for fewer than two, for runs of other classes and for pictures without runs; DataError where no picture is new to
    all runs.
    """
    check_part(part)
    drawn = drawing_file("--plot", plot)
    runs = open_runs([target for target in targets if isinstance(target, Run) or Path(target).is_dir()], network)
    wanted = [str(target) for target in targets if not isinstance(target, Run) and not Path(target).is_dir()]
    networks = [of_network(name, real=latency) for name in wanted]
    networks += of_pattern(zoo, real=latency) if zoo is not None else []
    if (number := len(runs) + len(networks)) < 2:
        raise UsageError(f"{number} came to be compared; give two or more runs or networks, or --zoo")
    _check_used(runs, {"--data": data, "--data-dir": data_dir, "--part": None if part == "test" else part})
    asked: dict[str, Any] = {"data_dir": data_dir, "part": part, "progress": progress, "tell": tell}
    answers = answers_of(runs, data, **asked) if runs else None
    return side_by_side(runs, answers, networks, latency=latency, plot=drawn, progress=progress)


def side_by_side(
    runs: Sequence[Run],
    answers: Answers | None,
    networks: Sequence[Contender] = (),
    *,
    latency: bool,
    plot: Path | None = None,
    progress: Progress | None = None,
) -> CompareResult:
    """Runs, of which `answers` are those to the same pictures, and networks."""
    names = names_of(runs)
    judged = [] if answers is None else _judged(runs, names, answers)
    contenders = [*judged, *networks]
    times: list[Latency | None] = [None] * len(contenders)
    if latency:
        times = [*_times(contenders, progress)]
    rows = on_front([row_of(*one) for one in zip(contenders, times, strict=True)])
    cost = "ms" if latency else "MACs"
    draw_front(plot, rows, cost)
    pairs = () if answers is None else _pairs(names, answers)
    return CompareResult(tuple(rows), pairs, _same_speed(rows), len(answers.labels) if answers else 0, cost, plot)


def draw_front(plot: Path | None, rows: Sequence[Compared], cost: str) -> None:
    """Accuracy against MACs or ms, where a drawing is wanted."""
    if plot is not None:
        write_text(plot, pareto_plot([_point(row) for row in rows], cost), option="--plot")


def _check_used(runs: Sequence[Run], of_pictures: dict[str, Any]) -> None:
    """UsageError for what is given and would change nothing."""
    given = [name for name, value in of_pictures.items() if value is not None]
    if given and not runs:
        raise UsageError(
            f"{', '.join(given)} came without a run; networks have their published accuracy: add a run's folder, or "
            "leave it out"
        )


def _judged(runs: Sequence[Run], names: Sequence[str], answers: Answers) -> list[Contender]:
    return [of_run(*one, answers.data) for one in zip(runs, names, answers.scores, strict=True)]


def row_of(contender: Contender, latency: Latency | None) -> Compared:
    found = measure_network(unrounded(contender.network), contender.input_shape)
    height, width = contender.input_shape[2:]
    return Compared(
        contender.name,
        contender.width,
        (height, width),
        found.parameters,
        found.macs,
        found.weight_bytes,
        contender.accuracy,
        contender.low,
        contender.high,
        contender.judged_on,
        contender.source,
        latency,
        complete=found.complete,
        file_bytes=contender.file_bytes,
    )


def _times(contenders: Sequence[Contender], progress: Progress | None) -> tuple[Latency, ...]:
    torch.set_num_threads(usable_cpus())
    drawn = torch.Generator().manual_seed(0)
    calls = [partial(_answer, one.network, torch.rand(one.input_shape, generator=drawn)) for one in contenders]
    if progress:
        progress("time", 0, 1, f"{len(calls)} in turn")
    times = time_in_turn(calls)
    if progress:
        progress("time", 1, 1, "")
    return times


@torch.inference_mode()
def _answer(network: nn.Module, picture: torch.Tensor) -> None:
    network(picture)


def _cost(row: Compared) -> float:
    return row.macs if row.latency is None else row.latency.p50_ms


def on_front(rows: Sequence[Compared]) -> list[Compared]:
    """Marks those that no other one beats on the same pictures; without an accuracy there is nothing to say."""

    def beaten(row: Compared) -> bool:
        rivals = [other for other in rows if other.judged_on == row.judged_on and _has_place(other)]
        return any(_beats(other, row) for other in rivals)

    return [replace(row, on_front=_has_place(row) and not beaten(row)) for row in rows]


def _beats(one: Compared, other: Compared) -> bool:
    more = (one.accuracy or 0.0) - (other.accuracy or 0.0)
    return _cheaper(one, other) if more == 0 else more > 0 and not _cheaper(other, one)


def _cheaper(one: Compared, other: Compared) -> bool:
    """For certain: what the noise of the timing explains is no difference."""
    if one.latency is not None and other.latency is not None and not told_apart(one.latency, other.latency):
        return False
    return _cost(one) < _cost(other)


def _has_place(row: Compared) -> bool:
    """Are both its accuracy and its cost known?"""
    return row.accuracy is not None and (row.complete or row.latency is not None)


def _point(row: Compared) -> ParetoPoint:
    interval = (row.accuracy_low, row.accuracy_high)
    noise = 0.0 if row.latency is None else row.latency.doubt
    return ParetoPoint(row.name, _cost(row), row.accuracy, *interval, row.on_front, row.judged_on or "", noise)


def names_of(runs: Sequence[Run]) -> list[str]:
    """Their own names, or their paths where two have the same."""
    names = [run.manifest.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _pairs(names: Sequence[str], answers: Answers) -> tuple[Pair, ...]:
    named = list(zip(names, answers.predicted, strict=True))
    return tuple(
        Pair(first, second, compare_predictions(one, two, answers.labels))
        for (first, one), (second, two) in combinations(named, 2)
    )


def _same_speed(rows: Sequence[Compared]) -> tuple[tuple[str, str], ...]:
    timed = [(row.name, row.latency) for row in rows if row.latency is not None]
    return tuple((a, b) for (a, one), (b, two) in combinations(timed, 2) if not told_apart(one, two))
