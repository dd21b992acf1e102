"""Every network of the zoo goes into ONNX, TextCNN too, and ONNX Runtime and OpenVINO give its answers.

The networks are built for 32 px, a quarter as wide where their family allows, with the channels of their paper. The
differences that docs/export.md names are printed by `pytest tests/exporting/test_zoo.py -s`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from convlens import zoo
from convlens.errors import ExportError, UsageError
from convlens.exporting import EXACT, FORMATS, INSIDE, Exported, Facts, export_network, onnx_bytes, open_openvino, prove
from convlens.exporting.int8 import int8_bytes
from convlens.exporting.proof import reference_logits
from convlens.pictures import Preprocess

QUICK = {"lenet5", "squeezenet1_1"}
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
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in zoo.names()],
)
def test_it_goes_into_onnx_and_both_runtimes_agree_with_torch(name: str, tmp_path: Path) -> None:
    network = settled(name)
    channels = network.architecture.in_channels
    preprocess = Preprocess((SIDE, SIDE), channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
    facts, pixels = Facts(tuple("0123456789"), preprocess), digits(channels)
    check(name, network, facts, pixels, tmp_path)


def check(name: str, network: nn.Module, facts: Facts, given: np.ndarray, folder: Path) -> Exported:
    exported = export_network(network, folder / "m", format=FORMATS["onnx"], facts=facts, pixels=given)
    again = prove(
        reference_logits(network, given, facts), open_openvino(exported.files), given, facts=facts, bound=EXACT
    )
    for by, found in (("ONNX Runtime", exported.agreement), ("OpenVINO", again)):
        print(f"\n{name} by {by}: {found.largest_probability_difference:.1e} of a probability", end="")
        assert found.top1_agreement == 1.0
    return exported


EIGHT_BITS = dict.fromkeys(  # the first network of each family, and those that called a layer by several names
    [members[0] for members in zoo.families().values()] + ["lstm_rows", "gru_rows", "bilstm_rows", "squeezenet1_1"]
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in EIGHT_BITS]
)
def test_of_each_family_one_goes_into_8_bits_and_still_says_much_the_same(name: str) -> None:
    network = settled(name)
    channels = network.architecture.in_channels
    images = (digits(channels).astype(np.float32) / 255 - 0.5) / 0.5
    plain = onnx_bytes(network, (channels, SIDE, SIDE))
    says = [
        session.run(None, {session.get_inputs()[0].name: images})[0]
        for session in map(onnxruntime.InferenceSession, (plain, int8_bytes(plain, [images])))
    ]
    assert np.corrcoef(*map(np.ravel, says))[0, 1] > 0.95


def sentences(length: int = 9) -> tuple[np.ndarray, int]:
    """The licence, int64 (N, length), each word by its place in the vocabulary; and how many words that has."""
    words = (Path(__file__).parents[2] / "LICENSE").read_text(encoding="utf-8").lower().split()
    number = {word: place for place, word in enumerate(dict.fromkeys(words), 1)}
    numbers = np.array([number[word] for word in words[: 7 * length]])
    return numbers.reshape(7, length), 1 + len(number)


def textcnn() -> zoo.TextCNN:
    torch.manual_seed(0)
    return zoo.TextCNN(sentences()[1], num_classes=3, maps=8, embedding=16).eval()


TEXT = Facts(("a", "b", "c"), None, 0.5)


def test_a_network_of_words_goes_into_onnx_and_both_runtimes_agree_with_torch(tmp_path: Path) -> None:
    exported = check("TextCNN", textcnn(), TEXT, sentences()[0], tmp_path)
    session = onnxruntime.InferenceSession(exported.files[0])
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("inputs", "tensor(int64)", [9])
    assert Facts.from_texts(session.get_modelmeta().custom_metadata_map) == TEXT


@pytest.mark.parametrize("name", ["torch-export", "safetensors"])
def test_a_network_of_words_goes_where_torch_reads_it_too(name: str, tmp_path: Path) -> None:
    files = export_network(textcnn(), tmp_path / "m", format=FORMATS[name], facts=TEXT, pixels=sentences()[0])
    assert files.agreement.top1_agreement == 1.0 and files.agreement.largest_probability_difference < 1e-6


def test_pictures_are_nothing_for_a_network_of_words_which_is_one_line_and_no_file(tmp_path: Path) -> None:
    facts, pixels = Facts(TEXT.classes, Preprocess((SIDE, SIDE))), digits(3)
    with pytest.raises(ExportError, match=r"TextCNN cannot read float32 of \(5, 3, 32, 32\) \(.*; give pict") as error:
        export_network(textcnn(), tmp_path / "m", format=FORMATS["onnx"], facts=facts, pixels=pixels)
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []


def test_eight_bits_and_pixels_are_refused_where_there_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"onnx-int8 is calibrated on pictures, .*; take onnx"):
        export_network(textcnn(), tmp_path / "m", format=FORMATS["onnx-int8"], facts=TEXT, pixels=sentences()[0])
    with pytest.raises(UsageError, match="none can be in the graph; leave INSIDE out"):
        Facts(("a", "b"), None, signature=INSIDE)
    assert list(tmp_path.iterdir()) == []
