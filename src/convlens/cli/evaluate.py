"""`convlens evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Json, Network, RunFolder
from convlens.cli.output import print_facts, print_json, print_table, share
from convlens.cli.progress import Bars

EXAMPLE = "convlens evaluate runs/demo digits"
SHOWN_CLASSES = 30


@guarded
def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(help="Labelled pictures; what the run was trained on by default.")
    ] = None,
    part: Annotated[str, typer.Option(help="test, val or all.")] = "test",
    tta: Annotated[str, typer.Option(help="Average over views of a picture: none, mirror or mirror_shifts.")] = "none",
    include_train: Annotated[bool, typer.Option("--include-train", help="Score pictures trained on, too.")] = False,
    data_dir: DataDir = None,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Score a run on pictures that it was not trained on: accuracy, classes, confusions, calibration."""
    from convlens import workbench

    with Bars() as bars:
        result = workbench.evaluate(
            run,
            data,
            part=part,
            tta=tta,
            include_train=include_train,
            data_dir=data_dir,
            network=network,
            progress=bars,
            tell=bars.tell,
        )
    if as_json:
        return print_json(result)
    scores = result.scores
    rows = [
        (one.name, one.support, share(one.precision), share(one.recall), share(one.f1))
        for one in sorted((one for one in scores.per_class if one.support), key=lambda one: one.f1)[:SHOWN_CLASSES]
    ]
    print_table("Classes, the hardest first", ["class", ">pictures", ">precision", ">recall", ">F1"], rows)
    interval = f"{share(scores.accuracy_low)} to {share(scores.accuracy_high)}"
    published = ", ".join(
        f"top-{k} {share(value)}" for k, value in zip((1, 5), result.published, strict=True) if value is not None
    )
    left_out = ", ".join(f"{number:,} {why}" for why, number in result.left_out.items())
    views = "" if result.tta == "none" else f", --tta {result.tta}"
    print_facts(
        f"{result.run.name} on {result.data} ({result.part}), {scores.num_pictures:,} pictures{views}",
        [
            ("accuracy", f"{share(scores.accuracy)}  (95 % interval {interval})"),
            ("top-5 accuracy", share(scores.top5_accuracy)),
            ("calibration error", share(scores.expected_calibration_error)),
            *([("published", published)] if published else []),
            ("wrong", f"{result.num_errors:,} pictures"),
            ("not scored", left_out or "none"),
            ("written to", result.file),
            ("the report", result.report),
        ],
    )
