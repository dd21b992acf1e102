"""What became of a run that was made smaller: both judged on pictures new to them, and timed in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convlens.data import usable_cpus
from convlens.engines import Model, Settings, open_with
from convlens.exporting import INT8
from convlens.measurement import Latency, Paired, compare_predictions, score, told_apart
from convlens.runs import Run
from convlens.training import Choice
from convlens.workbench.compare import Compared, CompareResult, draw_front, on_front, side_by_side
from convlens.workbench.evaluate import logits_on
from convlens.workbench.fewer_bits import FewerBits
from convlens.workbench.results import Progress
from convlens.workbench.running import Answering, Running
from convlens.workbench.same_pictures import Answers
from convlens.workbench.tried import Search


@dataclass(frozen=True)
class FileAnswers:
    """What an int8 file itself says to the same pictures; `answers` compares it with the run before.

    `agreement` is the share on which it gives the class that its own run gives.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    answers: Paired
    agreement: float


@dataclass(frozen=True)
class Shrunk:
    """One smaller run, which stands beside `ShrinkResult.before`. `verdict` says in one line what it was worth.

    `file_bytes` is the size of the weights' file, or of the ONNX file where the run is quantised; `answers` compares
    both on the same pictures (first: before). `file` is what the int8 file says, where there is one.
    `stayed` are operations whose channels had to stay, and why.
    """

    run: Path
    verdict: str
    figures: Compared
    file_bytes: int
    answers: Paired
    stayed: tuple[str, ...]
    file: FileAnswers | None = None


@dataclass(frozen=True)
class ShrinkResult:
    """`num_pictures` were new to every run, and judged them all.

    Latencies are of one picture at a time: by torch, by ONNX Runtime where the run is quantised, and after a `search`
    by the engine that is fastest here. Nothing is `shrunk` where nothing that was searched keeps within the limits.
    """

    before: Compared
    before_bytes: int
    shrunk: tuple[Shrunk, ...]
    num_pictures: int
    plot: Path | None
    search: Search | None = None


def judged(run: Run, runs: Sequence[Run], stayed: Sequence[tuple[str, ...]], found: CompareResult) -> ShrinkResult:
    before, *after = found.rows
    bytes_before = run.weights_file.stat().st_size
    shrunk = []
    for one, row, pair, why in zip(runs, after, found.pairs, stayed, strict=False):  # the first pairs are with the run
        size = one.weights_file.stat().st_size
        verdict = verdict_on(before, row, (bytes_before, size), pair.answers)
        shrunk.append(Shrunk(one.path, verdict, row, size, pair.answers, why))
    return ShrinkResult(before, bytes_before, tuple(shrunk), found.num_pictures, found.plot)


def judged_as_files(
    run: Run, made: FewerBits, answers: Answers, *, plot: Path | None, progress: Progress | None
) -> ShrinkResult:
    """Of one new run, whose bytes and latency are those of a file; where that is int8, it answers for itself."""
    found = side_by_side([run, made.run], answers, latency=made.times is None, progress=progress)
    before, after = (_timed(row, made.times, place) for place, row in enumerate(found.rows))
    pair, file = found.pairs[0].answers, None
    if made.file is not None:
        file = _answers_of_file(made, answers, progress)
    verdict = verdict_on(before, after, made.sizes, pair if file is None else file.answers)
    if file is not None and file.agreement < INT8.top1_agreement:
        verdict = (
            f"the int8 file gives another class than its run for {1 - file.agreement:.1%} of the pictures (bound "
            f"{1 - INT8.top1_agreement:.0%}); {verdict}"
        )
    of_file: dict[str, Any] = {} if file is None else vars(file)
    shares = {name: of_file[name] for name in ("accuracy", "accuracy_low", "accuracy_high") if name in of_file}
    drawn = on_front([before, replace(after, **shares)])
    draw_front(plot, drawn, "ms")
    one = Shrunk(made.run.path, verdict, after, made.sizes[1], pair, made.stayed, file)
    return ShrinkResult(before, made.sizes[0], (one,), found.num_pictures, plot)


def _timed(row: Compared, times: tuple[Latency, ...] | None, place: int) -> Compared:
    return row if times is None else replace(row, latency=times[place])


def _answers_of_file(made: FewerBits, answers: Answers, progress: Progress | None) -> FileAnswers:
    """By the engine that was timed, on the pictures that the runs were judged on."""
    assert made.file is not None
    run, (before, after) = made.run, answers.predicted
    settings = made.engine or Settings("onnxruntime", threads=usable_cpus())
    with open_with(settings, Model(made.file, run.input_shape[1:])) as engine:
        by = Running(Answering(engine), Choice("fp32", "channels_first", usable_cpus()))
        logits = logits_on(run, answers.images, answers.shown, "none", progress, by=by)[0]
    scores = score(logits, answers.labels, answers.classes, temperature=run.temperature)
    said = logits.argmax(1).numpy()
    shares = (scores.accuracy, scores.accuracy_low, scores.accuracy_high)
    return FileAnswers(*shares, compare_predictions(before, said, answers.labels), float((said == after).mean()))


def verdict_on(before: Compared, after: Compared, sizes: tuple[int, int], answers: Paired) -> str:
    """What did not get better comes first; a change in accuracy is told where it is no chance."""
    assert before.latency is not None and after.latency is not None
    bytes_before, bytes_after = sizes
    less = 1 - bytes_after / bytes_before
    smaller, apart = less >= 0.001, told_apart(before.latency, after.latency)
    ratio = before.latency.p50_ms / after.latency.p50_ms
    size = f"{bytes_before / bytes_after:.2g} times smaller" if less >= 0.1 else f"{less:.1%} smaller"
    size = size if smaller else "not smaller"
    speed = f"{ratio:.2g} times as fast" if apart and ratio > 1 else "not faster on this machine"
    if apart and ratio < 1:
        speed = f"slower on this machine ({1 / ratio:.2g} times the time)"
    faster = apart and ratio > 1
    told = f"{speed}, {size}" if smaller and not faster else f"{size}, {speed}"
    if not answers.told_apart:
        return told
    return f"{told}, {100 * abs(answers.difference):.2f} points {'more' if answers.difference > 0 else 'less'} accurate"
