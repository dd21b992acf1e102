"""Which network reads these pictures, and how they come to it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import convlens.zoo as room
from convlens.errors import DownloadError, UsageError, counted, unknown_name
from convlens.layers import unallocated
from convlens.pictures import FITS, Preprocess
from convlens.training import Recipe
from convlens.workbench.gather import Gathered
from convlens.workbench.own_network import load_network, recorded_name, split_name
from convlens.workbench.planner import ASSUMED_BUDGET_S, SMALL_SIDE, Candidate, candidates, choose_candidate
from convlens.workbench.results import Tell
from convlens.workbench.weights import (
    LOADED_BY_ITSELF,
    is_file,
    is_untrained,
    model_of,
    of_these_classes,
    origin_words,
    preprocess_of,
    run_of,
    told_by,
)

LONG_ASPECT = 1.6  # cameras make 4:3 and 3:2; what is longer loses too much to a crop
NEARLY_SQUARE = 1.1  # small pictures that are longer are often cut to what they show: what a crop leaves out is said
TINY, SMALLEST = 20, 28  # pictures under 20 px are enlarged to the size of MNIST's


@dataclass(frozen=True)
class Request:
    """What the user said of the network."""

    model: str = "auto"
    network: str | None = None  # file.py:Class
    image_size: int | None = None
    fit: str = "auto"
    weights: str = "auto"
    options: dict[str, Any] = field(default_factory=dict)
    crop_ratio: float = 1.0  # see `Preprocess`
    teacher: str | None = None  # a run

    def __post_init__(self) -> None:
        """What can be seen to be wrong before a picture is looked at."""
        if self.fit not in ("auto", *FITS):
            raise unknown_name("fit", self.fit, FITS, f"choose auto, {', '.join(FITS)}")
        if self.image_size is not None and self.image_size < 1:
            raise UsageError(f"--image-size came as {self.image_size}; expected a side in pixels")
        if is_file(self.weights) and not Path(self.weights).is_file():
            raise UsageError(
                f"--weights came as '{self.weights}'; expected auto, none, imagenet, an existing file or a run"
            )
        if self.network is not None and self.model != "auto":
            raise UsageError(f"--model {self.model} and --network {self.network} were both given; give one of them")
        if self.network is not None and self.weights not in ("auto", "none"):
            raise UsageError(f"--weights {self.weights} came with --network; {LOADED_BY_ITSELF}")
        if self.options and self.named == "auto":
            raise UsageError("--option belongs to one network; name it with --model")
        if self.network is not None:
            split_name(self.network)
        elif self.named != "auto":
            with unallocated():  # checks options and size
                room.create(self.named, num_classes=2, image_size=self.image_size, **self.options)

    @property
    def named(self) -> str:
        """The model, that of the run where only its weights are given. UsageError where nothing tells it of weights."""
        by_weights = self.model == "auto" and self.network is None and is_file(self.weights)
        return model_of(self.weights) if by_weights else self.model


@dataclass(frozen=True)
class Design:
    """A network and its preprocessing; mean and std are still to be measured unless the weights bring theirs."""

    network: nn.Module
    label: str
    architecture: dict[str, Any]
    preprocess: Preprocess
    weights: str
    pretrained: bool
    classifier: str | None = None  # the path of the layer that is new among trained ones
    measured: tuple[dict[str, Any], ...] = ()
    own_network: str | None = None  # file.py:Class, as it was given
    has_statistics: bool = False  # mean and std are those of the weights
    channel_plan: dict[str, Any] | None = None  # of a pruned network

    def facts(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "architecture": self.architecture,
            "weights": self.weights,
            "own_network": self.own_network,
            "channel_plan": self.channel_plan,
        }


def design(ask: Request, gathered: Gathered, recipe: Recipe, *, started: float, tell: Tell) -> Design:
    """Resolve `auto`s by stated rules and by timing; the network's initial weights are drawn from the recipe's seed."""
    ask = replace(ask, model=ask.named)
    if ask.model == "auto" and ask.network is None:
        return _automatic(ask, gathered, recipe, started, tell)
    size = ask.image_size or _resolution(ask, gathered)
    torch.manual_seed(recipe.seed)
    if ask.network is not None:
        return _own(ask, gathered, size, tell)
    return _from_zoo(ask, ask.model, size, gathered, tell)


def _automatic(ask: Request, gathered: Gathered, recipe: Recipe, started: float, tell: Tell) -> Design:
    side = ask.image_size or picture_side(gathered)
    channels = gathered.scan.channels
    wanted = ask.weights == "imagenet"
    offers = side > SMALL_SIDE and ask.weights == "auto"
    tuned = wanted or (offers and _can_load(candidates(side, 3, tuned=True)[0].name, tell))
    offered = candidates(side, 3 if tuned else channels, tuned=tuned)
    if ask.image_size:
        offered = _unique([replace(candidate, image_size=ask.image_size) for candidate in offered])
    num_pictures = len(gathered.splits.indices("train"))
    # an epoch also reads and validates the pictures; decoding them takes about as long as the scan did
    seconds = (recipe.budget_s or ASSUMED_BUDGET_S) - (time.monotonic() - started) - gathered.scan.seconds
    chosen, measured = choose_candidate(
        offered,
        num_pictures=num_pictures,
        channels=3 if tuned else channels,
        num_classes=gathered.num_classes,
        seconds=max(1.0, 0.85 * seconds),
        tuned=tuned,
    )
    weights = ask.weights if tuned else "none"  # a file of weights was refused: it belongs to one network
    picked = replace(ask, model=chosen.name, weights=weights, options={**chosen.options, **ask.options})
    torch.manual_seed(recipe.seed)
    found = _from_zoo(picked, chosen.name, chosen.image_size, gathered, tell)
    return replace(found, measured=measured)


def _unique(offered: list[Candidate]) -> list[Candidate]:
    return [candidate for place, candidate in enumerate(offered) if candidate not in offered[:place]]


def _resolution(ask: Request, gathered: Gathered) -> int:
    """Weights of a run keep its size, small pictures theirs; photographs come at the paper's resolution, or 224 px."""
    side, of_a_run = picture_side(gathered), run_of(ask.weights) is not None
    if ask.network is not None or (side <= SMALL_SIDE and not of_a_run):
        return min(side, 224)
    told = told_by(ask.weights, ask.model, ask.options)
    return (told.image_size if told else None) or room.entry(ask.model).resolution


def picture_side(gathered: Gathered) -> int:
    """The side in pixels at which the pictures would be read if speed were no matter."""
    side = gathered.median_side()
    if side < TINY:
        return SMALLEST
    return side if side <= SMALL_SIDE else max(SMALL_SIDE, min(224, side // 32 * 32))


def _from_zoo(ask: Request, name: str, size: int, gathered: Gathered, tell: Tell) -> Design:
    photographs = size > SMALL_SIDE
    wants = ask.weights if ask.weights != "auto" else ("imagenet" if photographs and room.published(name) else "none")
    channels, options = gathered.scan.channels, ask.options
    told = told_by(wants, name, options)
    if wants == "imagenet":
        channels = 3
    elif told is not None:
        channels, options = told.in_channels or channels, told.options
    if channels < gathered.scan.channels:
        tell("pictures are read as greys: the weights are of a network of one channel; --weights none learns colours")
    classes = gathered.images.classes
    network = room.create(name, num_classes=len(classes), in_channels=channels, image_size=size, **options)
    record, drawn = None, {}
    if wants != "none":
        drawn = {key: value.clone() for key, value in network.state_dict().items()}
        record = _load(network, wants, tell, required=ask.weights != "auto")
    if record is None and photographs and ask.weights == "auto":
        tell(f"training {name} from scratch")
    preprocess = _preprocess(ask, gathered, size, channels, tell)
    brought = None if record is None else preprocess_of(wants, record)
    if brought is not None and len(brought["mean"]) == channels:
        preprocess = replace(preprocess, mean=tuple(brought["mean"]), std=tuple(brought["std"]))
    else:
        brought = None
    if record is not None and is_untrained(wants):
        tell("these weights were made at random, by `create`: all layers learn as from scratch")
        record = None
    source = "scratch" if record is None else origin_words(record.source, record.sha256)
    return Design(
        network,
        name,
        network.architecture.to_dict(),
        preprocess,
        source,
        pretrained=record is not None,
        classifier=None if record is None else _new_classifier(network, drawn, record, wants, classes, tell),
        has_statistics=brought is not None,
    )


def _new_classifier(
    network: room.Network,
    drawn: dict[str, Tensor],
    record: room.WeightsRecord,
    weights: str,
    classes: tuple[str, ...],
    tell: Tell,
) -> str | None:
    """The path of the last layer that learns, where it was made for another number of classes, or for others.

    It has the numbers then that were `drawn` for it before the weights came.
    """
    if record.left_out:
        return record.left_out[0].rpartition(".")[0]
    if of_these_classes(weights, network.architecture.name, classes):
        return None
    path = [name for name, _ in network.named_parameters()][-1].rpartition(".")[0]
    begin = f"{path}."
    layer = {name.removeprefix(begin): value for name, value in drawn.items() if name.startswith(begin)}
    network.get_submodule(path).load_state_dict(layer)
    tell(f"{path} is learnt anew: it was not made for these classes, or nothing says that it was")
    return path


def _can_load(name: str, tell: Tell) -> bool:
    """Are published weights in the cache, or can they be fetched?"""
    try:
        room.create(name, weights="imagenet")
    except DownloadError as error:
        tell(f"published weights cannot be had, so training starts from scratch: {_short(error)}")
        return False
    return True


def _load(network: room.Network, source: str, tell: Tell, *, required: bool) -> room.WeightsRecord | None:
    try:
        record = room.load_weights(network, source)
    except DownloadError as error:
        if required:
            raise
        tell(f"published weights cannot be had: {_short(error)}")
        return None
    new = f", new: {', '.join(record.left_out)}" if record.left_out else ""
    tell(f"fine-tuning weights from {record.source}: {counted(record.num_loaded, 'tensor')}{new}")
    return record


def _short(error: Exception) -> str:
    """An error's first clause: its remedy is for those who need the file."""
    return str(error).split(";")[0]


def _own(ask: Request, gathered: Gathered, size: int, tell: Tell) -> Design:
    assert ask.network is not None
    channels = gathered.scan.channels
    network = load_network(ask.network, num_classes=gathered.num_classes, in_channels=channels)
    described = {"network": recorded_name(ask.network)}
    label = split_name(ask.network)[1].lower()
    preprocess = _preprocess(ask, gathered, size, channels, tell)
    return Design(network, label, described, preprocess, "scratch", False, own_network=ask.network)


def _preprocess(ask: Request, gathered: Gathered, size: int, channels: int, tell: Tell) -> Preprocess:
    fit, aspect = ask.fit, gathered.aspect()
    if fit == "auto":
        fit = "letterbox" if aspect > LONG_ASPECT else "crop"
        if fit == "crop" and aspect > NEARLY_SQUARE and gathered.median_side() <= SMALL_SIDE:
            tell(
                f"of pictures {aspect:.2g} times as long as wide the middle {ask.crop_ratio / aspect:.0%} of their "
                "length is seen; --fit letterbox keeps both ends"
            )
    return Preprocess((size, size), fit, channels, (0.5,) * channels, (0.5,) * channels, ask.crop_ratio)
