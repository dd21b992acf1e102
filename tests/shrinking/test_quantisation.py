"""A network in 8 bits: scales from pictures, training in spite of rounding, and the file that agrees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from convlens.data import open_images
from convlens.errors import DataError, NetworkError, RunError, UsageError
from convlens.exporting import INPUT, int8_bytes, int8_network_bytes, onnx_bytes
from convlens.layers.fake_quantised import (
    InputScale,
    fake_quantised,
    float_network,
    input_scales,
    rounded_weight,
    scales_to_json,
)
from convlens.runs import Run, save_run
from convlens.shrinking import quantise, train_quantised
from convlens.shrinking.quantisation import divergence


def part(run: Run, name: str) -> tuple[Tensor, Tensor]:
    digits = open_images("digits")
    assert run.splits is not None
    rows = run.splits.indices(name)
    return run.preprocess([digits.reader.read(int(row)) for row in rows]), torch.tensor(digits.labels[rows])


def accuracy(model: nn.Module, pictures: tuple[Tensor, Tensor]) -> float:
    with torch.inference_mode():
        return float((model(pictures[0]).argmax(1) == pictures[1]).float().mean())


@pytest.mark.parametrize("method", ["auto", "minmax", "entropy", "percentile"])
def test_digits_are_recognised_as_well_in_eight_bits(trained_run: Path, method: str) -> None:
    run = Run.load(trained_run)
    train, val = part(run, "train"), part(run, "val")
    made = quantise(run.model, train[0][:128].split(32), method=method)
    assert set(input_scales(made)) == {"stages.c1", "stages.c3", "head.c5", "head.f6", "head.output"}
    assert accuracy(made, val) > accuracy(run.model, val) - 0.02
    assert 0 < divergence(run.model, made, val[0]) < 0.02


def test_weights_that_are_computed_at_each_call_are_refused() -> None:
    normed = nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(16, 4)))
    for make in (
        lambda: quantise(normed, [torch.rand(2, 1, 4, 4)]),
        lambda: fake_quantised(normed, {"1": InputScale(0.1, 0)}),
    ):
        with pytest.raises(NetworkError, match=r"^the weight of '1' of Sequential .* cannot be rounded"):
            make()
    assert not input_scales(fake_quantised(normed, {}))


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_the_older_weight_norm_is_refused_by_name() -> None:
    normed = nn.Sequential(nn.Flatten(), nn.utils.weight_norm(nn.Linear(16, 4)))
    for make in (float_network, lambda network: quantise(network, [torch.rand(2, 1, 4, 4)])):
        with pytest.raises(
            NetworkError, match=r"^'1' of Sequential has torch.nn.utils.weight_norm, .*parametrizations"
        ):
            make(normed)


@pytest.mark.parametrize("method", ["auto", "minmax"])
def test_without_a_picture_there_is_nothing_to_read_scales_off(method: str) -> None:
    for nothing in ([], [torch.zeros(0, 1, 8, 8)]):
        with pytest.raises(DataError, match="no calibration pictures came; expected batches"):
            quantise(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), nothing, method=method)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_pictures_with_nan_or_infinity_are_refused(wrong: float) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    pictures = torch.rand(9, 3, 8, 8)
    spoilt = pictures.clone()
    spoilt[4, 1, 2, 3] = wrong
    with pytest.raises(DataError, match=r"^1 of 9 calibration pictures hold NaN or infinity"):
        quantise(network, spoilt.split(4))
    with pytest.raises(DataError, match=r"^1 of 9 validation pictures hold NaN or infinity"):
        quantise(network, [pictures], validation=spoilt)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((2, 3, 8, 8)), "ndarray came as calibration pictures; expected batches"),
        (torch.zeros(3, 8, 8), r"a tensor of \(3, 8, 8\) came as calibration pictures; expected batches"),
        (torch.zeros(2, 1, 8, 8), r"Sequential cannot run on calibration pictures of \(2, 1, 8, 8\) .*; expected"),
    ],
)
def test_what_are_no_pictures_of_the_network_is_refused(wrong: Tensor, says: str) -> None:
    with pytest.raises(DataError, match=says):
        quantise(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), [wrong], method="minmax")


class ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(input=images).mean((2, 3))


def test_a_layer_that_is_called_by_keyword_is_refused_by_name() -> None:
    with pytest.raises(NetworkError, match=r"^'conv' of ByKeyword is called .*call it as layer\(x\)$"):
        quantise(ByKeyword(), [torch.rand(4, 3, 8, 8)])


def test_the_int8_file_gives_what_the_network_gives(trained_run: Path) -> None:
    """Largest difference of a logit: 2 % of the spread of a picture's logits."""
    run = Run.load(trained_run)
    train, test = part(run, "train"), part(run, "test")
    made = quantise(run.model, train[0][:128].split(32), method="percentile")
    file = int8_network_bytes(made, (1, 28, 28), [train[0][:64].numpy()], method="minmax", metadata={"a": "b"})
    session = onnxruntime.InferenceSession(file)
    found = torch.from_numpy(session.run(None, {INPUT: test[0].numpy()})[0])
    with torch.inference_mode():
        expected = made(test[0])
    spread = float((expected.amax(1) - expected.amin(1)).mean())
    assert float((found - expected).abs().max()) < 0.02 * spread
    assert float((found.argmax(1) == expected.argmax(1)).float().mean()) >= 0.99
    assert session.get_modelmeta().custom_metadata_map["a"] == "b"


def test_the_scales_of_the_network_are_those_of_the_file() -> None:
    """Scales that no picture would give, so that they must come from the network."""
    import onnx

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)).eval()
    made = fake_quantised(plain, {"0": InputScale(0.5, 17), "4": InputScale(0.25, 0)})
    file = int8_network_bytes(made, (3, 8, 8), [np.random.default_rng(0).normal(size=(4, 3, 8, 8))], method="minmax")
    steps = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load_from_string(file).graph.initializer
        if tensor.name.endswith("_scale") and not tensor.dims
    }
    assert steps[f"{INPUT}_scale"] == 0.5
    assert sorted(map(float, steps.values())) == [0.25, 0.5]  # the pooling hands its scale on


class Repeated(nn.Module):
    """One convolution, first on a map that is negative, too, then on its own gated answers."""

    def __init__(self, gate: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.gate = gate
        self.first, self.again, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(3):
            x = self.gate(self.again(x))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("gate", [F.relu, F.relu6, F.hardtanh, partial(torch.clamp, max=0.3)])
def test_a_layer_that_reads_negative_numbers_once_keeps_the_gates_of_its_other_calls(
    gate: Callable[[Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    network = Repeated(gate).eval()
    with torch.no_grad():
        network.again.weight.mul_(3)
    images = torch.randn(64, 3, 16, 16)
    made = quantise(network, images[:32].split(16), method="minmax")
    file = int8_network_bytes(made, (3, 16, 16), [images[:32].numpy()], method="minmax")
    found = torch.from_numpy(onnxruntime.InferenceSession(file).run(None, {INPUT: images.numpy()})[0])
    with torch.inference_mode():
        expected = made(images)
    assert float((found - expected).abs().max()) < 0.4 * float(expected.std(0).mean())


def test_a_layer_that_has_another_name_in_the_file_is_calibrated_on_the_pictures() -> None:
    file = onnx_bytes(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 2, 2))
    images = [np.random.default_rng(0).normal(size=(4, 3, 2, 2))]
    assert int8_bytes(file, images, ranges={"head": (0, 1)}) == int8_bytes(file, images)


def test_training_in_spite_of_rounding_brings_back_what_clipped_scales_lost(trained_run: Path) -> None:
    """The inputs of all layers clipped to a sixteenth of their range."""
    run = Run.load(trained_run)
    train, val = part(run, "train"), part(run, "val")
    scales = input_scales(quantise(run.model, [train[0][:128]], method="minmax"))
    made = fake_quantised(run.model, {path: InputScale(s.step / 16, s.zero_point) for path, s in scales.items()})

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(train[0].split(64), train[1].split(64), strict=True)

    trained = train_quantised(made, batches, epochs=3, learning_rate=1e-3)
    assert accuracy(made, val) + 0.05 < accuracy(trained, val)
    assert accuracy(trained, val) > accuracy(run.model, val) - 0.05
    assert input_scales(trained) == input_scales(made)


def test_a_quantised_run_keeps_float_weights_and_computes_in_eight_bits(copied_run: Path) -> None:
    run = Run.load(copied_run)
    made = quantise(run.model, [part(run, "train")[0][:64]], method="minmax")
    scales = {"inputs": scales_to_json(input_scales(made))}
    save_run(run.folder, replace(run.manifest, quantisation=scales), made.state_dict())
    loaded = Run.load(copied_run)
    images = part(run, "val")[0]
    assert torch.equal(loaded.model(images), made(images))
    assert not torch.equal(loaded.model(images), run.model(images))
    assert torch.equal(float_network(loaded.model)(images), run.model(images))
    layer = loaded.model.get_submodule("head.f6")
    assert torch.equal(layer.weight, rounded_weight(loaded.model.state_dict()["head.f6.weight"]))  # type: ignore[arg-type]
    assert json.loads((copied_run / "run.json").read_text())["format_version"] == 3


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"head.c9": [0.1, 0]}, "the scale of 'head.c9' fits no layer"),
        ({"head.c5": [0.1, 300]}, "the scale of 'head.c5' is"),
        ([], "'quantisation.inputs' is a list, expected a table"),
    ],
)
def test_damaged_scales_of_a_run_are_one_line(copied_run: Path, inputs: object, text: str) -> None:
    manifest = json.loads((copied_run / "run.json").read_text())
    manifest |= {"format_version": 3, "quantisation": {"inputs": inputs}}
    (copied_run / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=text):
        assert Run.load(copied_run).model


def test_a_method_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="'mean'; expected auto, minmax, entropy, percentile"):
        quantise(nn.Linear(2, 2), [torch.zeros(1, 2)], method="mean")
