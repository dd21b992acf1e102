"""The channel plan: which channels of which parameters are left of a network, as JSON, and how it is replayed.

    plan = ChannelPlan.from_dict(run.manifest.channel_plan)
    apply_channel_plan(network, plan)      # a network as its architecture builds it -> the pruned one

`docs/run-format.md` describes the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from convlens.errors import NetworkError

Indices = tuple[int, ...]
MOST_CHANNELS = 10_000_000  # of a plan that is read: more is damage, and no memory
ATTRIBUTES = (
    "in_channels",
    "out_channels",
    "groups",
    "in_features",
    "out_features",
    "num_features",
    "num_parameters",
    "embedding_dim",
    "padding",
)


@dataclass(frozen=True)
class ChannelPlan:
    """`kept[name][dim]` are the indices that are left, in their new order; -1 (in JSON "new") is one of zeros.

    Where a convolution has groups, named in `groups`, those of its second dimension count the channels of all groups.
    `attributes` are the sizes that modules hold beside their parameters, by the path of the module.
    """

    kept: Mapping[str, Mapping[int, Indices]] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, int | Indices]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: each list of indices once, as text like "0-15,20", and where it stands."""
        lists: dict[Indices, int] = {}
        tensors = {
            name: {str(dim): lists.setdefault(tuple(indices), len(lists)) for dim, indices in dims.items()}
            for name, dims in self.kept.items()
        }
        attributes = {
            path: {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
            for path, values in self.attributes.items()
        }
        return {
            "kept": [as_text(one) for one in lists],
            "tensors": tensors,
            "groups": dict(self.groups),
            "attributes": attributes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ChannelPlan:
        """The inverse of `to_dict`; raises NetworkError for what is no plan."""
        try:
            lists = [from_text(one) for one in values["kept"]]
            kept = {n: {int(dim): lists[at] for dim, at in dims.items()} for n, dims in values["tensors"].items()}
            attributes = {
                path: {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
                for path, found in values["attributes"].items()
            }
            return cls(kept, dict(values["groups"]), attributes)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise NetworkError(f"the channel plan cannot be read ({type(error).__name__}: {error})") from error

    def holds(self, network: nn.Module) -> bool:
        """Whether a network has just the sizes that the plan leaves."""
        tensors = dict(network.named_parameters()) | dict(network.named_buffers())
        shapes = {name: tuple(tensors[name].shape) if name in tensors else () for name in self.kept}
        return bool(self.kept) and all(
            dim < len(shapes[name]) and shapes[name][dim] * (self.groups.get(name, 1) if dim == 1 else 1) == len(left)
            for name, dims in self.kept.items()
            for dim, left in dims.items()
        )

    def after(self, earlier: ChannelPlan) -> ChannelPlan:
        """The plan that does at once what `earlier` and then this one do."""
        kept = {name: dict(dims) for name, dims in earlier.kept.items()}
        for name, dims in self.kept.items():
            for dim, indices in dims.items():
                before = kept.setdefault(name, {}).get(dim)
                kept[name][dim] = indices if before is None else tuple(before[i] if i >= 0 else -1 for i in indices)
        attributes = {path: dict(values) for path, values in earlier.attributes.items()}
        for path, values in self.attributes.items():
            attributes.setdefault(path, {}).update(values)
        return ChannelPlan(kept, {**earlier.groups, **self.groups}, attributes)


def as_text(indices: Indices) -> str:
    """(0, 1, 2, 7, -1) -> "0-2,7,new"."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1 > 0:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join("new" if a < 0 else str(a) if a == b else f"{a}-{b}" for a, b in runs)


def from_text(text: str) -> Indices:
    found: list[int] = []
    for part in text.split(","):
        if part == "new":
            found.append(-1)
        else:
            first, _, last = part.partition("-")
            if int(last or first) >= MOST_CHANNELS:
                raise ValueError(f"no layer has {int(last or first):,} channels")
            found.extend(range(int(first), int(last or first) + 1))
    kept = sorted(index for index in found if index >= 0)
    if twice := [one for one, next_one in pairwise(kept) if one == next_one]:
        raise ValueError(f"channel {twice[0]:,} is kept twice")
    return tuple(found)


def apply_channel_plan(network: nn.Module, plan: ChannelPlan) -> nn.Module:
    """Cuts the parameters and buffers of a network in place, and sets the sizes that its modules hold -> the network.

    NetworkError, in one line, where the plan is not for this network; it is then as it was.
    """
    cut = {name: _cut(network, name, dims, plan.groups.get(name, 1)) for name, dims in plan.kept.items()}
    for path, values in plan.attributes.items():
        _check_attributes(network, path, values)
    _put(network, cut)
    for path, values in plan.attributes.items():
        for key, value in values.items():
            setattr(network.get_submodule(path), key, value)
    return network


def _cut(network: nn.Module, name: str, dims: Mapping[int, Indices], groups: int) -> Tensor:
    tensor = _tensor(network, name).detach()
    sizes = [side * groups if dim == 1 else side for dim, side in enumerate(tensor.shape)]
    for dim, indices in dims.items():
        if dim >= tensor.ndim or not indices or max(indices) >= sizes[dim]:
            raise NetworkError(
                f"the channel plan keeps {as_text(indices)[:40]} of dimension {dim} of '{name}', whose shape is "
                f"{tuple(tensor.shape)}; it is for another network"
            )
    if groups > 1 and 1 in dims:
        if any(len(indices) % groups for indices in dims.values()) or len(tensor) % groups:
            raise NetworkError(f"the channel plan gives the {groups} groups of '{name}' unequal numbers of channels")
        return _cut_groups(tensor, dims, groups)
    for dim, indices in dims.items():
        tensor = _chosen(tensor, dim, indices)
    return tensor


def _chosen(tensor: Tensor, dim: int, indices: Sequence[int]) -> Tensor:
    places = torch.tensor([max(index, 0) for index in indices], device=tensor.device)
    chosen = tensor.index_select(dim, places)
    new = [place for place, index in enumerate(indices) if index < 0]
    return chosen.index_fill_(dim, torch.tensor(new, device=tensor.device), 0) if new else chosen


def _cut_groups(filters: Tensor, dims: Mapping[int, Indices], groups: int) -> Tensor:
    """(K, C / groups, …): each group keeps as many channels, which may be others in each."""
    rows = dims.get(0, tuple(range(len(filters))))
    wide, tall, deep = filters.shape[1], len(rows) // groups, len(dims[1]) // groups
    cut = filters.new_empty(len(rows), deep, *filters.shape[2:])
    for at in range(groups):
        columns = [index % wide if index >= 0 else -1 for index in dims[1][deep * at : deep * (at + 1)]]
        mine = _chosen(filters, 0, rows[tall * at : tall * (at + 1)])
        cut[tall * at : tall * (at + 1)] = _chosen(mine, 1, columns)
    return cut


def _tensor(network: nn.Module, name: str) -> Tensor:
    path, _, last = name.rpartition(".")
    try:
        module = network.get_submodule(path)
        found = module._parameters.get(last, module._buffers.get(last))
    except AttributeError:
        found = None
    if found is None:
        raise NetworkError(f"the channel plan names '{name}', which this network does not have; it is for another one")
    return found


def _put(network: nn.Module, cut: Mapping[str, Tensor]) -> None:
    """In every place that holds an old one: a parameter may have several names."""
    new: dict[int, Tensor] = {}
    for name, tensor in cut.items():
        old = _tensor(network, name)
        new[id(old)] = nn.Parameter(tensor, old.requires_grad) if isinstance(old, nn.Parameter) else tensor
    for module in network.modules():
        for held in (module._parameters, module._buffers):
            held.update({key: new[id(value)] for key, value in held.items() if id(value) in new})  # type: ignore[misc]


def _check_attributes(network: nn.Module, path: str, values: Mapping[str, Any]) -> None:
    try:
        module = network.get_submodule(path)
    except AttributeError as error:
        raise NetworkError(
            f"the channel plan names the module '{path}', which this network does not have; it is for another one"
        ) from error
    for key, value in values.items():
        if key not in ATTRIBUTES or not isinstance(getattr(module, key, None), type(value)):
            raise NetworkError(f"the channel plan sets '{key}' of '{path}', which holds no such size")
