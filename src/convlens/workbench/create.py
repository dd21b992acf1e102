"""`convlens create`: a run from a network and weights that exist already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import convlens.zoo as room
from convlens.errors import UsageError
from convlens.pictures import Preprocess
from convlens.runs import Manifest, installed_versions, save_run
from convlens.workbench.claim import claim, claim_free
from convlens.workbench.results import Progress


@dataclass(frozen=True)
class CreateResult:
    """`weights` says where they came from: "random", "imagenet" or a file."""

    run: Path
    model: str
    parameters: int
    weights: str
    num_classes: int


def create(
    model: str,
    *,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    classes: str | Path | Sequence[str] | None = None,
    num_classes: int | None = None,
    image_size: int | None = None,
    in_channels: int | None = None,
    seed: int = 0,
    model_options: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> CreateResult:
    """Make a run without training: from published weights ("imagenet"), a file of weights, or fresh ones.

    `classes` are the names in the order of the network's outputs, or a text file with one a line.
    """
    entry = room.entry(model)
    names = _names(classes, num_classes, entry.num_classes)
    torch.manual_seed(seed)
    network = room.create(
        model,
        num_classes=len(names),
        in_channels=entry.in_channels if in_channels is None else in_channels,
        image_size=entry.resolution if image_size is None else image_size,
        **(model_options or {}),
    )
    record = room.load_weights(network, weights, progress) if weights is not None else None
    source = "random" if record is None else record.source
    with ExitStack() as held:
        folder = claim(held, Path(out)) if out is not None else claim_free(held, model)
        manifest = Manifest(
            name=folder.path.resolve().name,
            architecture=network.architecture.to_dict(),
            classes=names,
            preprocess=_preprocess(network, record).to_dict(),
            weights={"from": source, "source_sha256": record.sha256 if record else None},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=seed,
            versions=installed_versions(),
        )
        save_run(folder, manifest, network.state_dict())
    parameters = sum(p.numel() for p in network.parameters())
    return CreateResult(folder.path, model, parameters, source, len(names))


def _names(classes: str | Path | Sequence[str] | None, count: int | None, usual: int) -> tuple[str, ...]:
    if classes is None:
        return tuple(f"class {number}" for number in range(usual if count is None else count))
    if isinstance(classes, str | Path):
        classes = _lines(Path(classes))
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise UsageError(
            f"{len(classes)} class names came, {len(set(classes))} of them different; expected two or more, each once"
        )
    if count not in (None, len(classes)):
        raise UsageError(f"--num-classes is {count}, and {len(classes)} class names came; leave --num-classes out")
    return tuple(classes)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"--classes {path} cannot be read ({reason}); expected a text file, a class a line") from error
    return [line.strip() for line in lines if line.strip()]


def _preprocess(network: room.Network, record: room.WeightsRecord | None) -> Preprocess:
    """As the weights were trained, where that is known; else to the middle of the range."""
    if record is not None and record.preprocessing is not None:
        return Preprocess.from_dict(record.preprocessing)
    channels = network.architecture.in_channels
    return Preprocess(network.architecture.image_size, "crop", channels, (0.5,) * channels, (0.5,) * channels)
