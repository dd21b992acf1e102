"""Which tensor of a file belongs to which of a network: by name where the names agree, else by order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

import torch

from convlens.errors import NetworkError
from convlens.zoo.weights.reading import FileTensors

COUNTER = "num_batches_tracked"  # counts training steps; many files have none, and inference needs none
ROLES = {
    "running_mean": "mean",
    "running_var": "variance",
    "weight": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
}
# Where GoogLeNet and Inception v3 keep classifiers that only training calls, here and in torchvision.
AUXILIARY = ("auxiliary.", "aux1.", "aux2.", "AuxLogits.")
REMEDY = "create the network that the weights were trained with (name, in_channels, image_size, options)"


def match(
    state: Mapping[str, torch.Tensor], content: FileTensors, source: str
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """(network's name -> the file's tensor, the network's names left out).

    Every shape is checked. Left out is only the last layer, the classifier, and only for another number of classes.
    A file's auxiliary classifiers are passed over where the network was created without.
    Raises NetworkError that names the first tensor which does not fit.
    """
    targets = {name: tensor for name, tensor in state.items() if not name.endswith(COUNTER)}
    given = {name: tensor for name, tensor in content.tensors.items() if not name.endswith(COUNTER)}
    if not any(name.startswith(AUXILIARY) for name in targets):
        given = {name: tensor for name, tensor in given.items() if not name.startswith(AUXILIARY)}
    if targets.keys() == given.keys():
        pairs = {name: (name, given[name]) for name in targets}
    else:
        pairs = _pair_by_order(targets, given, content.ordered, source)
    classifier = next(reversed(targets)).rpartition(".")[0] + "."
    matched, left_out = {}, []
    for name, (file_name, tensor) in pairs.items():
        expected = targets[name].shape
        if tensor.shape == expected:
            matched[name] = tensor
        elif name.startswith(classifier) and tensor.shape[1:] == expected[1:]:
            left_out.append(name)
        else:
            called = content.called.get(file_name, file_name)
            raise NetworkError(_does_not_fit(source, called, tensor, name, targets[name]))
    return matched, tuple(left_out)


def _pair_by_order(
    targets: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], ordered: bool, source: str
) -> dict[str, tuple[str, torch.Tensor]]:
    """The n-th tensor of the file for the n-th of the network; weight to weight and bias to bias."""
    if not ordered:
        stranger = next(name for name in [*given, *targets] if name not in targets or name not in given)
        raise NetworkError(
            f"{source} has other tensors than the network, the first is '{stranger}', and safetensors files keep no "
            f"order to go by; {REMEDY}, or give the .pth file"
        )
    pairs: dict[str, tuple[str, torch.Tensor]] = {}
    for target, (file_name, tensor) in _in_step(targets, given, source):
        pairs[target] = (file_name, tensor)
        roles = {role for name in (target, file_name) for ending, role in ROLES.items() if name.endswith(ending)}
        if len(roles) > 1 and tensor.shape == targets[target].shape:
            raise NetworkError(f"{source}: '{file_name}' stands where the network has '{target}'; {REMEDY}")
    return pairs


def _in_step(
    targets: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], source: str
) -> list[tuple[str, tuple[str, torch.Tensor]]]:
    """The pairs; where one side is longer, NetworkError with the first tensor of which the shapes disagree."""
    if len(targets) == len(given):
        return list(zip(targets, given.items(), strict=True))
    for (target, expected), (file_name, tensor) in zip(targets.items(), given.items(), strict=False):
        if tensor.shape != expected.shape:
            raise NetworkError(_does_not_fit(source, file_name, tensor, target, expected))
    target, extra = next(pair for pair in zip_longest(targets, given) if None in pair)
    whose = f"the network's '{target}' is not in the file" if target else f"the file's '{extra}' is not in the network"
    raise NetworkError(f"{source} has {len(given)} tensors and the network {len(targets)}: {whose}; {REMEDY}")


def _does_not_fit(source: str, file_name: str, tensor: torch.Tensor, target: str, expected: torch.Tensor) -> str:
    return (
        f"{source}: '{file_name}' has shape {tuple(tensor.shape)}, and the network's '{target}' has "
        f"{tuple(expected.shape)}; {REMEDY}"
    )
