"""Files of every format: proved on real pictures, or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.engines import open_engine
from convlens.errors import DataError, ExportError, MissingExtra, StorageError, UsageError
from convlens.exporting import EXACT, FORMATS, INSIDE, INT8, OUTSIDE, Facts, Format, Opened, export_network, find_format
from convlens.exporting import openvino as openvino_file
from convlens.exporting.quiet import reason
from convlens.pictures import Preprocess
from convlens.storage import atomic

WEIGHTS = FORMATS["safetensors"]
TWO_FILES = replace(
    WEIGHTS,
    endings=(".safetensors", ".bin"),
    encode=lambda *given: (*WEIGHTS.encode(*given), b"second"),
    open=lambda files, network: WEIGHTS.open(files[:1], network),
)
AS_GOOD = [name for name, one in FORMATS.items() if one.bound == EXACT]
GRAPHS = [name for name, one in FORMATS.items() if one.holds_graph]


class OfTheBatch(nn.Module):
    """Normalises over the pictures that come together, as a batch norm in training mode does."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :5] - images.flatten(1)[:, :5].mean(0)


class Branching(nn.Module):
    """Its path depends on values: nothing that a graph can express."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :5] if images.sum() > 0 else images.flatten(1)[:, :5] * 2


def files_in(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


def wrong(right: Format, change) -> Format:  # type: ignore[no-untyped-def]
    """A format whose reader changes what the file gives."""

    def opening(files, network):  # type: ignore[no-untyped-def]
        opened = right.open(files, network)
        return Opened(lambda batch: change(opened.run(batch)), opened.texts)

    return replace(right, open=opening)


@pytest.mark.parametrize("name", AS_GOOD)
def test_a_proved_file_is_there_agrees_tells_its_facts_and_no_path_of_this_machine(
    name, network, facts, pixels, tmp_path
):
    exported = export_network(network, tmp_path / "new" / "model.x", format=FORMATS[name], facts=facts, pixels=pixels)
    found = exported.agreement
    assert (found.pictures, found.batches, found.top1_agreement) == (7, (1, 2, 5), 1.0)
    assert found.largest_probability_difference <= 1e-6
    assert found.largest_logit_difference is not None and found.largest_logit_difference <= 1e-6
    assert files_in(tmp_path / "new") == sorted(f"model{ending}" for ending in FORMATS[name].endings)
    assert Facts.from_texts(FORMATS[name].open(exported.files, network).texts) == facts
    for file in exported.files:
        assert file.stat().st_size > 100
        assert b".py" not in file.read_bytes() and bytes(tmp_path) not in file.read_bytes()


@pytest.mark.parametrize("signature", [OUTSIDE, INSIDE])
def test_an_int8_file_is_calibrated_and_tells_by_how_much_it_differs(signature, network, facts, pixels, tmp_path):
    facts = replace(facts, signature=signature)
    exported = export_network(
        network, tmp_path / "m", format=FORMATS["onnx-int8"], facts=facts, pixels=pixels[4:], calibration=pixels[:4]
    )
    assert exported.agreement.bound == INT8
    assert 0 < exported.agreement.largest_probability_difference < 0.02
    opened = FORMATS["onnx-int8"].open(exported.files, network)
    assert Facts.from_texts(opened.texts) == facts and "int8.method" in opened.texts
    given = pixels.transpose(0, 2, 3, 1) if signature == INSIDE else np.zeros((7, 3, 8, 6), np.float32)
    assert opened(given).shape == (7, 5)
    if signature == INSIDE:
        np.testing.assert_allclose(opened(given).sum(1), 1, atol=1e-5)


def test_pictures_that_calibrate_nothing_are_one_line_and_no_file(network, facts, pixels, tmp_path):
    with pytest.raises(DataError, match="no scale can be read off"):
        export_network(
            network,
            tmp_path / "new" / "m",
            format=FORMATS["onnx-int8"],
            facts=replace(facts, preprocess=replace(facts.preprocess, mean=(0.1,) * 3, std=(0.2,) * 3)),
            pixels=pixels,
            calibration=np.zeros_like(pixels),
        )
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(("name", "channels"), [("onnx", 3), ("openvino", 1), ("torch-export", 3)])
def test_with_the_preprocessing_inside_pixels_become_probabilities(name, channels, network, facts, pixels, tmp_path):
    facts = replace(facts, signature=INSIDE)
    if channels == 1:
        facts = replace(facts, preprocess=Preprocess((8, 6), channels=1, mean=(0.1,), std=(0.3,)))
        network[0] = nn.Conv2d(1, 4, 3)
        pixels = pixels[:, :1]
    exported = export_network(network, tmp_path / "m", format=FORMATS[name], facts=facts, pixels=pixels)
    assert exported.agreement.largest_logit_difference is None
    opened = FORMATS[name].open(exported.files, network)
    with torch.no_grad():
        logits = network(facts.preprocess.normalise(torch.from_numpy(pixels)))
    found = opened(pixels.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(found, torch.softmax(logits / 0.7, 1).numpy(), atol=1e-6)


# fmt: off
DISAGREEMENTS = {
    "another class":        (lambda y: -y,                                 "same class"),
    "slightly off":         (lambda y: y * np.float32(1.01),               "probabilities differ by up to"),
    "not a number":         (lambda y: y * np.float32("nan"),              "differ by up to nan"),
    "at a batch of five":   (lambda y: y if len(y) < 5 else y[::-1],       "does not agree with the network"),
    "a class too few":      (lambda y: y[:, 1:],                           "(7, 4)"),
}
# fmt: on


@pytest.mark.parametrize("case", DISAGREEMENTS)
def test_a_file_that_disagrees_is_not_kept(case, network, facts, pixels, tmp_path):
    change, says = DISAGREEMENTS[case]
    with pytest.raises(ExportError) as found:
        export_network(network, tmp_path / "new/deep/m", format=wrong(WEIGHTS, change), facts=facts, pixels=pixels)
    assert says in str(found.value) and "no file was kept" in str(found.value) and "\n" not in str(found.value)
    assert files_in(tmp_path) == []


def test_where_a_format_knows_a_remedy_the_refusal_names_it(network, facts, pixels, tmp_path):
    lying = replace(wrong(WEIGHTS, lambda y: -y), remedy="train for longer")
    with pytest.raises(ExportError, match=r"no file was kept; train for longer$"):
        export_network(network, tmp_path / "m", format=lying, facts=facts, pixels=pixels)
    assert "convlens shrink RUN --quantise int8" in FORMATS["onnx-int8"].remedy and not WEIGHTS.remedy


def test_an_earlier_file_stays_as_it_was_where_the_new_one_disagrees(network, facts, pixels, tmp_path):
    before = export_network(network, tmp_path / "m", format=TWO_FILES, facts=facts, pixels=pixels)
    contents = [file.read_bytes() for file in before.files]
    with pytest.raises(ExportError, match="does not agree"):
        export_network(network, tmp_path / "m", format=wrong(TWO_FILES, lambda y: 2 * y), facts=facts, pixels=pixels)
    assert [file.read_bytes() for file in before.files] == contents
    assert files_in(tmp_path) == ["m.bin", "m.safetensors"]


def test_a_network_that_mixes_the_pictures_of_a_batch_is_found_out(facts, pixels, tmp_path):
    with pytest.raises(ExportError, match="does not agree with the network: of 7 pictures"):
        export_network(OfTheBatch(), tmp_path / "m", format=FORMATS["torch-export"], facts=facts, pixels=pixels)
    assert files_in(tmp_path) == []


def test_metadata_that_were_lost_are_found_out(network, facts, pixels, tmp_path):
    right = WEIGHTS
    lost = replace(right, open=lambda files, network: replace(right.open(files, network), texts={}))
    with pytest.raises(ExportError, match="metadata are not what was written"):
        export_network(network, tmp_path / "m", format=lost, facts=facts, pixels=pixels)
    assert files_in(tmp_path) == []


def test_one_picture_is_proved_at_every_batch(network, facts, pixels, tmp_path):
    seen = []
    right = WEIGHTS

    def opening(files, network):  # type: ignore[no-untyped-def]
        opened = right.open(files, network)
        return Opened(lambda batch: seen.append(len(batch)) or opened.run(batch), opened.texts)

    export_network(network, tmp_path / "m", format=replace(right, open=opening), facts=facts, pixels=pixels[:1])
    assert seen == [1, 2, 5]


@pytest.mark.parametrize(("tilt", "agrees"), [(1e-6, True), (5e-5, False)])
def test_which_of_two_classes_comes_first_matters_unless_they_are_as_likely(tilt, agrees, facts, pixels, tmp_path):
    even = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 6, 5)).eval()
    nn.init.zeros_(even[1].weight)
    with torch.no_grad():
        even[1].bias.copy_(torch.tensor([0, 0, tilt, 0, 0]))
    flipped = wrong(WEIGHTS, lambda y: y[:, ::-1] * np.float32([1, 1, 0, 1, 1]))
    if agrees:
        exported = export_network(even, tmp_path / "m", format=flipped, facts=facts, pixels=pixels)
        assert exported.agreement.top1_agreement == 1
    else:
        with pytest.raises(ExportError, match=r"puts 0\.0% into the same class .* by up to 1\.1e-05"):
            export_network(even, tmp_path / "m", format=flipped, facts=facts, pixels=pixels)


@pytest.mark.parametrize("name", GRAPHS)
def test_an_operator_that_no_graph_can_express_is_one_line_and_no_file(name, facts, pixels, tmp_path, capsys):
    with pytest.raises(ExportError, match="Branching does not go into") as found:
        export_network(Branching(), tmp_path / "new" / "m", format=FORMATS[name], facts=facts, pixels=pixels)
    assert "\n" not in str(found.value)
    assert capsys.readouterr() == ("", "")  # torch prints the graph that it had so far
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "network", [nn.Flatten(), nn.Sequential(nn.Flatten(), nn.Linear(144, 5))], ids=["other outputs", "not finite"]
)
def test_a_network_without_logits_for_the_classes_is_told_before_anything_is_written(network, facts, pixels, tmp_path):
    if isinstance(network, nn.Sequential):
        nn.init.constant_(network[1].bias, float("inf"))
    with pytest.raises(ExportError, match="does not give 5 finite logits for each picture"):
        export_network(network, tmp_path / "m", format=FORMATS["onnx"], facts=facts, pixels=pixels)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("onnx", "onnx", "export"),
        ("onnx", "onnxscript", "export"),
        ("onnx", "onnxruntime", "export"),
        ("openvino", "openvino", "fast"),
    ],
)
def test_a_package_that_is_missing_is_told_with_its_extra(
    name, package, extra, network, facts, pixels, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"needs {package}, .*convlens\[{extra}\]"):
        export_network(network, tmp_path / "m", format=FORMATS[name], facts=facts, pixels=pixels)
    assert files_in(tmp_path) == []


def test_a_folder_that_takes_no_file_says_so_before_anything_is_computed(network, facts, pixels, tmp_path, monkeypatch):
    def refuse(self: Path, *_, **__) -> None:  # type: ignore[no-untyped-def]
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    never = replace(FORMATS["onnx"], encode=lambda *_: pytest.fail("something was computed"))
    with pytest.raises(StorageError, match=r"m\.onnx: permission denied; choose another place with --out"):
        export_network(network, tmp_path / "new" / "m", format=never, facts=facts, pixels=pixels)
    assert files_in(tmp_path) == []


def test_a_disk_that_is_full_leaves_nothing(network, facts, pixels, tmp_path, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(atomic.os, "fsync", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        export_network(network, tmp_path / "new" / "m", format=TWO_FILES, facts=facts, pixels=pixels)
    assert files_in(tmp_path) == []


def test_without_a_picture_nothing_is_proved(network, facts, pixels, tmp_path):
    with pytest.raises(UsageError, match="no picture came to prove the file on"):
        export_network(network, tmp_path / "m", format=FORMATS["onnx"], facts=facts, pixels=pixels[:0])


def test_an_unknown_format_is_told_with_the_nearest():
    with pytest.raises(
        UsageError, match=r"no format is called 'onx' \(near: onnx, onnx-int8\); there are onnx, onnx-int8, openvino"
    ):
        find_format("onx")


def test_metadata_of_another_file_are_refused_in_one_line():
    with pytest.raises(ExportError, match="metadata are not those of `convlens export`"):
        Facts.from_texts({"classes": json.dumps(["a"])})


class Wrapped(nn.Module):
    """Padded by the other side of the picture, which OpenVINO does not do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((2, 3)))


def test_what_openvino_cannot_do_is_named():
    with pytest.raises(
        ExportError, match=r"^Wrapped does not go into OpenVINO: Pad: Unsupported padding mode: \[wrap\]$"
    ):
        openvino_file.openvino_bytes(Wrapped().eval(), (3, 8, 6))
    with pytest.raises(ExportError, match=r"^OpenVINO cannot open the file: Pad: Unsupported padding mode: \[wrap\]$"):
        open_engine("openvino", Wrapped().eval(), (3, 8, 6))


def test_a_reason_is_no_place_in_somebodys_source():
    said = "Exception from a.cpp:1:\nCheck 'false' failed at b.cpp:2:\nFrontEnd API failed with GeneralFailure:\nno Foo"
    assert reason(RuntimeError(said)) == openvino_file.openvino_reason(RuntimeError(said)) == "RuntimeError: no Foo"
    said = "Check 'even' failed at c.hpp:3:\nWhile validating node 'v1::Reshape view (…)' with a name:\nodd size\n"
    assert openvino_file.openvino_reason(RuntimeError(said)) == "RuntimeError: odd size"
    assert reason(RuntimeError("Exception from a.cpp:1:")) == "RuntimeError: Exception from a.cpp:1:"


def test_openvino_is_imported_without_what_reports_to_its_makers():
    code = (
        "from convlens.exporting import load\nimport sys\nload('openvino', 'x')\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')], 'openvino' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] True"
