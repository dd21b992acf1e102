"""Smaller networks: fewer channels of a run's own, or another width and resolution of its family.

Multipliers: MobileNet v1, sections 3.3 and 3.4. Channels: `shrinking.prune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import torch
from torch import nn

import convlens.zoo as room
from convlens.errors import UsageError
from convlens.graph import ChannelPlan
from convlens.graph.coupling import ANSWER
from convlens.layers import unallocated
from convlens.layers.fake_quantised import unrounded
from convlens.measurement import measure_network
from convlens.pictures import Preprocess
from convlens.runs import Run
from convlens.shrinking import PrunedResult, prune
from convlens.workbench.design import Design
from convlens.workbench.weights import origin_words


@dataclass(frozen=True)
class Way:
    """One way to make a run smaller; None leaves as it is.

    `width` and `resolution` (px) are the new network's, `prune` the share that goes; `pruning` are options of
    `shrinking.prune`.
    """

    width: float | None = None
    resolution: int | None = None
    prune: float | None = None
    pruning: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """ "width0.5-160px", for names of runs."""
        width = "" if self.width is None else f"width{self.width:g}"
        share = "" if self.prune is None else f"pruned{self.prune:g}"
        side = "" if self.resolution is None else f"{self.resolution}px"
        return "-".join(part for part in (width, side, share) if part)


@dataclass(frozen=True)
class Choices:
    """What was asked for; nothing of a kind leaves it as it is, several are made, or chosen from, each with each."""

    widths: tuple[float, ...] = ()
    resolutions: tuple[int, ...] = ()
    prunes: tuple[float, ...] = ()
    pruning: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ways(self) -> list[Way]:
        each = product(self.widths or (None,), self.resolutions or (None,), self.prunes or (None,))
        return [Way(width, resolution, share, self.pruning) for width, resolution, share in each]


@dataclass(frozen=True)
class Smaller:
    """`keeps`: it begins with the run's weights. `stayed` are operations whose channels had to stay, and why."""

    design: Design
    keeps: bool
    words: str
    stayed: tuple[str, ...] = ()


def check_way(run: Run, way: Way) -> None:
    """UsageError for what this run's network cannot have, before a picture is read."""
    if way.width is None and way.resolution is None:
        return
    if "name" not in run.manifest.architecture:
        raise UsageError(
            f"{run.path} holds a network of your own, of which no multipliers are known; take --prune, or build it "
            f"smaller and train it with --network file.py:Class --teacher {run.path} "
            f"--teacher-network {run.manifest.architecture.get('network')}"
        )
    described = room.Architecture.from_dict(run.manifest.architecture)
    options = room.entry(described.name).options
    if way.width is not None and "width" not in options:
        known = ", ".join(options) or "none"
        raise UsageError(f"{described.name} has no width multiplier; its family's options are {known}")
    if way.width is not None and not 0 < way.width <= 4:
        raise UsageError(f"--width came as {way.width:g}; expected a multiple of the paper's width, like 0.5")
    if way.width is not None and (way.prune is not None or run.manifest.channel_plan is not None):
        raise UsageError(
            "another width begins with a new network, of which nothing is known yet that could be pruned; shrink to "
            "the width first, and prune what comes of it"
        )
    now = (float(described.options.get("width", 1.0)), max(run.preprocess.size))
    wanted = (now[0] if way.width is None else way.width, now[1] if way.resolution is None else way.resolution)
    if wanted[0] > now[0] or wanted[1] > now[1]:
        raise UsageError(
            f"width {wanted[0]:g} and {wanted[1]} px came, and {run.path} has {now[0]:g} and {now[1]} px: ask for "
            "less; `convlens train` makes larger networks"
        )
    if wanted == now and way.prune is None:
        raise UsageError(f"{run.path} has width {now[0]:g} and {now[1]} px already; ask for less of one of them")
    with unallocated():
        _build(described, way)


def weights_fit(run: Run, resolution: int) -> bool:
    """Do the run's weights fit a network for pictures of this size? UsageError for what the run cannot have."""
    check_way(run, Way(resolution=resolution))
    described = room.Architecture.from_dict(run.manifest.architecture)
    with unallocated():
        return _shapes(_build(described, Way(resolution=resolution))) == _shapes(_build(described, Way()))


def design_smaller(run: Run, way: Way, seed: int, own_network: str | None = None) -> Smaller:
    """The smaller network; a new one begins from the seed.

    With another resolution it keeps the run's weights where they fit: convolutions do not ask how large a picture is.
    Raises NetworkError where no channel can be removed.
    """
    preprocess, network = run.preprocess, run.model
    architecture, words, keeps = run.manifest.architecture, [], True
    if way.width is not None or way.resolution is not None:
        described = room.Architecture.from_dict(architecture)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = run.pruned(built := _build(described, way))
        keeps = way.width is None and _shapes(network) == _shapes(run.model)
        if keeps:
            network.load_state_dict(run.model.state_dict())
        architecture = built.architecture.to_dict()
        preprocess = replace(preprocess, size=built.architecture.image_size)
        words.append("the weights of the run learn on" if keeps else "a new network learns from the run")
        if way.resolution is not None and (times := _macs(network, preprocess) / _macs(run.model, run.preprocess)) > 1:
            words.append(f"it takes {times:.2g} times the MACs, for its family halves pictures this small less often")
    plan, stayed = run.manifest.channel_plan, tuple[str, ...]()
    if way.prune is not None:
        if not keeps:
            raise UsageError("at this resolution the run's weights do not fit, so nothing can be pruned; do one first")
        shape = (1, preprocess.channels, *preprocess.size)
        cut = prune(network, shape, way.prune, **way.pruning)
        network, plan = cut.network, _both(plan, cut.plan)
        stayed = tuple(dict.fromkeys(f"{one.op} ({one.reason})" for one in cut.kept if one.reason != ANSWER))
        words.append(_left(cut))
    origin = origin_words(run.path, run.manifest.weights["sha256"]) if keeps else "scratch"
    label = str(architecture.get("name", architecture.get("network")))
    made = Design(network, label, architecture, preprocess, origin, keeps and _was_tuned(run), has_statistics=True)
    made = replace(made, channel_plan=plan, own_network=own_network)
    return Smaller(made, keeps, "; ".join(words), stayed)


def _macs(network: nn.Module, preprocess: Preprocess) -> int:
    return measure_network(unrounded(network), (1, preprocess.channels, *preprocess.size)).macs


def _was_tuned(run: Run) -> bool:
    """From published weights, on few pictures: its norms keep their statistics, and its rates are those of tuning."""
    return bool((run.manifest.plan or {}).get("pretrained"))


def _both(before: dict[str, Any] | None, plan: ChannelPlan) -> dict[str, Any]:
    """A run that was pruned before has both cuts in one plan."""
    whole = plan if before is None else plan.after(ChannelPlan.from_dict(before))
    return whole.to_dict()


def _left(cut: PrunedResult) -> str:
    if not cut.plan.kept:
        return "no channel was removed: such a share rounds to none of any layer, so all of the network is left"
    parameters, macs = cut.after.parameters / cut.before.parameters, cut.after.macs / max(1, cut.before.macs)
    return f"{parameters:.0%} of the parameters and {macs:.0%} of the MACs are left"


def _build(described: room.Architecture, way: Way) -> room.Network:
    options = dict(described.options)
    if way.width is not None:
        options["width"] = way.width
    size = described.image_size if way.resolution is None else _scaled(described.image_size, way.resolution)
    return room.create(
        described.name,
        num_classes=described.num_classes,
        in_channels=described.in_channels,
        image_size=size,
        **options,
    )


def _scaled(size: tuple[int, int], longest: int) -> tuple[int, int]:
    height, width = size
    return round(height * longest / max(size)), round(width * longest / max(size))


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}
