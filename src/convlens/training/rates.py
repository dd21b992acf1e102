"""Which parameter follows which rule, and how fast.

Weight decay is for filters and matrices only, never for norms and biases (He et al. 2018). A network that is fine-tuned
learns slower the earlier the layer is (discriminative rates, Howard and Ruder 2018).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from convlens.errors import UsageError
from convlens.training.optimisers import SGD, AdamW, Group, Lookahead, Muon, Optimiser
from convlens.training.recipe import Recipe

RATES = (0.025, 0.05, 0.1, 1.0)  # of the thirds of a body, and of the classifier, when fine-tuning
ADAMW_BESIDE_MUON = 0.1  # its rate for what Muon does not turn, as a share of Muon's
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
SGD_DECAY = 0.01  # of AdamW's: a decay of 0.05 is multiplied by AdamW's small rate, SGD's by one of 0.1


def decayed_parameters(network: nn.Module, *, by_dimensions: bool = False) -> list[nn.Parameter]:
    """The filters and matrices that are trained; `by_dimensions` as in `matrices_of`."""
    wide = matrices_of(network, by_dimensions=by_dimensions)
    return [p for p in network.parameters() if p.requires_grad and p in wide]


def matrices_of(network: nn.Module, *, by_dimensions: bool = False) -> set[nn.Parameter]:
    """What makes each of its outputs of several numbers: no norm's scale, no bias, whatever their shape.

    `by_dimensions`: whatever has several counts as a matrix, as in trainings that 0.3.0 or an earlier version began.
    """
    if by_dimensions:
        return {parameter for parameter in network.parameters() if parameter.ndim > 1}
    return {
        parameter
        for module in network.modules()
        if not isinstance(module, NORMS)
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim > 1 and parameter[:1].numel() > 1 and "bias" not in name
    }


def sum_of_sizes(parameters: list[nn.Parameter]) -> torch.Tensor:
    return torch.stack([parameter.abs().sum() for parameter in parameters]).sum()


def norm_scales(network: nn.Module) -> list[nn.Parameter]:
    """The scales of all batch norms. UsageError where none has any."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    scales = [m.weight for m in norms if isinstance(m.weight, nn.Parameter) and m.weight.requires_grad]
    if not scales:
        raise UsageError(f"l1_scales came for {type(network).__name__}, whose batch norms have no scales; take l1")
    return scales


def build_optimiser(
    network: nn.Module,
    recipe: Recipe,
    *,
    pretrained: bool = False,
    muon_dtype: torch.dtype | None = None,
    by_dimensions: bool = False,
) -> Optimiser:
    """Each parameter that is trained, in one group. In `muon_dtype` Muon orthogonalises its steps.

    `by_dimensions` as in `matrices_of`.
    """
    *body, head = _layers(network)
    thirds = list(zip(_thirds(body), RATES, strict=False)) if pretrained else [(_flat(body), 1.0)]
    muon = Muon(recipe.momentum, on_sphere=recipe.on_sphere, dtype=muon_dtype) if recipe.optimiser == "muon" else None
    wide, groups = matrices_of(network, by_dimensions=by_dimensions), []
    for part, scale in [*thirds, (head, recipe.head_rate)]:
        matrices = [p for p in part if p.requires_grad and p in wide]
        others = [p for p in part if p.requires_grad and p not in wide]
        groups.append(_group(matrices, recipe, scale, decays=True, muon=None if part is head else muon))
        groups.append(_group(others, recipe, scale * recipe.bias_rate, decays=False, muon=None))
    groups = [group for group in groups if group.parameters]
    return Optimiser(groups) if recipe.lookahead is None else Lookahead(groups, recipe.lookahead)


def _layers(network: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of each layer, in the order in which the network defines them; one that is shared counts once."""
    seen = set[nn.Parameter]()
    layers = []
    for module in network.modules():
        if own := list(module.parameters(recurse=False)):
            layers.append([parameter for parameter in own if parameter not in seen])
            seen.update(own)
    return layers


def _group(chosen: list[nn.Parameter], recipe: Recipe, scale: float, *, decays: bool, muon: Muon | None) -> Group:
    """`muon` is for the matrices between the pictures and the classifier, where Muon is asked for."""
    decay = recipe.weight_decay if decays else 0.0
    if muon is not None:
        return Group(chosen, muon, decay, scale)
    is_beside = recipe.optimiser == "muon"
    if (recipe.beside_muon if is_beside else recipe.optimiser) == "sgd":
        return Group(chosen, SGD(recipe.momentum), decay * SGD_DECAY, scale)
    return Group(chosen, AdamW(recipe.betas), decay, scale * ADAMW_BESIDE_MUON if is_beside else scale)


def _flat(layers: list[list[nn.Parameter]]) -> list[nn.Parameter]:
    return [parameter for layer in layers for parameter in layer]


def _thirds(body: list[list[nn.Parameter]]) -> list[list[nn.Parameter]]:
    """The parameters of the first, second and last third of the layers."""
    ends = [round(len(body) * third / 3) for third in range(4)]
    return [_flat(body[a:b]) for a, b in pairwise(ends)]
