"""What `convlens evaluate` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.output import print_facts, print_table, share
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench import EvaluateResult
    from convlens.workbench.evaluate import Scores

SHOWN_CLASSES = 30


def print_classes(result: EvaluateResult) -> None:
    rows = [
        (one.name, one.support, share(one.precision), share(one.recall), share(one.f1))
        for one in sorted((one for one in result.scores.per_class if one.support), key=lambda one: one.f1)
    ]
    columns = ["class", ">pictures", ">precision", ">recall", ">F1"]
    print_table("Classes, the hardest first", columns, rows[:SHOWN_CLASSES])


def print_robustness(result: EvaluateResult) -> None:
    """A row a corruption and run: the accuracy at each level."""
    beside = [] if result.beside is None else [(result.beside.name, result.beside.curves)]
    runs = [(result.run.name, result.robustness), *beside]
    rows = [
        (one.corruption, one.unit, name, "  ".join(f"{p.level:g}: {100 * p.accuracy:.0f}" for p in one.points))
        for curves in zip(*(curves for _, curves in runs), strict=True)
        for (name, _), one in zip(runs, curves, strict=True)
    ]
    title = f"Accuracy in % on {counted(result.robustness[0].num_pictures, 'picture')}, changed"
    print_table(title, ["change", "unit", "run", "level: accuracy"], rows)


def _tempered(scores: Scores) -> str:
    """What the temperature changed."""
    if scores.temperature == 1:
        return ""
    return f"  (temperature {scores.temperature:.3g}; {share(scores.untempered_calibration_error)} without it)"


def print_scores(result: EvaluateResult) -> None:
    scores = result.scores
    interval = f"{share(scores.accuracy_low)} to {share(scores.accuracy_high)}"
    top5 = f"{share(scores.top5_accuracy)}  ({share(scores.top5_low)} to {share(scores.top5_high)})"
    published = ", ".join(
        f"top-{k} {share(value)}" for k, value in zip((1, 5), result.published, strict=True) if value is not None
    )
    left_out = ", ".join(f"{number:,} {why}" for why, number in result.left_out.items())
    views = "" if result.tta == "none" else f", --tta {result.tta}"
    print_facts(
        f"{result.run.name} on {result.data} ({result.part}), {counted(scores.num_pictures, 'picture')}{views}",
        [
            ("accuracy", f"{share(scores.accuracy)}  (95 % interval {interval})"),
            ("top-5 accuracy", top5 if scores.top5_accuracy is not None else None),
            ("calibration error", f"{share(scores.expected_calibration_error)}{_tempered(scores)}"),
            *([("published", published)] if published else []),
            ("wrong", counted(result.num_errors, "picture")),
            ("not scored", left_out or "none"),
            ("written to", result.file),
            ("the report", result.report),
        ],
    )
