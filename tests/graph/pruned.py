"""Prune a network whose channels that go were dead before: then no answer may change."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.graph.channel_plan import ChannelPlan, apply_channel_plan
from convlens.graph.coupling import Coupling
from convlens.graph.cutting import channel_plan, sound_coupling


def plan_of(network: nn.Module, inputs: Any, share: float = 0.5, seed: int = 0) -> tuple[Coupling, ChannelPlan]:
    """A plan that keeps this share of each layer, by scores drawn at random."""
    coupling = sound_coupling(network, inputs)
    counts = {number: share * len(layer.units) for number, layer in enumerate(coupling.layers)}
    scores = np.random.default_rng(seed).random(coupling.num_units)
    return coupling, channel_plan(network, inputs, coupling, counts, scores)


def stirred(network: nn.Module) -> nn.Module:
    """Statistics and shifts of batch norm that are not those of a new network."""
    draw = torch.Generator().manual_seed(1)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if tensor.ndim == 1 and tensor.is_floating_point():
            low = 0.5 if name.endswith(("running_var", "weight")) else -0.3
            tensor.detach().copy_(low + torch.rand(tensor.shape, generator=draw, dtype=torch.float64))
    return network


@torch.no_grad()
def deadened(network: nn.Module, coupling: Coupling, plan: ChannelPlan) -> nn.Module:
    """What makes, weighs and shifts a unit of which anything goes becomes zero."""
    dead = copy.deepcopy(network)
    tensors = dict(dead.named_parameters()) | dict(dead.named_buffers())
    going = np.zeros(coupling.num_units, dtype=bool)
    for (name, dim), units in coupling.units.items():
        left = plan.kept.get(name, {}).get(dim, range(len(units)))
        going[units[np.setdiff1d(np.arange(len(units)), left)]] = True
    for (name, dim), units in coupling.units.items():
        if name not in tensors or name.endswith("running_var"):
            continue
        alone = sum(side > 1 for side in tensors[name].shape) <= 1
        if (name, dim) in coupling.producers or alone:
            tensors[name].index_fill_(dim, torch.from_numpy(np.flatnonzero(going[units])), 0.0)
    return dead


def difference(network: nn.Module, images: Tensor, share: float = 0.5) -> tuple[float, float]:
    """-> how far the pruned network's logits are from those of the deadened one, and the share of parameters left."""
    network = stirred(network.double().eval())
    coupling, plan = plan_of(network, tuple(images.shape), share)
    plan = ChannelPlan.from_dict(plan.to_dict())
    dead = deadened(network, coupling, plan)
    small = apply_channel_plan(copy.deepcopy(dead), plan)
    with torch.inference_mode():
        expected, found = dead(images.double()), small(images.double())
    assert found.shape == expected.shape and bool(found.isfinite().all())
    size = sum(p.numel() for p in small.parameters()) / sum(p.numel() for p in network.parameters())
    scale = float(expected.abs().max().clamp(min=1))
    return float((found - expected).abs().max()) / scale, size
