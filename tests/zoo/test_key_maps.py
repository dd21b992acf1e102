"""torchvision's names in a file without order: every network that it publishes comes back tensor for tensor.

torchvision is never installed here: the names of its layers, in its order, are written out below, and `make peers`
loads the real ones, shuffled.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import convlens.zoo as zoo
from convlens.errors import NetworkError
from convlens.zoo.weights.order import in_layer_order
from convlens.zoo.weights.published import IMAGENET
from convlens.zoo.weights.reading import COUNTER, FileTensors

# fmt: off
BRANCHES = {  # of Inception v3
    "5bcd":  "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool",
    "6a":    "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3",
    "6bcde": "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool",
    "7a":    "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4",
    "7bc":   "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool",
}
SQUEEZED = {"mobilenet_v3_large": {4, 5, 6, 11, 12, 13, 14, 15}, "mobilenet_v3_small": {1, 4, 5, 6, 7, 8, 9, 10, 11}}
RESNETS = {"18": (2, [2, 2, 2, 2]), "34": (2, [3, 4, 6, 3]), "50": (3, [3, 4, 6, 3]), "101": (3, [3, 4, 23, 3]),
           "152": (3, [3, 8, 36, 3])}
DENSENETS = {"121": [6, 12, 24, 16], "161": [6, 12, 36, 24], "169": [6, 12, 32, 32], "201": [6, 12, 48, 32]}
VGGS = {"11": [1, 1, 2, 2, 2], "13": [2, 2, 2, 2, 2], "16": [2, 2, 3, 3, 3], "19": [2, 2, 4, 4, 4]}
FIRES = {"squeezenet1_0": [3, 4, 5, 7, 8, 9, 10, 12], "squeezenet1_1": [3, 4, 6, 7, 9, 10, 11, 12]}
# fmt: on


def under(prefix: str, parts: str) -> list[str]:
    return [f"{prefix}.{part}" for part in parts.split()]


def resnet(convolutions: int, counts: list[int]) -> list[str]:
    names = ["conv1", "bn1"]
    residual = " ".join(f"conv{number} bn{number}" for number in range(1, convolutions + 1))
    for stage, count in enumerate(counts, 1):
        for block in range(count):
            projected = block == 0 and (stage > 1 or convolutions == 3)
            names += under(f"layer{stage}.{block}", residual + " downsample.0 downsample.1" * projected)
    return [*names, "fc"]


def densenet(counts: list[int]) -> list[str]:
    names = under("features", "conv0 norm0")
    for block, count in enumerate(counts, 1):
        for layer in range(1, count + 1):
            names += under(f"features.denseblock{block}.denselayer{layer}", "norm1 conv1 norm2 conv2")
        names += under(f"features.transition{block}", "norm conv") if block < len(counts) else []
    return [*names, "features.norm5", "classifier"]


def vgg(counts: list[int], batch_norm: bool) -> list[str]:
    names, place = [], 0
    for count in counts:
        for _ in range(count):
            names += [f"features.{place}", f"features.{place + 1}"] if batch_norm else [f"features.{place}"]
            place += 2 + batch_norm
        place += 1  # the pooling
    return [*names, "classifier.0", "classifier.3", "classifier.6"]


def squeezenet(fires: list[int]) -> list[str]:
    inside = [name for fire in fires for name in under(f"features.{fire}", "squeeze expand1x1 expand3x3")]
    return ["features.0", *inside, "classifier.1"]


def normalised(layers: list[str]) -> list[str]:
    return [name for layer in layers for name in under(layer, "conv bn")]


def googlenet() -> list[str]:
    layers = ["conv1", "conv2", "conv3"]
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        layers += under(f"inception{module}", "branch1 branch2.0 branch2.1 branch3.0 branch3.1 branch4.1")
    auxiliary = [name for number in (1, 2) for name in under(f"aux{number}", "conv.conv conv.bn fc1 fc2")]
    return [*normalised(layers), *auxiliary, "fc"]


def inception_v3() -> list[str]:
    layers = [f"Conv2d_{name}" for name in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")]
    for modules, branches in BRANCHES.items():
        for letter in modules[1:]:
            layers += [f"Mixed_{modules[0]}{letter}.branch{branch}" for branch in branches.split()]
    auxiliary = under("AuxLogits", "conv0.conv conv0.bn conv1.conv conv1.bn fc")
    names = normalised(layers)
    place = names.index("Mixed_7a.branch3x3_1.conv")
    return [*names[:place], *auxiliary, *names[place:], "fc"]


def shufflenet_v2() -> list[str]:
    names = ["conv1.0", "conv1.1"]
    for stage, count in ((2, 4), (3, 8), (4, 4)):
        for unit in range(count):
            names += under(f"stage{stage}.{unit}.branch1", "0 1 2 3") if unit == 0 else []
            names += under(f"stage{stage}.{unit}.branch2", "0 1 3 4 5 6")
    return [*names, "conv5.0", "conv5.1", "fc"]


def mnasnet() -> list[str]:
    names = under("layers", "0 1 3 4 6 7")
    for stage, count in enumerate((3, 3, 3, 2, 4, 1), 8):
        for block in range(count):
            names += under(f"layers.{stage}.{block}.layers", "0 1 3 4 6 7")
    return [*names, "layers.14", "layers.15", "classifier.1"]


def mobilenet_v2() -> list[str]:
    names = under("features", "0.0 0.1 1.conv.0.0 1.conv.0.1 1.conv.1 1.conv.2")
    for block in range(2, 18):
        names += under(f"features.{block}.conv", "0.0 0.1 1.0 1.1 2 3")
    return [*names, "features.18.0", "features.18.1", "classifier.1"]


def mobilenet_v3(squeezed: set[int]) -> list[str]:
    blocks, names = max(squeezed), under("features", "0.0 0.1")
    for block in range(1, blocks + 1):
        convolutions = 2 if block == 1 else 3
        parts = [f"{number}.{part}" for number in range(convolutions - 1) for part in (0, 1)]
        parts += [f"{convolutions - 1}.fc1", f"{convolutions - 1}.fc2"] if block in squeezed else []
        last = convolutions - 1 + (block in squeezed)
        names += under(f"features.{block}.block", " ".join([*parts, f"{last}.0", f"{last}.1"]))
    return [*names, *under(f"features.{blocks + 1}", "0 1"), "classifier.0", "classifier.3"]


def torchvision_layers(name: str) -> list[str]:
    """The layers of one of torchvision's networks, in its order."""
    family, digits = zoo.entry(name).family, "".join(filter(str.isdigit, name.split("_")[0]))
    if family == "wide_resnet":
        return resnet(*RESNETS["50"])
    if family in ("resnet", "resnext"):
        return resnet(*RESNETS[digits])
    if family == "alexnet":
        return [*under("features", "0 3 6 8 10"), *under("classifier", "1 4 6")]
    table = {
        "vgg": lambda: vgg(VGGS[digits], name.endswith("_bn")),
        "densenet": lambda: densenet(DENSENETS[digits]),
        "squeezenet": lambda: squeezenet(FIRES[name]),
        "mobilenet_v3": lambda: mobilenet_v3(SQUEEZED[name]),
        **{made.__name__: made for made in (googlenet, inception_v3, shufflenet_v2, mnasnet, mobilenet_v2)},
    }
    return table[family]()


def auxiliary(layer: str) -> bool:
    return layer.startswith(("aux", "AuxLogits"))


def under_their_names(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our tensors, in our order, under torchvision's names."""
    kept = {key: tensor for key, tensor in state.items() if not key.endswith(COUNTER)}
    ours = list(dict.fromkeys(key.rpartition(".")[0] for key in kept))
    theirs = [layer for layer in torchvision_layers(name) if not auxiliary(layer)]
    called = dict(zip(ours, theirs, strict=True))
    return {f"{called[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": tensor for key, tensor in kept.items()}


def shuffled(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = list(state)
    random.Random(0).shuffle(names)
    return {name: state[name] for name in names}


def filled(network: zoo.Network) -> zoo.Network:
    """Every tensor another than a fresh one, and above zero as a variance is."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return network


def assert_same(network: zoo.Network, expected: dict[str, torch.Tensor]) -> None:
    for name, tensor in network.state_dict().items():
        assert name.endswith(COUNTER) or torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("published", IMAGENET)
def test_shuffled_names_of_torchvision_are_put_in_its_order(published: str, ordered: bool) -> None:
    with torch.device("meta"):
        state = zoo.create(published).state_dict()
        theirs = under_their_names(published, state)
        extra = {f"{layer}.weight": torch.empty(1) for layer in torchvision_layers(published) if auxiliary(layer)}
    content = FileTensors(shuffled(theirs | extra), ordered, {})
    found = in_layer_order(content, zoo.entry(published).family, state)
    assert found.ordered
    assert list(found.tensors) == list(theirs)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
@pytest.mark.parametrize(
    "published", ["squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "mobilenet_v3_small", "densenet121", "googlenet"]
)
def test_a_file_of_shuffled_names_gives_every_tensor_its_place(tmp_path: Path, published: str, suffix: str) -> None:
    state = filled(zoo.create(published)).state_dict()
    theirs, file = shuffled(under_their_names(published, state)), tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        np.savez(file, **{name: theirs[name].numpy() for name in sorted(theirs)})
    elif suffix == ".pth":
        torch.save(theirs, file)
    else:
        save_file(theirs, file)
    assert_same(zoo.create(published, weights=file), state)


def test_the_published_densenets_have_points_in_the_names_of_their_layers(tmp_path: Path) -> None:
    state = filled(zoo.create("densenet121")).state_dict()
    theirs = under_their_names("densenet121", state)
    for digit in "12":
        for kind in ("norm", "conv"):
            theirs = {name.replace(f".{kind}{digit}.", f".{kind}.{digit}."): theirs[name] for name in theirs}
    save_file(theirs, tmp_path / "densenet121.safetensors")
    assert_same(zoo.create("densenet121", weights=tmp_path / "densenet121.safetensors"), state)


def test_a_resnet_for_cifar_is_known_by_its_names(shared_data: Path, tmp_path: Path) -> None:
    """Its shapes alone would not tell the blocks of a stage apart."""
    published = shared_data / "weights" / "resnet20-12fca82f.th"
    expected = zoo.create("resnet20", num_classes=10, weights=published).state_dict()
    state = torch.load(published, map_location="cpu", weights_only=True)["state_dict"]
    save_file(shuffled(state), tmp_path / "resnet20.safetensors")
    assert_same(zoo.create("resnet20", num_classes=10, weights=tmp_path / "resnet20.safetensors"), expected)


def test_the_auxiliary_classifiers_of_googlenet_have_places_too() -> None:
    with torch.device("meta"):
        state = zoo.create("googlenet", auxiliary=True).state_dict()
        names = [f"{layer}.weight" for layer in torchvision_layers("googlenet")]
        content = FileTensors(shuffled({name: torch.empty(1) for name in names}), False, {})
    assert list(in_layer_order(content, "googlenet", state).tensors) == names


def test_names_of_another_structure_keep_the_order_of_a_file_that_has_one(tmp_path: Path) -> None:
    """Where blocks normalise before they convolve, conv1 stands behind bn1, and the last norm is called bn1 as well."""
    state = filled(zoo.create("wide_resnet16_8", num_classes=10)).state_dict()
    renaming = [
        (".activate.norm.", ".bn1."),
        (".residual.conv", ".conv"),
        (".residual.norm.", ".bn2."),
        (".projection.", ".shortcut.0."),
        ("stages.3.norm.", "bn1."),
        ("stem.conv.", "conv1."),
        ("head.linear.", "linear."),
        ("stages.", "layer"),
    ]
    theirs = {}
    for name, tensor in state.items():
        for ours, other in renaming:
            name = name.replace(ours, other)
        theirs[name] = tensor
    torch.save(theirs, tmp_path / "weights.pth")
    assert_same(zoo.create("wide_resnet16_8", num_classes=10, weights=tmp_path / "weights.pth"), state)


def test_a_deeper_network_s_names_are_refused_with_the_first_that_has_no_place(tmp_path: Path) -> None:
    state = zoo.create("resnet34", width=0.125, image_size=32).state_dict()
    save_file(shuffled(under_their_names("resnet34", state)), tmp_path / "weights.safetensors")
    message = r"'layer1\.2\.conv1\.weight' has shape .* 'stages\.1\.0\..*create the network that"
    with pytest.raises(NetworkError, match=message):
        zoo.create("resnet18", width=0.125, image_size=32, weights=tmp_path / "weights.safetensors")


TINY = {"num_classes": 4, "width": 0.125, "image_size": 32}


@pytest.mark.parametrize("missing", ["layer1.1.bn2.bias", "layer2.0.downsample.0.weight", "fc.bias"])
def test_one_that_is_missing_is_named_and_so_is_one_too_many(tmp_path: Path, missing: str) -> None:
    state = {n: t for n, t in zoo.create("resnet18", **TINY).state_dict().items() if not n.endswith(COUNTER)}
    theirs = under_their_names("resnet18", state)
    target = dict(zip(theirs, state, strict=True))[missing]
    torch.save({name: tensor for name, tensor in theirs.items() if name != missing}, tmp_path / "short.pth")
    with pytest.raises(NetworkError, match=rf"has 101 tensors and the network 102: the network's '{target}' is not in"):
        zoo.create("resnet18", weights=tmp_path / "short.pth", **TINY)
    torch.save({"extra.weight": torch.zeros(3, 3)} | theirs, tmp_path / "long.pth")
    with pytest.raises(NetworkError, match=r"103 tensors and the network 102: the file's 'extra\.weight' is not in"):
        zoo.create("resnet18", weights=tmp_path / "long.pth", **TINY)


@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.resnet.", "0."])
@pytest.mark.parametrize("names", ["ours", "theirs"])
def test_what_all_names_begin_with_falls_away(tmp_path: Path, prefix: str, names: str) -> None:
    original = zoo.create("resnet18", **TINY)
    state = original.state_dict()
    given = shuffled(under_their_names("resnet18", state) if names == "theirs" else dict(state))
    save_file({prefix + name: tensor for name, tensor in given.items()}, tmp_path / "weights.safetensors")
    loaded = zoo.create("resnet18", weights=tmp_path / "weights.safetensors", **TINY)
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("wrapper", [None, "model_ema"])
def test_an_average_of_torch_s_own_is_read(tmp_path: Path, wrapper: str | None) -> None:
    original = zoo.create("resnet18", **TINY)
    averaged = torch.optim.swa_utils.AveragedModel(original).state_dict()
    torch.save(averaged if wrapper is None else {wrapper: averaged, "epoch": 3}, tmp_path / "average.pth")
    loaded = zoo.create("resnet18", weights=tmp_path / "average.pth", **TINY)
    assert torch.equal(loaded.head.linear.weight, original.head.linear.weight)
