"""What `--weights` names: "imagenet", a file, or a run, whose run.json tells all of its network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import convlens.zoo as room
from convlens.errors import NetworkError, UsageError
from convlens.runs import Manifest, Run, RunFolder

NAMED = ("auto", "none", "imagenet")
LOADED_BY_ITSELF = "load the weights of a network of your own in its __init__, and leave --weights out"


def is_file(weights: str | Path | None) -> TypeGuard[str | Path]:
    """Whether a file or a run was named."""
    return weights is not None and weights not in NAMED


def weights_file(weights: str | Path | None) -> str | Path | None:
    """Of a run's folder its file of weights; all else as it is."""
    if not is_file(weights) or not Path(weights).is_dir():
        return weights
    folder = RunFolder(Path(weights))
    return folder.packed if folder.packed.exists() else folder.weights


def run_of(weights: str | Path | None) -> Manifest | None:
    """The manifest of the run that a file of weights, or its best checkpoint, belongs to; None for other files."""
    run = whole_run_of(weights)
    return None if run is None else run.manifest


def whole_run_of(weights: str | Path | None) -> Run | None:
    """The run that a file of weights, or its best checkpoint, belongs to; None for other files."""
    if not is_file(weights):
        return None
    return next((Run.load(folder.path) for folder in folders_of(weights) if folder.manifest.exists()), None)


def folders_of(weights: str | Path) -> list[RunFolder]:
    """Those that a run would have whose weights, or best checkpoint, are in this file, or in what it is a link to."""
    file = Path(weights)
    return [
        folder
        for path in (file.parent.resolve() / file.name, file.resolve())
        for folder in map(RunFolder, path.parents[:2])
        if path in (folder.weights, folder.packed, folder.best)
    ]


def origin_words(source: str | Path, sha256: str) -> str:
    """How a manifest names the file, or the run, that weights are from."""
    return f"{lasting_path(source)} (sha256 {sha256[:16]})"


def lasting_path(source: str | Path) -> str:
    """A file or folder as any working folder understands it, the name of published weights as it is."""
    return str(Path(source).absolute() if is_file(source) and Path(source).exists() else source)


def model_of(weights: str | Path) -> str:
    """The network of the zoo that the run was made of which these weights are. UsageError for others."""
    run = run_of(weights)
    if run is None:
        raise UsageError(f"--weights {weights} belongs to one network; name it with --model")
    if "network" in run.architecture:
        own = run.architecture["network"]
        raise UsageError(f"--weights {weights} is of a network of your own, --network {own}; {LOADED_BY_ITSELF}")
    name: str = run.architecture["name"]
    return name


def told_by(weights: str | Path | None, model: str, options: Mapping[str, Any]) -> room.FileFacts | None:
    """What a run, or else the file itself, says of its network; nothing where there is no file.

    NetworkError for the weights of a run of another network.
    """
    if not is_file(weights):
        return None
    run = run_of(weights)
    if run is None or "network" in run.architecture:  # a network of the user's own has no name in the zoo
        return room.describe_weights(model, weights, options)
    if run.channel_plan is not None:
        raise NetworkError(f"{weights} belongs to a pruned run, whose weights fit no whole network; name another run")
    made = room.Architecture.from_dict(run.architecture)
    if made.name != model:
        raise NetworkError(f"{weights} belongs to a run of {made.name}, not of {model}; name that network")
    return room.FileFacts(
        num_classes=made.num_classes,
        image_size=min(made.image_size),
        in_channels=made.in_channels,
        options={**made.options, **options},
        read={key: value for key, value in made.options.items() if key not in options},
    )


def preprocess_of(weights: str | Path | None, record: room.WeightsRecord) -> dict[str, Any] | None:
    """What the weights were trained with: that of the run that they belong to, else what is known of the file."""
    run = run_of(weights)
    return record.preprocessing if run is None else run.preprocess


def temperature_of(weights: str | Path | None, classes: tuple[str, ...]) -> float:
    """That of the run whose last weights these are, for it was fitted to them; 1 for others, or for other classes."""
    run = run_of(weights)
    if run is None or not is_file(weights) or Path(weights).name != RunFolder(Path()).weights.name:
        return 1.0
    return run.temperature if run.classes == classes else 1.0


def of_these_classes(weights: str | Path | None, model: str, classes: tuple[str, ...]) -> bool:
    """Are the outputs known to be these classes, in this order? Those of a run are; of a file the usual ones count."""
    run = run_of(weights)
    if run is not None:
        return run.classes == classes
    return classes in (room.usual_classes(room.entry(model), len(classes)), tuple(room.imagenet_names()))


def is_untrained(weights: str | Path | None) -> bool:
    """Do they belong to a run that `create` made with fresh weights?"""
    run = run_of(weights)
    return run is not None and run.weights.get("from") == "random"
