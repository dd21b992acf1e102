"""ImageNet weights that others trained and published: files, digests, accuracy and preprocessing, as data.

Source: the weight descriptions in torchvision 0.28 (its IMAGENET1K_V1 files, of recipes near the papers'); accuracies
are for one centre crop of 224 px (Inception v3: 299). A file's name carries the first hex digits of its SHA-256, at
least eight.
NOT YET FETCHED: nobody could download these files where this table was written, so that address and digest are as
published and untried; `fetched` says so for every row and becomes True with the first download that was checked.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "https://download.pytorch.org/models/"

# fmt: off
#   network                file                              top-1   top-5   fetched
IMAGENET = {
    "alexnet":            ("alexnet-owt-7be5be79.pth",        56.522, 79.066, False),
    "vgg11":              ("vgg11-8a719046.pth",              69.020, 88.628, False),
    "vgg11_bn":           ("vgg11_bn-6002323d.pth",           70.370, 89.810, False),
    "vgg13":              ("vgg13-19584684.pth",              69.928, 89.246, False),
    "vgg13_bn":           ("vgg13_bn-abd245e5.pth",           71.586, 90.374, False),
    "vgg16":              ("vgg16-397923af.pth",              71.592, 90.382, False),
    "vgg16_bn":           ("vgg16_bn-6c64b313.pth",           73.360, 91.516, False),
    "vgg19":              ("vgg19-dcbb9e9d.pth",              72.376, 90.876, False),
    "vgg19_bn":           ("vgg19_bn-c79401a0.pth",           74.218, 91.842, False),
    "googlenet":          ("googlenet-1378be20.pth",          69.778, 89.530, False),
    "inception_v3":       ("inception_v3_google-0cc3c7bd.pth", 77.294, 93.450, False),
    "resnet18":           ("resnet18-f37072fd.pth",           69.758, 89.078, False),
    "resnet34":           ("resnet34-b627a593.pth",           73.314, 91.420, False),
    "resnet50":           ("resnet50-0676ba61.pth",           76.130, 92.862, False),
    "resnet101":          ("resnet101-63fe2227.pth",          77.374, 93.546, False),
    "resnet152":          ("resnet152-394f9c45.pth",          78.312, 94.046, False),
    "resnext50_32x4d":    ("resnext50_32x4d-7cdf4587.pth",    77.618, 93.698, False),
    "resnext101_32x8d":   ("resnext101_32x8d-8ba56ff5.pth",   79.312, 94.526, False),
    "resnext101_64x4d":   ("resnext101_64x4d-173b62eb.pth",   83.246, 96.454, False),
    "wide_resnet50_2":    ("wide_resnet50_2-95faca4d.pth",    78.468, 94.086, False),
    "densenet121":        ("densenet121-a639ec97.pth",        74.434, 91.972, False),
    "densenet161":        ("densenet161-8d451a50.pth",        77.138, 93.560, False),
    "densenet169":        ("densenet169-b2777c0a.pth",        75.600, 92.806, False),
    "densenet201":        ("densenet201-c1103571.pth",        76.896, 93.370, False),
    "squeezenet1_0":      ("squeezenet1_0-b66bff10.pth",      58.092, 80.420, False),
    "squeezenet1_1":      ("squeezenet1_1-b8a52dc0.pth",      58.178, 80.624, False),
    "shufflenet_v2_x0_5": ("shufflenetv2_x0.5-f707e7126e.pth", 60.552, 81.746, False),
    "shufflenet_v2_x1_0": ("shufflenetv2_x1-5666bf0f80.pth",  69.362, 88.316, False),
    "shufflenet_v2_x1_5": ("shufflenetv2_x1_5-3c479a10.pth",  72.996, 91.086, False),
    "shufflenet_v2_x2_0": ("shufflenetv2_x2_0-8be3c8ee.pth",  76.230, 93.006, False),
    "mnasnet0_5":         ("mnasnet0.5_top1_67.823-3ffadce67e.pth", 67.734, 87.490, False),
    "mnasnet0_75":        ("mnasnet0_75-7090bc5f.pth",        71.180, 90.496, False),
    "mnasnet1_0":         ("mnasnet1.0_top1_73.512-f206786ef8.pth", 73.456, 91.510, False),
    "mnasnet1_3":         ("mnasnet1_3-a4c69d6f.pth",         76.506, 93.522, False),
    "mobilenet_v2":       ("mobilenet_v2-b0353104.pth",       71.878, 90.286, False),
    "mobilenet_v3_large": ("mobilenet_v3_large-8738ca79.pth", 74.042, 91.340, False),
    "mobilenet_v3_small": ("mobilenet_v3_small-047dcff4.pth", 67.668, 87.402, False),
}
# The keys are those of `pictures.Preprocess`: short side to 256 px, then the centre 224.
PREPROCESSING = {
    "size": [224, 224], "fit": "crop", "crop_ratio": 0.875, "channels": 3,
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
}
# Where it is another. The Inception networks come from TensorFlow, which scaled pixels to -1..1; those that were
# trained later, with a longer recipe, take a larger part of the picture, of a short side of 232 px.
PREPROCESSING_OF: dict[str, dict[str, Any]] = {
    "googlenet":          {"mean": [0.5] * 3, "std": [0.5] * 3},
    "inception_v3":       {"mean": [0.5] * 3, "std": [0.5] * 3, "size": [299, 299], "crop_ratio": 299 / 342},
    "resnext101_64x4d":   {"crop_ratio": 224 / 232},
    "shufflenet_v2_x1_5": {"crop_ratio": 224 / 232},
    "shufflenet_v2_x2_0": {"crop_ratio": 224 / 232},
    "mnasnet0_75":        {"crop_ratio": 224 / 232},
    "mnasnet1_3":         {"crop_ratio": 224 / 232},
}
# fmt: on


@dataclass(frozen=True)
class PublishedWeights:
    """One published file; top1 and top5 are published accuracies in 0..1."""

    name: str
    file: str
    urls: tuple[str, ...]
    sha256: str  # its first hex digits, at least eight
    num_classes: int
    preprocessing: dict[str, Any]
    top1: float
    top5: float
    fetched: bool


def published(name: str) -> PublishedWeights | None:
    """The published ImageNet weights of a network; None where the table has none."""
    if name not in IMAGENET:
        return None
    file, top1, top5, fetched = IMAGENET[name]
    digest = file.removesuffix(".pth").rpartition("-")[2]
    preprocessing = deepcopy(PREPROCESSING | PREPROCESSING_OF.get(name, {}))
    return PublishedWeights(
        name, file, (HOST + file,), digest, 1000, preprocessing, round(top1 / 100, 5), round(top5 / 100, 5), fetched
    )


def is_published_file(weights: PublishedWeights, path: Path, sha256: str) -> bool:
    """By its digest, or by that in its name, which a copy in another format keeps."""
    return sha256.startswith(weights.sha256) or weights.sha256 in path.stem
