"""What became of a run that was made smaller: both judged on the same pictures, and timed in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convlens.measurement import Paired, told_apart
from convlens.runs import Run
from convlens.workbench.compare import Compared, CompareResult
from convlens.workbench.fewer_bits import FewerBits


@dataclass(frozen=True)
class Shrunk:
    """One smaller run, which stands beside `ShrinkResult.before`. `verdict` says in one line what it was worth.

    `file_bytes` is the size of the weights' file, or of the ONNX file where the run is quantised; `answers` compares
    both on the same pictures (first: before).
    `stayed` are operations whose channels had to stay, and why.
    """

    run: Path
    verdict: str
    figures: Compared
    file_bytes: int
    answers: Paired
    stayed: tuple[str, ...]


@dataclass(frozen=True)
class ShrinkResult:
    """`num_pictures` were new to every run, and judged them all.

    Latencies are of one picture at a time, by torch, or by ONNX Runtime where the run is quantised.
    """

    before: Compared
    before_bytes: int
    shrunk: tuple[Shrunk, ...]
    num_pictures: int
    plot: Path | None


def judged(run: Run, runs: Sequence[Run], stayed: Sequence[tuple[str, ...]], found: CompareResult) -> ShrinkResult:
    before, *after = found.rows
    bytes_before = run.weights_file.stat().st_size
    shrunk = []
    for one, row, pair, why in zip(runs, after, found.pairs, stayed, strict=False):  # the first pairs are with the run
        size = one.weights_file.stat().st_size
        verdict = verdict_on(before, row, (bytes_before, size), pair.answers)
        shrunk.append(Shrunk(one.path, verdict, row, size, pair.answers, why))
    return ShrinkResult(before, bytes_before, tuple(shrunk), found.num_pictures, found.plot)


def judged_in_bits(run: Run, made: FewerBits, found: CompareResult) -> ShrinkResult:
    """The same of a network that has stayed, in fewer bits."""
    before, after = found.rows
    after = replace(after, macs=before.macs, complete=before.complete)  # roundings are no multiplications
    if made.times is not None:
        before, after = (replace(row, latency=time) for row, time in zip((before, after), made.times, strict=True))
    verdict = verdict_on(before, after, made.sizes, found.pairs[0].answers)
    one = Shrunk(made.run.path, verdict, after, made.sizes[1], found.pairs[0].answers, ())
    return ShrinkResult(before, made.sizes[0], (one,), found.num_pictures, found.plot)


def verdict_on(before: Compared, after: Compared, sizes: tuple[int, int], answers: Paired) -> str:
    """What did not get better comes first; a change in accuracy is told where it is no chance."""
    assert before.latency is not None and after.latency is not None
    bytes_before, bytes_after = sizes
    smaller, apart = bytes_after < bytes_before, told_apart(before.latency, after.latency)
    ratio = before.latency.p50_ms / after.latency.p50_ms
    size = f"{bytes_before / bytes_after:.2g} times smaller" if smaller else "not smaller"
    speed = f"{ratio:.2g} times as fast" if apart and ratio > 1 else "not faster on this machine"
    if apart and ratio < 1:
        speed = f"slower on this machine ({1 / ratio:.2g} times the time)"
    faster = apart and ratio > 1
    told = f"{speed}, {size}" if smaller and not faster else f"{size}, {speed}"
    if not answers.told_apart:
        return told
    return f"{told}, {100 * abs(answers.difference):.2f} points {'more' if answers.difference > 0 else 'less'} accurate"
