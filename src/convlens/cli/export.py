"""`convlens export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import Json, Network, RunFolder
from convlens.cli.output import print_facts, print_json, share
from convlens.errors import counted

if TYPE_CHECKING:
    from convlens.workbench import ExportResult

EXAMPLE = "convlens export runs/demo --format onnx"
PICTURES = "To prove the file on: files, folders or globs; the run's own held-out ones by default."


@guarded
def export(
    run: RunFolder,
    pictures: Annotated[list[str] | None, typer.Argument(help=PICTURES)] = None,
    format: Annotated[str, typer.Option(help="onnx, onnx-int8, openvino, torch-export or safetensors.")] = "onnx",
    preprocess: Annotated[
        str, typer.Option(help="outside; or inside: the file takes uint8 pixels and gives probabilities.")
    ] = "outside",
    out: Annotated[Path | None, typer.Option(help="A file or a folder; the run's exports/ by default.")] = None,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Write the network as a file for other programs; it is kept only if it agrees on real pictures."""
    from convlens import workbench

    result = workbench.export(run, pictures or [], format=format, preprocess=preprocess, out=out, network=network)
    for bad in result.unreadable:
        print(f"not read: {bad}", file=sys.stderr)
    if as_json:
        return print_json(result)
    print_exported(result)
    if result.snippet:
        typer.echo(f"This program runs it without convlens and torch:\n\n{result.snippet}")


def print_exported(result: ExportResult) -> None:
    proof = result.agreement
    batches = ", ".join(map(str, proof.batches))
    most = proof.bound.probability_difference
    bound = f"bound {most:g}" if most < 1 else "no bound"
    differences = [
        f"{proof.largest_probability_difference:.1e} of a probability  ({bound})",
        *([] if (logit := proof.largest_logit_difference) is None else [f"{logit:.1e} of a logit"]),
    ]
    print_facts(
        f"{result.run.name} as {result.format}, in {result.seconds:.1f} s",
        [
            *((str(file.path), f"{file.size_bytes:,} bytes") for file in result.files),
            ("from and to", f"{result.input} to {result.output}"),
            ("proved on", f"{counted(proof.pictures, 'picture')}, {result.pictures_from}; batches of {batches}"),
            *([("calibrated on", result.calibrated_on)] if result.calibrated_on else []),
            ("the same class", f"{share(proof.top1_agreement)}  (bound {share(proof.bound.top1_agreement)})"),
            ("largest difference", ", ".join(differences)),
        ],
    )
