"""Which tensor of a file belongs to which of a network: by name where the names agree, else by order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from itertools import zip_longest

import torch

from convlens.errors import NetworkError, counted
from convlens.zoo.weights.order import ROLES, role_of
from convlens.zoo.weights.reading import COUNTER, FileTensors
from convlens.zoo.weights.values import check_variance

OTHER_NETWORK = "create the network that the weights were trained with (name, in_channels, image_size, options)"
OTHER_ORDER = (
    "save them in the order of the layers, numbered (00_conv_weight) or under torchvision's names, and convolutions as "
    "(out, in, height, width), (out, height, width, in) or (height, width, in, out)"
)
Pairs = dict[str, tuple[str, torch.Tensor]]  # the network's name -> the file's name and tensor


def match(
    state: Mapping[str, torch.Tensor], content: FileTensors, source: str
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """(network's name -> the file's tensor, the network's names left out).

    Every shape is checked. Left out is only the last layer, the classifier, and only for another number of classes.
    Raises NetworkError that names the first tensor which does not fit, StorageError for a variance below zero.
    """
    targets = {name: tensor for name, tensor in state.items() if not name.endswith(COUNTER)}
    given = content.tensors
    if targets.keys() == given.keys():
        pairs = {name: (content.called.get(name, name), given[name]) for name in targets}
    else:
        pairs = _pair_by_order(targets, given, content.ordered, source)
    classifier = _classifier(targets)
    matched, left_out = {}, []
    for name, (file_name, tensor) in pairs.items():
        expected = targets[name].shape
        fitting = _reshaped(tensor, expected)
        if fitting.shape == expected:
            check_variance(fitting, name, file_name, source)
            matched[name] = fitting
        elif name in classifier and fitting.dim() == len(expected) and fitting.shape[1:] == expected[1:]:
            left_out.append(name)
        else:
            raise NetworkError(_does_not_fit(source, file_name, tensor, name, targets, given))
    _check_classes({file_name: tensor for name, (file_name, tensor) in pairs.items() if name in classifier}, source)
    return matched, tuple(left_out)


def _classifier(names: Iterable[str]) -> list[str]:
    """The tensors of the last layer."""
    ordered = list(names)
    layer = ordered[-1].rpartition(".")[0] + "."
    return [name for name in ordered if name.startswith(layer)]


def _check_classes(classifier: Mapping[str, torch.Tensor], source: str) -> None:
    rows = {name: len(tensor) for name, tensor in classifier.items()}
    if len(set(rows.values())) > 1:
        found = " and ".join(f"'{name}' {count:,}" for name, count in rows.items())
        raise NetworkError(
            f"{source} contradicts itself about its number of classes: {found}; expected as many rows as biases; "
            "save both tensors of the last layer from the same network"
        )


def _reshaped(tensor: torch.Tensor, expected: torch.Size) -> torch.Tensor:
    """A convolution's (O, C, H, W) as a Linear layer's (O, CHW), and back: on a map of H x W they are the same."""
    if sorted((tensor.dim(), len(expected))) != [2, 4] or tensor.shape[1:].numel() != expected[1:].numel():
        return tensor
    return tensor.flatten(1) if len(expected) == 2 else tensor.unflatten(1, expected[1:])


def _pair_by_order(
    targets: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], ordered: bool, source: str
) -> Pairs:
    """The n-th tensor of the file for the n-th of the network; weight to weight and bias to bias."""
    if not ordered:
        stranger = next(name for name in [*given, *targets] if name not in targets or name not in given)
        raise NetworkError(
            f"{source} has other tensors than the network, the first is '{stranger}', and neither the file nor its "
            f"names tell their order; {_remedy(targets, given)}"
        )
    pairs: Pairs = {}
    for target, (file_name, tensor) in _in_step(targets, given, source):
        pairs[target] = (file_name, tensor)
        roles = {role_of(target), role_of(file_name)} - {None}
        if len(roles) > 1 and tensor.shape == targets[target].shape:
            raise NetworkError(f"{source}: '{file_name}' stands where the network has '{target}'; {OTHER_ORDER}")
    return pairs


def _in_step(
    targets: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], source: str
) -> list[tuple[str, tuple[str, torch.Tensor]]]:
    """The pairs; where one side is longer, NetworkError with the first tensor of which the shapes disagree."""
    if len(targets) == len(given):
        return list(zip(targets, given.items(), strict=True))
    alone = _on_one_side(targets, given)
    for (target, expected), (file_name, tensor) in zip(targets.items(), given.items(), strict=False):
        if alone is None and _reshaped(tensor, expected.shape).shape != expected.shape:
            raise NetworkError(_does_not_fit(source, file_name, tensor, target, targets, given))
    ours, theirs = alone or next(pair for pair in zip_longest(targets, given) if None in pair)
    whose = f"the network's '{ours}' is not in the file" if ours else f"the file's '{theirs}' is not in the network"
    has = f"{counted(len(given), 'tensor')} and the network {len(targets)}"
    raise NetworkError(f"{source} has {has}: {whose}; {OTHER_NETWORK}")


def _on_one_side(
    targets: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
) -> tuple[str | None, str | None] | None:
    """(the network's first tensor that the file lacks, None), or (None, the file's first that the network lacks), where
    a layer's tensors or fewer are too few, and by shapes and roles all others stand in step.
    """
    if abs(len(targets) - len(given)) > len(ROLES):
        return None
    ours, theirs = ([(_flat(t), role_of(name)) for name, t in side.items()] for side in (targets, given))
    codes = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    kinds = {kind for kind, *_ in codes} - {"equal"}
    first = next(code for code in codes if code[0] != "equal")
    if kinds == {"delete"}:
        return list(targets)[first[1]], None
    return (None, list(given)[first[3]]) if kinds == {"insert"} else None


def _flat(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape[:2]) if tensor.shape[2:] == (1, 1) else tuple(tensor.shape)


def _does_not_fit(
    source: str,
    file_name: str,
    tensor: torch.Tensor,
    target: str,
    targets: Mapping[str, torch.Tensor],
    given: Mapping[str, torch.Tensor],
) -> str:
    place = list(targets).index(target) + 1
    return (
        f"{source}: '{file_name}' has shape {tuple(tensor.shape)}, and the network's '{target}' has "
        f"{tuple(targets[target].shape)}, tensor {place} of {len(targets)}; {_remedy(targets, given)}"
    )


def _remedy(targets: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> str:
    """Where the file has all that the network has but for the classifier, the network is right and the order wrong."""
    classifier = _classifier(targets)
    ours = Counter(tensor.numel() for name, tensor in targets.items() if name not in classifier)
    theirs = Counter(tensor.numel() for tensor in given.values())
    return OTHER_ORDER if len(targets) == len(given) and ours <= theirs else OTHER_NETWORK
