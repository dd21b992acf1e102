"""Options that several commands take, and texts turned into values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convlens.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder in which named sets such as mnist are looked for first.")
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--option", help="An option of the network, like width=0.5; may be given several times."),
]
Augmentation = Annotated[
    list[str] | None,
    typer.Option(
        "--augmentation",
        help="An augmentation as you want it, like rotate=10, beside the usual ones: flip, alternate, shift, border, "
        "zoom, rotate, brightness, contrast, saturation, hue, lighting, cutout, mixup, cutmix.",
    ),
]
Network = Annotated[
    str | None, typer.Option("--network", help="The run's network where it is your own, as file.py:Class.")
]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
MaxBad = Annotated[float, typer.Option(help="Share of unreadable pictures at which to refuse.")]
NoPictures = Annotated[bool, typer.Option("--no-pictures", help="Keep no thumbnails, no decoded pixels.")]
CheckpointSeconds = Annotated[float, typer.Option(help="Longest time between checkpoints.")]
Threads = Annotated[int | None, typer.Option(help="Processor threads; measured by default.")]
Engine = Annotated[
    str,
    typer.Option(
        help="What computes: plain (the network as trained), torch, onnxruntime, openvino, or auto: the fastest here "
        "that agrees."
    ),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """ "0.485,0.456,0.406" -> three numbers."""
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} came as '{text}'; expected numbers like 0.5 or 0.5,0.25") from error


def whole_numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """ "160,128" -> two."""
    try:
        return None if text is None else tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} came as '{text}'; expected whole numbers like 160,128") from error


def shares(text: str) -> tuple[float, float, float]:
    """ "0.8,0.1,0.1" -> (0.8, 0.1, 0.1)."""
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--split came as '{text}'; expected three shares like 0.8,0.1,0.1") from error
    return train, val, test
