"""The zoo against torchvision and timm: the same weights, in the same order, must give the same logits.

Runs in an environment of its own, which `make peers` builds, for convlens never installs torchvision:

    .venv-peers/bin/python benchmarks/peers/zoo.py [NAME ...]

The peer's last layer is scaled until its logits have a standard deviation of 1; random weights alone give some networks
logits so small that any bound would hold. One row a network: the largest difference of logits, absolute and as a part
of the largest logit, that logit, and the parameters. Exits with 1 where an absolute difference is above 1e-5, or where
the logits are not of that size. Every peer's weights go through a file and `zoo.create(..., weights=FILE)`; where its
names have a key map, through one that keeps their order and one that does not.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

import torch
from safetensors.torch import save_file
from torch import nn

import convlens.zoo as zoo

TOLERANCE = 1e-5  # of a logit, where logits have a standard deviation of 1
TORCHVISION = [
    *("alexnet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("googlenet", "inception_v3"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *("squeezenet1_0", "squeezenet1_1"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
]
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
ARGUMENTS: dict[str, dict[str, Any]] = {  # no slow drawing of weights
    "googlenet": {"init_weights": False},
    "inception_v3": {"init_weights": False},
}


@dataclass(frozen=True)
class Peer:
    """A network of another library, and what gives the same one here."""

    label: str
    make: Callable[[], nn.Module]
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def has_key_map(self) -> bool:
        """Whether its names tell the order of its layers."""
        return self.label != "timm nasnetalarge"


def import_torchvision() -> None:
    """Beside another build of torch its wheel does not define two operators, and importing it fails without them."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # operator torchvision::nms does not exist
        for operator in ("nms", "qnms"):
            OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def peers() -> list[Peer]:
    """Every network with a published counterpart."""
    import_torchvision()
    import timm
    import torchvision

    def densenet_for_cifar() -> nn.Module:
        """torchvision's blocks behind the one convolution that the paper has for CIFAR."""
        network = torchvision.models.DenseNet(12, (16, 16, 16), 24)
        network.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
        network.features.norm0 = network.features.relu0 = network.features.pool0 = nn.Identity()
        return network

    found = [
        Peer(
            f"torchvision {name}", lambda name=name: torchvision.models.get_model(name, **ARGUMENTS.get(name, {})), name
        )
        for name in TORCHVISION
    ]
    found.append(Peer("timm resnext50_32x4d", lambda: timm.create_model("resnext50_32x4d"), "resnext50_32x4d"))
    found.append(Peer("timm densenet121", lambda: timm.create_model("densenet121"), "densenet121"))
    found.append(Peer("timm legacy_xception", lambda: timm.create_model("legacy_xception"), "xception"))
    found.append(Peer("timm nasnetalarge", lambda: timm.create_model("nasnetalarge"), "nasnet_large"))
    found.append(Peer("torchvision DenseNet(12, ...)", densenet_for_cifar, "densenet_bc_100_12"))
    for label, name, width in (
        ("mobilenetv1_100", "mobilenet_v1", 1.0),
        ("mobilenetv1_125", "mobilenet_v1", 1.25),
        ("mobilenetv2_050", "mobilenet_v2", 0.5),
        ("mobilenetv2_140", "mobilenet_v2", 1.4),
        ("semnasnet_050", "mnasnet_a1", 0.5),
        ("semnasnet_100", "mnasnet_a1", 1.0),
        ("semnasnet_140", "mnasnet_a1", 1.4),
        ("seresnet50", "se_resnet50", 1.0),
        ("mobilenetv3_large_075", "mobilenet_v3_large", 0.75),
        ("mobilenetv3_small_050", "mobilenet_v3_small", 0.5),
        ("resnet50", "resnet50", 1.0),
    ):
        found.append(Peer(f"timm {label}", lambda label=label: timm.create_model(label), name, {"width": width}))
    return found


def fill_statistics(network: nn.Module) -> None:
    """Running statistics and scales that are not the identity, so that a swapped tensor shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.2, 0.8)
            nn.init.normal_(module.bias, std=0.1)


@torch.no_grad()
def scale_logits(network: nn.Module, images: torch.Tensor) -> None:
    """Their standard deviation becomes 1; what follows the last layer with weights, ReLU or an average, scales too."""
    last = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))][-1]
    deviation = network(images).std()
    for parameter in last.parameters():
        parameter /= deviation


def comparable(peer: Peer, network: nn.Module) -> dict[str, torch.Tensor]:
    """The peer's tensors; timm's v3 gets the paper's norm constant."""
    state = dict(network.state_dict())
    if peer.label.startswith("timm mobilenetv3"):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-3
    return state


def comes_back_by_name(peer: Peer, theirs: nn.Module, ours: nn.Module, folder: Path) -> bool:
    """Whether the shuffled tensors give the network that the file in its order gave."""
    shuffled = list(theirs.state_dict().items())
    random.Random(0).shuffle(shuffled)
    save_file(dict(shuffled), folder / "peer.safetensors")
    found = zoo.create(peer.name, weights=folder / "peer.safetensors", **peer.options).state_dict()
    return all(torch.equal(tensor, found[name]) for name, tensor in ours.state_dict().items())


@torch.no_grad()
def compare(peer: Peer, folder: Path) -> tuple[torch.Tensor, torch.Tensor, int]:
    """(the peer's logits, ours, our parameters) in eval mode on two random pictures."""
    torch.manual_seed(0)
    theirs = peer.make().eval()
    fill_statistics(theirs)
    images = torch.randn(2, 3, *[zoo.entry(peer.name).resolution] * 2)
    scale_logits(theirs, images)
    file = folder / "peer.pth"
    torch.save(comparable(peer, theirs), file)
    ours = zoo.create(peer.name, weights=file, **peer.options).eval()
    if peer.has_key_map and not comes_back_by_name(peer, theirs, ours, folder):
        raise SystemExit(f"{peer.label}: weights that are loaded by name are not those that are loaded in order")
    return theirs(images), ours(images), sum(parameter.numel() for parameter in ours.parameters())


def main(wanted: list[str]) -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for peer in peers():
            if wanted and peer.name not in wanted:
                continue
            expected, got, parameters = compare(peer, Path(folder))
            difference, largest = (expected - got).abs().max().item(), expected.abs().max().item()
            agrees = difference <= TOLERANCE and 0.9 < expected.std() < 1.1
            failures += not agrees
            print(
                f"{'ok  ' if agrees else 'FAIL'} {peer.label:32} difference {difference:.1e}, "
                f"{difference / largest:.1e} of the largest logit {largest:4.1f}; parameters {parameters:>11,}",
                flush=True,
            )
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
