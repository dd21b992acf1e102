"""`convlens evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from convlens.cli.evaluate_tables import print_classes, print_robustness, print_scores
from convlens.cli.guard import guarded
from convlens.cli.options import DataDir, Engine, Json, Network, RunFolder
from convlens.cli.output import print_json
from convlens.cli.progress import Bars

EXAMPLE = "convlens evaluate runs/demo digits"


@guarded
def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(help="Labelled pictures; what the run was trained on by default.")
    ] = None,
    part: Annotated[str, typer.Option(help="test, val or all.")] = "test",
    tta: Annotated[str, typer.Option(help="Average over views: none, mirror, mirror_shifts or ten_crop.")] = "none",
    include_train: Annotated[bool, typer.Option("--include-train", help="Score pictures trained on, too.")] = False,
    robustness: Annotated[bool, typer.Option("--robustness", help="Score them turned, blurred …, too.")] = False,
    beside: Annotated[str | None, typer.Option(help="Another run, for --robustness.", metavar="RUN")] = None,
    engine: Engine = "plain",
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
            robustness=robustness,
            beside=beside,
            engine=engine,
            data_dir=data_dir,
            network=network,
            progress=bars,
            tell=bars.tell,
        )
    if as_json:
        return print_json(result)
    print_classes(result)
    if result.robustness:
        print_robustness(result)
    print_scores(result)
