"""How much each channel matters: the size of what makes it.

    weights    the sum of |w| of the filters that make it (Li et al. 2016, https://arxiv.org/abs/1608.08710)
    scales     |scale| of the batch norms that it goes through (Liu et al. 2017, https://arxiv.org/abs/1708.06519),
               which training with `l1_scales` brings to zero; the first where there is no batch norm

Each is divided by its mean over the layer, so that layers can be compared. A unit of several layers, such as a channel
of a residual stream, has the mean of what it has in each.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from convlens.errors import UsageError, unknown_name
from convlens.graph.coupling import Coupling
from convlens.graph.labels import Key

IMPORTANCES = ("weights", "scales")


def check_importance(kind: str) -> None:
    if kind not in IMPORTANCES:
        raise unknown_name("importance", kind, IMPORTANCES, f"choose {' or '.join(IMPORTANCES)}")


def importance_of(network: nn.Module, coupling: Coupling, kind: str = "weights") -> np.ndarray:
    """(num_units,), 0 or more; 1 is the mean of a layer. UsageError for another kind, or scales of no norm."""
    check_importance(kind)
    weights = _mean_over(network, coupling, coupling.producers)
    if kind == "weights":
        return np.nan_to_num(weights)
    if not (keys := _scales(network, coupling)):
        raise UsageError(
            f"{type(network).__name__} has no batch norm whose scales tell what a channel matters; take the importance "
            "'weights'"
        )
    scales = _mean_over(network, coupling, keys)
    return np.nan_to_num(np.where(np.isnan(scales), weights, scales))


def _scales(network: nn.Module, coupling: Coupling) -> frozenset[Key]:
    norms = {f"{path}.weight" for path, m in network.named_modules() if isinstance(m, nn.modules.batchnorm._NormBase)}
    return frozenset(key for key in coupling.units if key[0] in norms)


def _mean_over(network: nn.Module, coupling: Coupling, keys: frozenset[Key]) -> np.ndarray:
    """NaN for units that none of these dimensions has."""
    total, count = np.zeros(coupling.num_units), np.zeros(coupling.num_units)
    for name, dim in sorted(keys):
        size = network.get_parameter(name).detach().abs().double()
        rows = size.movedim(dim, 0).flatten(1).sum(1) if size.ndim > 1 else size
        relative = (rows / rows.mean().clamp(min=1e-30)).cpu().numpy()
        np.add.at(total, coupling.units[name, dim], relative)
        np.add.at(count, coupling.units[name, dim], 1)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = total / count
    return mean
