"""The order of a file's tensors: that of the network's layers, as far as their names tell it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from torch import Tensor

from convlens.zoo.weights.key_maps import place
from convlens.zoo.weights.reading import COUNTER, FileTensors
from convlens.zoo.weights.timm_names import timm_places

# As torch orders a layer's tensors, under the names of others too.
# fmt: off
ROLES = {
    "weight":   ("weight", "kernel", "depthwise_kernel", "w", "gamma", "scale"),
    "bias":     ("bias", "b", "beta", "shift", "offset"),
    "mean":     ("running_mean", "moving_mean", "mean"),
    "variance": ("running_var", "moving_variance", "moving_var", "variance", "var"),
}
# fmt: on
ENDINGS = ("", *(ending for endings in ROLES.values() for ending in endings))
NAME = re.compile(rf"(?P<layer>.+?)[._/](?P<ending>{'|'.join(ENDINGS[1:])})(:0)?")  # TensorFlow ends in ":0"
TURNED = re.compile(rf"(?P<ending>{'|'.join(ENDINGS[1:])})[._/]?(?P<layer>\d+)")  # weight_0, bias_0, w1, b1
# Where GoogLeNet and Inception v3 keep classifiers that only training calls, here and in torchvision.
AUXILIARY = ("auxiliary.", "aux1.", "aux2.", "AuxLogits.")


def in_layer_order(content: FileTensors, family: str, names: Iterable[str]) -> FileTensors:
    """A file's tensors in the order of the network of these `names`; classifiers that it was built without fall out.

    Our own names tell it, then those of the family's key map, then numbers that count the layers, whatever the order
    in the file. Where none does, the file's order stays, unless numbers in the names contradict it.
    """
    ours = [name for name in names if not name.endswith(COUNTER)]
    tensors = content.tensors
    if not any(name.startswith(AUXILIARY) for name in ours):
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(AUXILIARY)} or tensors
    found: Iterable[str] | None = None
    for given in _without_prefixes(tensors):
        layers = {_layer(name) for name in given}
        mapped = _sorted_by(given, {layer: place(layer, family) for layer in layers})
        mapped = mapped or _sorted_by(given, timm_places(layers))
        if given.keys() == set(ours):
            found = ours
        elif mapped and (not content.ordered or _endings(mapped) == _endings(ours)):
            found = mapped
        if found is not None:
            tensors = given
            break
    else:
        found = _sorted_by(tensors, running_numbers({_layer(name) for name in tensors}))
    if found is None:
        ordered = content.ordered and not _out_of_order(tensors)
        return replace(content, tensors={name: tensors[name] for name in _layer_by_layer(tensors)}, ordered=ordered)
    return replace(content, tensors={name: tensors[name] for name in found}, ordered=True)


def _without_prefixes(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """As they are, then without the first part of the names while it is the same in all, as `model.` or `backbone.`."""
    given = dict(tensors)
    yield given
    while len({name.partition(".")[0] for name in given}) == 1 and all("." in name for name in given):
        given = {name.partition(".")[2]: tensor for name, tensor in given.items()}
        yield given


def _sorted_by(names: Iterable[str], places: Mapping[str, Any]) -> list[str] | None:
    """By their layers' places and within a layer as torch does; None where a layer has no place."""
    keys = {}
    for name in names:
        layer, ending = _parts(name)
        if places.get(layer) is None:
            return None
        keys[name] = (places[layer], ENDINGS.index(ending))
    return sorted(keys, key=keys.__getitem__)


def _layer_by_layer(names: Iterable[str]) -> Iterator[str]:
    """In their order, but for the tensors of one layer, which stand as torch has them."""
    for _, own in groupby(names, key=_layer):
        yield from sorted(own, key=lambda name: ENDINGS.index(_parts(name)[1]))


def role_of(name: str) -> str | None:
    """weight, bias, mean or variance, where the name says it."""
    ending = _parts(name)[1]
    return next((role for role, endings in ROLES.items() if ending in endings), None)


def running_numbers(layers: set[str]) -> dict[str, list[int]]:
    """Layer -> what counts it: conv0, conv10 -> [0], [10]; 00_conv, 01_depthwise; conv1, conv2, dense3. Else nothing.

    Names count their layers where they differ in numbers alone, where each begins with a number that no other has, or
    where each has one and together they leave none out.
    """
    spelt = {layer: f"{layer}_0" if f"{layer}_1" in layers else layer for layer in layers}  # conv2d, conv2d_1 of Keras
    numbers = {layer: [int(digits) for digits in re.findall(r"\d+", name)] for layer, name in spelt.items()}
    if not all(numbers.values()):
        return {}
    first = {layer: found[:1] for layer, found in numbers.items()}
    distinct = sorted({found[0] for found in first.values()})
    if len({re.sub(r"\d+", "#", name) for name in spelt.values()}) == 1:
        return numbers
    if len(distinct) < len(layers):
        return {}
    begin = all(re.match(r"\d+[._]", layer) for layer in layers)
    without_gap = all(len(found) == 1 for found in numbers.values()) and distinct[-1] - distinct[0] == len(layers) - 1
    return first if begin or without_gap else {}


def _out_of_order(names: Iterable[str]) -> bool:
    """A writer sorted them as text, so that 10 stands before 2; or all begin with numbers, and these do not grow."""
    given = list(names)
    padded = [re.sub(r"\d+", lambda digits: digits[0].zfill(9), name) for name in given]
    first = [int(found[0]) for name in given if (found := re.match(r"\d+(?=[._])", name))]
    sorted_as_text = given == sorted(given) and padded != sorted(padded)
    return sorted_as_text or (len(first) == len(given) and first != sorted(first))


def _parts(name: str) -> tuple[str, str]:
    """ "conv0_weight" -> ("conv0", "weight"), "w1" -> ("1", "w"); others are all layer: "arr_0" -> ("arr_0", "")."""
    match = NAME.fullmatch(name) or TURNED.fullmatch(name)
    return (name, "") if match is None else (match["layer"], match["ending"])


def _layer(name: str) -> str:
    return _parts(name)[0]


def _endings(names: Iterable[str]) -> list[str]:
    return [_parts(name)[1] for name in names]
