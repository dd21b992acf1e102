"""From numbers of channels to a channel plan.

The network is first cut to its new sizes, without looking at which channels stay, and traced again on the meta device.
Then each unit of the small network is matched with one of the large one that lies in the same dimensions of the same
parameters. So chunks, shuffles and groups, which go by the order of channels, come out right: the small network's own
operations say which channels meet. A network whose forward holds sizes as numbers fails this trial, and what such
operations read stays. Layers of one channel are matched with two of them, for a dimension of one has no stride of its
own to know it by; then the second goes, where the network runs as before without it.

Of ShuffleNet v2, whose channels pass through more or fewer units, a small network may have one for which the large one
has none left: it takes the filters of another, and what would read it begins at zero.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from convlens.errors import NetworkError
from convlens.graph.channel_plan import ChannelPlan, Indices, apply_channel_plan
from convlens.graph.coupling import Coupling, Layer, couple
from convlens.graph.graph import Graph
from convlens.graph.labels import Cut, Key
from convlens.graph.tracing import bare_network, trace

TRIES = 24  # of sizes for layers that are taken apart in order
WITHOUT = 1 / 8  # the most of a network's linked units that may have no unit of the large one
SLICES = ("slice", "split", "split_with_sizes", "unsafe_split", "chunk")


class Mismatch(Exception):
    """The small network's units are not those of the large one; `linked` are the layers whose sizes are at fault."""

    def __init__(self, linked: set[int]) -> None:
        super().__init__()
        self.linked = linked


@dataclass(frozen=True)
class Sizes:
    """`going` (units,) are the units that go where order does not matter; `steps` what is left of linked layers."""

    going: np.ndarray
    steps: Mapping[int, int]


def sound_coupling(model: nn.Module, inputs: Any) -> Coupling:
    """The coupling of a network that has passed a trial with half of its channels.

    Operations whose sizes are numbers in the forward are found one by one, and keep what they read.
    """
    model = bare_network(model)
    graph = trace(model, inputs)
    coupling = couple(model, graph)
    if _passes(model, inputs, coupling):
        return coupling
    every = frozenset(coupling.fragile)
    numbered = frozenset(n for n in every if not _passes(model, inputs, couple(model, graph, stays=every - {n})))
    coupling = couple(model, graph, stays=numbered)
    if not _passes(model, inputs, coupling):
        coupling = couple(model, graph, stays=every)
    if not _passes(model, inputs, coupling):
        raise _holds_numbers(model)
    return coupling


def _holds_numbers(model: nn.Module) -> NetworkError:
    return NetworkError(
        f"{type(model).__name__} cannot run with fewer channels: its forward holds sizes as numbers; let it read "
        "them off its tensors (x.shape)"
    )


def _passes(model: nn.Module, inputs: Any, coupling: Coupling) -> bool:
    half = {number: len(layer.units) / 2 for number, layer in enumerate(coupling.layers)}
    try:
        channel_plan(model, inputs, coupling, half, np.zeros(coupling.num_units))
    except NetworkError:
        return False
    return True


def channel_plan(
    model: nn.Module,
    inputs: Any,
    coupling: Coupling,
    counts: Mapping[int, float],
    scores: np.ndarray,
    *,
    least: int = 1,
    multiple: int = 1,
) -> ChannelPlan:
    """How many units each layer keeps, by its number, and each unit's score, of which the highest stay -> the plan.

    Layers that are taken apart in order keep the same share of each, as near to the asked one as their order allows
    with `least` in every one, and multiples of `multiple` where there are any. NetworkError where the network cannot
    run so.
    """
    model = bare_network(model)
    going, spared = (_going(coupling, counts, scores, fewest) for fewest in (1, 2))
    choices = {at: _choices(coupling, at, counts, least, multiple) for at in sorted({*_links(coupling)})}
    for _ in range(TRIES):
        sizes = Sizes(spared, {at: found[0] for at, found in choices.items()})
        try:
            return _matched(model, inputs, coupling, sizes, scores, going)
        except Mismatch as error:
            wrong = [at for at in error.linked if len(choices[at]) > 1] or [a for a, c in choices.items() if len(c) > 1]
            if not wrong:
                break
            for at in wrong:
                choices[at] = choices[at][1:]
    raise NetworkError(f"no smaller sizes of {type(model).__name__} were found at which its channels still meet alike")


def _links(coupling: Coupling) -> list[int]:
    return [layer.linked for layer in coupling.layers if layer.linked is not None]


def _going(coupling: Coupling, counts: Mapping[int, float], scores: np.ndarray, fewest: int) -> np.ndarray:
    going = np.zeros(coupling.num_units, dtype=bool)
    for number, layer in enumerate(coupling.layers):
        if layer.linked is None:
            order = np.argsort(-scores[layer.units], kind="stable")
            going[layer.units[order[max(fewest, int(counts.get(number, len(order)) + 0.5)) :]]] = True
    return going


def _choices(coupling: Coupling, linked: int, counts: Mapping[int, float], least: int, multiple: int) -> list[int]:
    """The steps that these layers may keep, the best first; all of them last."""
    layers = [(n, layer) for n, layer in enumerate(coupling.layers) if layer.linked == linked]
    steps = coupling.steps(linked)
    total = sum(len(layer.units) for _, layer in layers)
    wanted = sum(counts.get(n, len(layer.units)) for n, layer in layers) / total
    narrowest = coupling.narrowest(linked)
    enough = [step for step in range(1, steps) if narrowest * step // steps >= min(least, narrowest)]
    near = sorted(enough, key=lambda step: abs(step - wanted * steps))
    if wanted >= 1:
        return [steps]
    inside = _inside(coupling, layers)
    fitting = [s for s in near if not any((rest + mine * s // steps) % parts for rest, mine, parts in inside)]
    even = [s for s in fitting if all(len(layer.units) * s // steps % multiple == 0 for _, layer in layers)]
    return [*[*even, *(step for step in fitting if step not in even)][: TRIES - 1], steps]


def _inside(coupling: Coupling, layers: Sequence[tuple[int, Layer]]) -> set[tuple[int, int, int]]:
    """Of what is taken apart: how many are not of these layers, how many are, and into how many parts."""
    mine = np.zeros(coupling.num_units, dtype=bool)
    for _, layer in layers:
        mine[layer.units] = True
    found = {(cut.labels.size, int(mine[cut.labels].sum()), cut.parts) for cut in coupling.cuts}
    return {(whole - inside, inside, parts) for whole, inside, parts in found if inside}


def _matched(
    model: nn.Module, inputs: Any, old: Coupling, sizes: Sizes, scores: np.ndarray, going: np.ndarray
) -> ChannelPlan:
    """What is `going` beside what `sizes` leaves out goes too, unless the network then runs otherwise."""
    graph, new = _traced(model, inputs, old, _plan(model, old, _rough(old, sizes)))
    if new.num_nodes != old.num_nodes:
        raise Mismatch(set())
    _check_cuts(model, old, new)
    match = _match(old, new, sizes, scores)
    kept = {key: _indices(old, new, key, match) for key in old.units}
    if np.array_equal(going, sizes.going):
        return _plan(model, old, kept)
    fewer = {key: tuple(i for i in left if i < 0 or not going[old.units[key][i]]) for key, left in kept.items()}
    plan = _plan(model, old, fewer)
    try:
        alike = _ranks(_traced(model, inputs, old, plan)[0]) == _ranks(graph)
    except NetworkError:
        alike = False
    return plan if alike else _plan(model, old, kept)


def _check_cuts(model: nn.Module, old: Coupling, new: Coupling) -> None:
    """Both are taken apart by the same operations, and sliced into as many parts."""
    parts = {cut.node: cut.parts for cut in new.cuts}
    if any(parts.get(cut.node) != cut.parts for cut in old.cuts if cut.op in SLICES):
        raise _holds_numbers(model)
    if [cut.node for cut in _unseen_cuts(old)] != [cut.node for cut in _unseen_cuts(new)]:
        raise Mismatch(set())


def _unseen_cuts(coupling: Coupling) -> list[Cut]:
    """Those that `parts` of a parameter do not tell."""
    return [cut for cut in coupling.cuts if cut.op != "convolution"]


def _traced(model: nn.Module, inputs: Any, old: Coupling, plan: ChannelPlan) -> tuple[Graph, Coupling]:
    """The network as the plan leaves it."""
    small = apply_channel_plan(_on_meta(model), plan)
    graph = trace(small, inputs)
    return graph, couple(small, graph, stays=old.stays)


def _ranks(graph: Graph) -> list[tuple[str, int]]:
    """Its operations, and how many dimensions each gives."""
    return [(node.op, len(node.output_shape)) for node in graph.nodes]


def _on_meta(model: nn.Module) -> nn.Module:
    """A copy without its weights."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, memo)


def _rough(old: Coupling, sizes: Sizes) -> dict[Key, Indices]:
    """For each dimension as many indices as will be left, of each part its first ones."""
    share = np.ones(old.num_units)
    share[sizes.going] = 0
    for layer in old.layers:
        if layer.linked is not None:
            share[layer.units] = sizes.steps[layer.linked] / old.steps(layer.linked)
    found = {}
    for key, units in old.units.items():
        parts = old.parts.get(key, np.zeros(len(units), dtype=int))
        places = [np.flatnonzero(parts == part) for part in np.unique(parts)]
        left = [at[: round(float(share[units[at]].sum()))] for at in places]
        found[key] = tuple(int(i) for i in np.concatenate(left))
    return found


def _signatures(coupling: Coupling, twin: Coupling) -> dict[int, tuple[tuple[Any, ...], ...]]:
    """Unit -> in which parts of which dimensions, and of what its twin takes apart alike, it lies, and how often."""
    places: list[tuple[tuple[Any, ...], np.ndarray, np.ndarray]] = []
    for key in sorted(coupling.units):
        units = coupling.units[key]
        places.append((key, units, coupling.parts.get(key, np.zeros(len(units), dtype=int))))
    for number, (cut, other) in enumerate(zip(_unseen_cuts(coupling), _unseen_cuts(twin), strict=True)):
        for dim, (side, same) in enumerate(zip(cut.labels.shape, other.labels.shape, strict=True)):
            if side == same > 1:
                part = np.indices(cut.labels.shape)[dim]
                places.append(((number, dim), cut.labels.ravel(), part.ravel()))
    found: dict[int, list[tuple[Any, ...]]] = {}
    for name, units, parts in places:
        rows, counts = np.unique(np.stack([units, parts]), axis=1, return_counts=True)
        for unit, part, count in zip(*rows.tolist(), counts.tolist(), strict=True):
            found.setdefault(unit, []).append((*name, part, count))
    return {unit: tuple(rows) for unit, rows in found.items()}


def _match(old: Coupling, new: Coupling, sizes: Sizes, scores: np.ndarray) -> np.ndarray:
    """(units of the small network,): the unit of the large one that each is."""
    there: dict[Any, list[int]] = {}
    for unit, signature in _signatures(old, new).items():
        if unit and not sizes.going[unit]:
            there.setdefault(signature, []).append(unit)
    here: dict[Any, list[int]] = {}
    for unit, signature in _signatures(new, old).items():
        if unit:
            here.setdefault(signature, []).append(unit)
    match = np.zeros(new.num_units, dtype=np.int64)
    lacking: list[int] = []
    for signature, units in here.items():
        found = sorted(there.get(signature, []), key=lambda unit: -scores[unit])[: len(units)]
        match[units[: len(found)]] = sorted(found)
        lacking += units[len(found) :]
    return _with_others(old, new, match, lacking, sizes)


def _with_others(old: Coupling, new: Coupling, match: np.ndarray, lacking: list[int], sizes: Sizes) -> np.ndarray:
    """Units without one of their own take the filters of one that goes."""
    linked = _layers_of(new, lacking)
    for at in linked:
        total = sum(len(layer.units) for layer in new.layers if layer.linked == at)
        if at is None or len(lacking) > max(1, total * WITHOUT):
            raise Mismatch(_same_layers(old, new, lacking))
    free = np.setdiff1d(np.flatnonzero(old.removable & ~sizes.going), match)
    makers = {unit: _makers(old, unit) for unit in free.tolist()} if lacking else {}
    for unit in lacking:
        wanted = _makers(new, unit)
        other = next((one for one, names in makers.items() if names == wanted), None)
        if other is None:
            raise Mismatch(_same_layers(old, new, lacking))
        match[unit] = other
        del makers[other]
    return match


def _layers_of(coupling: Coupling, units: list[int]) -> set[int | None]:
    found = {layer.linked for layer in coupling.layers if set(layer.units.tolist()) & set(units)}
    return found if units and found else ({None} if units else set())


def _makers(coupling: Coupling, unit: int) -> tuple[Key, ...]:
    return tuple(sorted(key for key in coupling.producers if unit in coupling.units.get(key, ())))


def _same_layers(old: Coupling, new: Coupling, units: list[int]) -> set[int]:
    """The linked layers of the large network that are made by what makes these units of the small one."""
    keys = {key for unit in units for key in _makers(new, unit)}
    mine = {int(u) for key in keys for u in np.unique(old.units[key])}
    return {layer.linked for layer in old.layers if layer.linked is not None and mine & set(layer.units.tolist())}


def _indices(old: Coupling, new: Coupling, key: Key, match: np.ndarray) -> Indices:
    """Of which old index each new one is the successor; -1 where its unit did not lie there."""
    before, after = old.units[key], match[new.units[key]]
    none = np.zeros(max(len(before), len(after)), dtype=int)
    sides = old.parts.get(key, none), new.parts.get(key, none)
    there: dict[tuple[int, int], list[int]] = {}
    for index in np.flatnonzero(np.isin(before, after)).tolist():
        there.setdefault((int(sides[0][index]), int(before[index])), []).append(index)
    here: dict[tuple[int, int], list[int]] = {}
    for index, unit in enumerate(after.tolist()):
        here.setdefault((int(sides[1][index]), unit), []).append(index)
    indices = np.full(len(after), -1)
    for place, found in here.items():
        if len(found) == len(there.get(place, ())):
            indices[found] = there[place]
        elif place[1] == 0:  # what stays must stay where it is
            raise Mismatch(set())
    return tuple(indices.tolist())


def _plan(model: nn.Module, old: Coupling, kept: Mapping[Key, Indices]) -> ChannelPlan:
    """Of the dimensions that change, with the sizes that their modules hold."""
    modules = dict(model.named_modules())
    changed = {key: left for key, left in kept.items() if left != tuple(range(len(old.units[key])))}
    tensors: dict[str, dict[int, Indices]] = {}
    attributes: dict[str, dict[str, int | Indices]] = {}
    for (name, dim), left in changed.items():
        path = name.removesuffix(".padding")
        if path != name and path in modules:
            padding: list[int] = list(vars(modules[path])["padding"])
            padding[2 * dim : 2 * dim + 2] = np.bincount(old.parts[name, dim][list(left)], minlength=2).tolist()
            attributes[path] = {"padding": tuple(padding)}
        else:
            tensors.setdefault(name, {})[dim] = left
    for name, dims in tensors.items():
        path = name.rpartition(".")[0]
        if sizes := _sizes(modules[path], name.rpartition(".")[2], {dim: len(left) for dim, left in dims.items()}):
            attributes.setdefault(path, {}).update(sizes)
    groups = {name: int(old.parts[name, 1].max()) + 1 for name in tensors if (name, 1) in old.parts}
    return ChannelPlan(tensors, groups, attributes)


def _sizes(module: nn.Module, name: str, left: Mapping[int, int]) -> dict[str, int]:
    """What torch's layers hold beside their weight, once it has so many of each dimension that changes."""
    weight = getattr(module, name)
    if isinstance(module, nn.Linear) and name == "weight":
        return {key: left[dim] for dim, key in ((0, "out_features"), (1, "in_features")) if dim in left}
    if isinstance(module, nn.modules.conv._ConvNd) and name == "weight":
        outs, ins = (1, 0) if module.transposed else (0, 1)
        sizes = {key: left[dim] for dim, key in ((outs, "out_channels"), (ins, "in_channels")) if dim in left}
        if module.groups > 1 and weight.shape[1] == 1 and outs in left:  # depthwise
            fewer = left[outs] * module.groups // weight.shape[0]
            sizes |= {"groups": fewer, "in_channels": fewer}
        return sizes
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return {"num_features": left[0]}
    if isinstance(module, nn.PReLU):
        return {"num_parameters": left[0]}
    if isinstance(module, nn.Embedding) and 1 in left:
        return {"embedding_dim": left[1]}
    return {}
