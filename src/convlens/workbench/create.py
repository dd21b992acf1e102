"""`convlens create`: a run from a network and weights that exist already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import convlens.zoo as room
from convlens.errors import UsageError
from convlens.pictures import Preprocess
from convlens.runs import Manifest, installed_versions, save_run
from convlens.workbench.claim import claim, claim_free
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.typed import typed
from convlens.workbench.weights import lasting_path, preprocess_of, run_of, temperature_of, told_by, weights_file


@dataclass(frozen=True)
class CreateResult:
    """`weights` says where they came from: "random", "imagenet" or a file.

    `published_top1` and `published_top5` are those of the network's published weights, 0 to 1, None for fresh ones.
    """

    run: Path
    model: str
    parameters: int
    weights: str
    num_classes: int
    image_size: tuple[int, int]
    options: dict[str, Any]
    preprocess: dict[str, Any]
    published_top1: float | None
    published_top5: float | None


@typed
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
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    model_options: dict[str, Any] | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> CreateResult:
    """Make a run without training: from published weights ("imagenet"), a file of weights, a run, or fresh ones.

    `classes` are the names in the order of the network's outputs, or a text file with one a line; ImageNet's 1,000 (and
    TensorFlow's 1,001) have theirs already. What is not given is read off the file: the number of classes, the side
    that its name ends in, a width, TensorFlow's padding. `mean` and `std` (for pixels in 0 to 1) say how the pictures
    were normalised; without them it is taken to be the custom of where the file comes from, and said. A run, or the
    file of its weights, brings its options, size, classes, preprocessing and temperature.
    """
    entry = room.entry(model)
    options = dict(model_options or {})
    weights = weights_file(weights)
    told, run = told_by(weights, model, options), run_of(weights)
    usual = entry.num_classes
    if told is not None:
        options, usual = told.options, told.num_classes
        image_size = told.image_size if image_size is None else image_size
    usual_channels = (told.in_channels if told else None) or entry.in_channels
    names = _names(classes, num_classes, usual, entry, run)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = room.create(
            model,
            num_classes=len(names),
            in_channels=usual_channels if in_channels is None else in_channels,
            image_size=entry.resolution if image_size is None else image_size,
            **options,
        )
    record = room.load_weights(network, weights, progress) if weights is not None else None
    preprocess = _preprocess(network, weights, record, mean, std)
    if told is not None:
        tell(f"read off {Path(str(weights)).name}: {told.words()}")
        if image_size is None:
            tell(f"nothing tells the side: {entry.resolution} px is the paper's, --image-size says otherwise")
        if mean is None and run is None:
            shown = ", ".join(f"{value:.3g}" for value in preprocess.mean)
            tell(f"pictures are taken to be normalised with the mean {shown}; --mean and --std say otherwise")
    if record is not None and record.left_out:
        tell(f"new, for another number of classes: {', '.join(record.left_out)}")
    source = "random" if record is None else record.source
    origin = source if record is None else lasting_path(source)
    with ExitStack() as held:
        folder = claim(held, Path(out)) if out is not None else claim_free(held, model)
        manifest = Manifest(
            name=folder.path.resolve().name,
            architecture=network.architecture.to_dict(),
            classes=names,
            preprocess=preprocess.to_dict(),
            weights={"from": origin, "source_sha256": record.sha256 if record else None},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            temperature=temperature_of(weights, names),
            seed=seed,
            versions=installed_versions(),
        )
        save_run(folder, manifest, network.state_dict())
    parameters = sum(p.numel() for p in network.parameters())
    published = published_accuracy(network.architecture) if record is not None else (None, None)
    return CreateResult(
        run=folder.path,
        model=model,
        parameters=parameters,
        weights=source,
        num_classes=len(names),
        image_size=network.architecture.image_size,
        options=dict(network.architecture.options),
        preprocess=preprocess.to_dict(),
        published_top1=published[0],
        published_top5=published[1],
    )


def published_accuracy(architecture: room.Architecture) -> tuple[float | None, float | None]:
    """Top-1 and top-5 of the network as its paper or its weights have it; None for other widths, sizes or classes."""
    described, varied = room.entry(architecture.name), set(architecture.options) - {"padding"}
    as_published = architecture.image_size == (described.resolution,) * 2 and not varied
    if not as_published or architecture.num_classes not in (described.num_classes, described.num_classes + 1):
        return None, None
    facts = room.FACTS[architecture.name]
    return facts.top1, facts.top5


def _names(
    classes: str | Path | Sequence[str] | None, count: int | None, usual: int, entry: room.Entry, run: Manifest | None
) -> tuple[str, ...]:
    if classes is None:
        wanted = usual if count is None else count
        if wanted == 1:
            raise UsageError(
                f"1 class came for {entry.name}; expected two or more: a single output, as of a sigmoid, cannot be "
                "compared with another"
            )
        if run is not None and len(run.classes) == wanted:
            return run.classes
        return room.usual_classes(entry, wanted) or tuple(f"class {number}" for number in range(wanted))
    if isinstance(classes, str | Path):
        classes = _lines(Path(classes))
    if len(classes) + 1 == usual == 1001:
        classes = ("background", *classes)  # the first of TensorFlow's outputs
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


def _preprocess(
    network: room.Network,
    weights: str | Path | None,
    record: room.WeightsRecord | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Preprocess:
    """As the weights were trained, where that is known; else to the middle of the range."""
    size, channels = network.architecture.image_size, network.architecture.in_channels
    found = Preprocess(size, "crop", channels, (0.5,) * channels, (0.5,) * channels)
    brought = None if record is None else preprocess_of(weights, record)
    if brought is not None:
        found = replace(Preprocess.from_dict(brought), size=size)
    for name, values in {"--mean": mean or (), "--std": std or ()}.items():
        if any(value > 1 for value in values):
            given = ",".join(f"{value:g}" for value in values)
            raise UsageError(f"{name} came as {given}; expected numbers for pixels from 0 to 1: divide them by 255")
    return replace(found, mean=tuple(mean or found.mean), std=tuple(std or found.std))
