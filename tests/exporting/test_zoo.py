"""Every network of the zoo goes into ONNX, and ONNX Runtime and OpenVINO give its answers.

The networks are built for 32 px, a quarter as wide where their family allows, with the channels of their paper. The
differences that docs/export.md names are printed by `pytest tests/exporting/test_zoo.py -s`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from convlens import zoo
from convlens.exporting import EXACT, FORMATS, Facts, export_network, open_openvino, prove
from convlens.exporting.proof import reference_logits
from convlens.pictures import Preprocess

QUICK = {"lenet5", "squeezenet1_1"}
DEEPEST = {"resnet1202"}  # one class with resnet110, which is exported in its place
SIDE = 32


def settled(name: str) -> zoo.Network:
    """In evaluation mode, with norms that have seen pictures, so that logits have a usual size."""
    torch.manual_seed(0)
    thin = {"width": 0.25} if "width" in zoo.entry(name).options else {}
    network = zoo.create(name, num_classes=10, in_channels=zoo.entry(name).in_channels, image_size=SIDE, **thin)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(16, network.architecture.in_channels, SIDE, SIDE))
    return network.eval()


def digits(channels: int) -> np.ndarray:
    """uint8 (7, channels, 32, 32): handwritten digits, another in each channel."""
    small = np.rint(load_digits().images[: 7 * channels] * (255 / 16)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in small]
    return np.stack(large).reshape(7, channels, SIDE, SIDE)


@pytest.mark.timeout(900)  # the deepest trace for minutes where the machine is busy
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in zoo.names()
        if name not in DEEPEST
    ],
)
def test_it_goes_into_onnx_and_both_runtimes_agree_with_torch(name: str, tmp_path: Path) -> None:
    network = settled(name)
    channels = network.architecture.in_channels
    preprocess = Preprocess((SIDE, SIDE), channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
    facts, pixels = Facts(tuple("0123456789"), preprocess), digits(channels)
    exported = export_network(network, tmp_path / "m", format=FORMATS["onnx"], facts=facts, pixels=pixels)
    again = prove(
        reference_logits(network, pixels, facts), open_openvino(exported.files), pixels, facts=facts, bound=EXACT
    )
    for by, found in (("ONNX Runtime", exported.agreement), ("OpenVINO", again)):
        print(f"\n{name} by {by}: {found.largest_probability_difference:.1e} of a probability", end="")
        assert found.top1_agreement == 1.0
