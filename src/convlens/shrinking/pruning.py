"""Structured pruning: channels are removed for good, and the network is smaller for it.

What must go together is the graph's coupling; what matters least goes first. No retraining happens here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
from torch import nn

from convlens.errors import NetworkError, UsageError, check_count, unknown_name
from convlens.graph.channel_plan import ChannelPlan, apply_channel_plan
from convlens.graph.coupling import ANSWER, Coupling, Kept
from convlens.graph.cutting import channel_plan, sound_coupling
from convlens.graph.tracing import bare_network
from convlens.layers.computed_weights import check_copyable
from convlens.layers.fake_quantised import check_unrounded
from convlens.measurement import NetworkMeasure, measure_network
from convlens.shrinking.importance import check_importance, importance_of

SPREADS = ("uniform", "global")
TARGETS = ("channels", "macs")
ROUNDS = 8  # of the search for a share of the MACs
Counts = dict[int, float]


@dataclass(frozen=True)
class PrunedResult:
    """`network` is a copy, cut; `plan` cuts another one like it. `kept` are operations whose channels had to stay."""

    network: nn.Module
    plan: ChannelPlan
    before: NetworkMeasure
    after: NetworkMeasure
    kept: tuple[Kept, ...]


@dataclass(frozen=True)
class _Scored:
    """A network with its coupling and the importance of its units."""

    network: nn.Module
    shape: Any
    coupling: Coupling
    scores: np.ndarray
    least: int
    multiple: int
    chosen: frozenset[int]  # layers, by their place in the coupling

    def plan(self, counts: Counts, *, least: int | None = None) -> ChannelPlan:
        sizes = {"least": self.least if least is None else least, "multiple": self.multiple}
        return channel_plan(self.network, self.shape, self.coupling, counts, self.scores, **sizes)

    def cut(self, plan: ChannelPlan) -> nn.Module:
        return apply_channel_plan(copy.deepcopy(self.network), plan)

    @property
    def can_lose(self) -> bool:
        """Whether anything goes of the layers that were chosen, where each is to keep one channel."""
        layers = enumerate(self.coupling.layers)
        fewest = {number: 1.0 if number in self.chosen else float(len(layer.units)) for number, layer in layers}
        try:
            return bool(self.plan(fewest, least=1).kept)
        except NetworkError:
            return True  # so few were not to be had, which says nothing of some more

    def rounded(self, counts: Counts) -> Counts:
        """At least so many, and multiples where the layer has as many; what is linked is rounded by its order."""
        found = {}
        for number, layer in enumerate(self.coupling.layers):
            size, wanted = len(layer.units), max(counts[number], self.least)
            if number not in self.chosen:
                wanted = size
            elif self.multiple > 1 and layer.linked is None:
                wanted = max(1, round(wanted / self.multiple)) * self.multiple
            found[number] = min(float(size), wanted)
        return found


def prune(
    network: nn.Module,
    shape: Any,
    amount: float = 0.5,
    *,
    importance: str = "weights",
    spread: str = "uniform",
    target: str = "channels",
    least: int = 1,
    multiple: int = 1,
    only: str | None = None,
) -> PrunedResult:
    """A network and the whole shape of its input, (1, 3, 224, 224) -> a copy without a share of its channels.

    "uniform" takes the same share of every layer, "global" the least important of all. With `target` "macs", so many
    channels go that a share `amount` of the MACs does. Every layer keeps `least` channels, and where it can a multiple
    of `multiple`: 8 is what vector units like. `only` is a pattern of parameters, like "stages.2.*": layers that have
    none of them stay whole. NetworkError where nothing can go, or the network cannot be traced.
    """
    _check(amount, spread, target)
    check_importance(importance)
    network = bare_network(network)
    check_copyable(network)
    check_unrounded(network, "pruned")
    coupling = sound_coupling(network, shape)
    if not coupling.layers:
        kept = sorted(coupling.kept, key=lambda one: one.reason == ANSWER)  # which every network has
        raise _nothing_goes(network, f"{kept[0].op}: {kept[0].reason}" if kept else "")
    scores = importance_of(network, coupling, importance)
    sizes, chosen = (check_count("least", least), check_count("multiple", multiple)), _chosen(coupling, only)
    found = _Scored(network, shape, coupling, scores, *sizes, chosen)
    counts_at = _uniform if spread == "uniform" else _global
    before = measure_network(network, shape)
    if target == "channels":
        plan = found.plan(found.rounded(counts_at(found, amount)))
    else:
        plan = _to_macs(found, counts_at, (1 - amount) * before.macs)
    if not plan.kept and not found.can_lose:
        cuts = ", ".join(dict.fromkeys(cut.op for cut in coupling.cuts))
        raise _nothing_goes(network, f"{cuts}: with fewer of them its parts no longer meet" if cuts else "")
    small = found.cut(plan)
    return PrunedResult(small, plan, before, measure_network(small, shape), coupling.kept)


def _nothing_goes(network: nn.Module, why: str) -> NetworkError:
    because = f" ({why})" if why else ""
    return NetworkError(f"{type(network).__name__} has no channels that can be removed{because}; nothing was changed")


def _check(amount: float, spread: str, target: str) -> None:
    if not isinstance(amount, int | float) or not 0 < amount < 1:
        raise UsageError(f"the share to prune came as {amount}; expected a number above 0 and below 1, like 0.5")
    for kind, value, choices in (("spread", spread, SPREADS), ("target", target, TARGETS)):
        if value not in choices:
            raise unknown_name(kind, value, choices, f"choose {' or '.join(choices)}")


def _chosen(coupling: Coupling, only: str | None) -> frozenset[int]:
    """Layers with a parameter that matches; UsageError where none has."""
    every = enumerate(coupling.layers)
    chosen = frozenset(n for n, layer in every if only is None or any(fnmatch(name, only) for name in layer.names))
    if not chosen:
        known = [layer.names[0] for layer in coupling.layers]
        raise UsageError(
            f"--only came as '{only}', and no layer that can be pruned has such a parameter; there are "
            f"{', '.join(known[:3])}, … {known[-1]}"
        )
    return chosen


def _uniform(found: _Scored, amount: float) -> Counts:
    return {number: len(layer.units) * (1 - amount) for number, layer in enumerate(found.coupling.layers)}


def _global(found: _Scored, amount: float) -> Counts:
    """Of each layer as many as are more important than this share of all."""
    units = np.concatenate([found.coupling.layers[number].units for number in sorted(found.chosen)])
    threshold = float(np.quantile(found.scores[units], amount))
    layers = enumerate(found.coupling.layers)
    return {number: float((found.scores[layer.units] > threshold).sum()) for number, layer in layers}


def _to_macs(found: _Scored, counts_at: Callable[[_Scored, float], Counts], most: float) -> ChannelPlan:
    """By bisection: the fewest channels go with which at most so many MACs are left, or else as many as can."""
    low, high = 0.0, 1.0
    best: ChannelPlan | None = None
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        plan = found.plan(found.rounded(counts_at(found, middle)))
        if measure_network(found.cut(plan), found.shape).macs <= most:
            high, best = middle, plan
        else:
            low = middle
    return found.plan(found.rounded(counts_at(found, 1.0))) if best is None else best
