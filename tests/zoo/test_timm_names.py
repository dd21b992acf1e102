"""timm's names in a file without order: its MobileNets, MnasNet and Xception come back tensor for tensor.

timm is never installed here: the names of its layers, in its order, are written out below, and `make peers` loads the
real ones, shuffled.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import convlens.zoo as zoo
from convlens.errors import NetworkError
from convlens.zoo.weights.order import in_layer_order
from convlens.zoo.weights.reading import COUNTER, FileTensors
from tests.zoo.weight_files import State, with_other_tensors

SEPARABLE, INVERTED = "conv_dw bn1 conv_pw bn2", "conv_pw bn1 conv_dw bn2 conv_pwl bn3"
SQUEEZE = "se.conv_reduce se.conv_expand"
SQUEEZED = "conv_pw bn1 conv_dw bn2 se.conv_reduce se.conv_expand conv_pwl bn3"


def under(prefix: str, parts: str) -> list[str]:
    return [f"{prefix}.{part}" for part in parts.split()]


def blocks(*stages: tuple[int, str]) -> list[str]:
    """(how often, the layers of a block) of each stage."""
    return [
        name
        for stage, (count, parts) in enumerate(stages)
        for block in range(count)
        for name in under(f"blocks.{stage}.{block}", parts)
    ]


def xception() -> list[str]:
    names = ["conv1", "bn1", "conv2", "bn2"]
    for block in range(1, 13):
        names += under(f"block{block}", "skip skipbn") if block in (1, 2, 3, 12) else []
        places = (0, 3) if block == 1 else (1, 4) if block in (2, 3, 12) else (1, 4, 7)
        for place in places:
            names += under(f"block{block}.rep", f"{place}.conv1 {place}.pointwise {place + 1}")
    return [*names, "conv3.conv1", "conv3.pointwise", "bn3", "conv4.conv1", "conv4.pointwise", "bn4", "fc"]


V1 = blocks(*[(count, SEPARABLE) for count in (1, 2, 2, 6, 2)])
V2 = blocks((1, SEPARABLE), *[(count, INVERTED) for count in (2, 3, 4, 3, 3, 1)])
V3_SMALL = blocks(
    (1, f"conv_dw bn1 {SQUEEZE} conv_pw bn2"), (2, INVERTED), *[(n, SQUEEZED) for n in (3, 2, 3)], (1, "conv bn1")
)
A1 = blocks((1, SEPARABLE), (2, INVERTED), (3, SQUEEZED), (4, INVERTED), (2, SQUEEZED), (3, SQUEEZED), (1, INVERTED))
NAMES = {
    "mobilenet_v1": ["conv_stem", "bn1", *V1, "classifier"],
    "mobilenet_v2": ["conv_stem", "bn1", *V2, "conv_head", "bn2", "classifier"],
    "mobilenet_v3_small": ["conv_stem", "bn1", *V3_SMALL, "conv_head", "classifier"],
    "mnasnet_a1": ["conv_stem", "bn1", *A1, "conv_head", "bn2", "classifier"],
    "xception": xception(),
}


def under_their_names(name: str, state: State) -> State:
    kept = {key: tensor for key, tensor in state.items() if not key.endswith(COUNTER)}
    ours = list(dict.fromkeys(key.rpartition(".")[0] for key in kept))
    called = dict(zip(ours, NAMES[name], strict=True))
    return {f"{called[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": tensor for key, tensor in kept.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_comes_back_whatever_the_order(tmp_path: Path, name: str) -> None:
    options = {"num_classes": 4} | ({} if name == "xception" else {"width": 0.25})
    original = with_other_tensors(zoo.create(name, **options))
    theirs = under_their_names(name, original.state_dict())
    save_file({key: theirs[key].clone() for key in sorted(theirs)}, tmp_path / "weights.safetensors")
    loaded = zoo.create(name, weights=tmp_path / "weights.safetensors", **options).state_dict()
    for key, tensor in original.state_dict().items():
        assert key.endswith(COUNTER) or torch.equal(loaded[key], tensor), key


def test_a_layer_that_no_block_of_theirs_has_gives_no_order(tmp_path: Path) -> None:
    theirs = under_their_names("mobilenet_v1", zoo.create("mobilenet_v1", num_classes=4, width=0.25).state_dict())
    given = {key.replace("blocks.0.0.conv_dw", "blocks.0.0.conv_new"): tensor for key, tensor in theirs.items()}
    save_file(given, tmp_path / "weights.safetensors")
    with pytest.raises(NetworkError, match="neither the file nor its names tell their order"):
        zoo.create("mobilenet_v1", num_classes=4, width=0.25, weights=tmp_path / "weights.safetensors")


def test_the_linear_layers_of_a_vgg_come_after_its_convolutions() -> None:
    layers = ["features.0", "features.3", "features.16", "pre_logits.fc1", "pre_logits.fc2", "head.fc"]
    theirs = {f"{layer}.{ending}": torch.zeros(1) for layer in layers for ending in ("weight", "bias")}
    found = in_layer_order(FileTensors(dict(sorted(theirs.items())), False, {}), "vgg", ["stages.0.0.weight"])
    assert found.ordered and list(found.tensors) == list(theirs)
