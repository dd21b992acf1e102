"""Weights that would load as nonsense, or half, are refused with one line of ours that names the tensor."""

from __future__ import annotations

import io
import json
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import convlens.zoo as zoo
from convlens.errors import ConvlensError, NetworkError, StorageError

State = dict[str, torch.Tensor]


def small(num_classes: int = 4, **options: Any) -> zoo.Network:
    return zoo.create("lenet5", num_classes=num_classes, **options)


@pytest.fixture
def state() -> State:
    return dict(small().state_dict())


def written(folder: Path, state: State) -> Path:
    save_file(state, folder / "weights.safetensors")
    return folder / "weights.safetensors"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, state: State, value: float) -> None:
    state["stages.c3.weight"].view(-1)[7] = value
    with pytest.raises(StorageError, match=r"'stages\.c3\.weight' holds 1 of [\d,]+ numbers as NaN or infinity"):
        small(weights=written(tmp_path, state))


def test_a_number_that_float32_does_not_hold_is_refused(tmp_path: Path, state: State) -> None:
    state["stages.c3.weight"] = torch.full_like(state["stages.c3.weight"], 1e300, dtype=torch.float64)
    with pytest.raises(StorageError, match=r"'stages\.c3\.weight' holds .* NaN or infinity in float32"):
        small(weights=written(tmp_path, state))


def test_a_variance_below_zero_is_refused(tmp_path: Path) -> None:
    state = zoo.create("resnet20", num_classes=4).state_dict()
    state["stem.norm.running_var"][3] = -0.1
    with pytest.raises(StorageError, match=r"'stem\.norm\.running_var' holds a variance below zero"):
        zoo.create("resnet20", num_classes=4, weights=written(tmp_path, state))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "bool", "complex64", "float8_e4m3fn"])
def test_numbers_of_a_kind_that_is_no_weight_are_refused(tmp_path: Path, state: State, kind: str) -> None:
    state["stages.c3.weight"] = state["stages.c3.weight"].to(getattr(torch, kind))
    torch.save(state, tmp_path / "weights.pth")
    message = rf"'stages\.c3\.weight' holds {kind} numbers; weights are read from float32, float16, bfloat16, float64"
    with pytest.raises(StorageError, match=message):
        small(weights=tmp_path / "weights.pth")


def test_sparse_tensors_are_refused(tmp_path: Path, state: State) -> None:
    state["stages.c3.weight"] = state["stages.c3.weight"].to_sparse()
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(StorageError, match=r"'stages\.c3\.weight' is a sparse tensor; save it as a dense one"):
        small(weights=tmp_path / "weights.pth")


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_floating_numbers_of_every_width_are_read(tmp_path: Path, state: State, kind: str) -> None:
    file = written(tmp_path, {name: tensor.to(getattr(torch, kind)) for name, tensor in state.items()})
    for name, tensor in small(weights=file).state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=1e-2, atol=1e-3)


def quantised() -> State:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8) for name, t in small().state_dict().items()}


def test_quantised_tensors_are_refused_without_a_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(quantised(), tmp_path / "weights.pth")
    with pytest.raises(StorageError, match=r"'stages\.c1\.weight' holds qint8 numbers"):
        small(weights=tmp_path / "weights.pth")


@pytest.mark.parametrize("num_classes", [3, 4, 10])
def test_a_classifier_of_more_biases_than_rows_is_refused(tmp_path: Path, state: State, num_classes: int) -> None:
    last = list(state)[-2]
    state[last] = state[last][:3].clone()
    with pytest.raises(NetworkError, match=rf"contradicts itself .* '{last}' 3 and '.*bias' 4; expected as many"):
        small(num_classes, weights=written(tmp_path, state))


def test_a_classifier_without_rows_is_the_fault_of_the_file(tmp_path: Path, state: State) -> None:
    weight, bias = list(state)[-2:]
    file = written(tmp_path, state | {weight: state[weight][:0].clone(), bias: state[bias][:0].clone()})
    with pytest.raises(StorageError, match=rf"weights\.safetensors: '{bias}', the last tensor, is empty"):
        zoo.describe_weights("lenet5", file)


def test_a_transposed_kernel_is_refused_with_its_place_and_the_axes_that_are_read(tmp_path: Path, state: State) -> None:
    state["stages.c3.weight"] = state["stages.c3.weight"].permute(2, 3, 1, 0).contiguous()
    message = (
        r"'stages\.c3\.weight' has shape \(5, 5, 6, 16\), and the network's 'stages\.c3\.weight' has \(16, 6, 5, 5\), "
        r"tensor 3 of 10; save them in the order of the layers, .* \(out, in, height, width\)"
    )
    with pytest.raises(NetworkError, match=message):
        small(weights=written(tmp_path, state))


def test_layers_in_another_order_are_told_how_to_be_saved(tmp_path: Path, state: State) -> None:
    letters = {name: f"{letter}.{name.rpartition('.')[2]}" for letter, name in zip("aabbccddee", state, strict=True)}
    torch.save({letters[name]: state[name] for name in reversed(state)}, tmp_path / "weights.pth")
    with pytest.raises(NetworkError, match=r"'e\.weight' .*; save them in the order of the layers, numbered"):
        small(weights=tmp_path / "weights.pth")


def test_a_single_tensor_is_refused_as_too_few(tmp_path: Path) -> None:
    file = written(tmp_path, {"conv.weight": torch.zeros(6, 3, 5, 5)})
    assert zoo.describe_weights("lenet5", file).in_channels == 3
    with pytest.raises(NetworkError, match=r"create the network that"):
        small(weights=file)


def test_another_network_s_file_is_told_to_create_that_network(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"has shape \(6, 3, 5, 5\).* create the network that the weights were"):
        small(in_channels=1, weights=written(tmp_path, dict(small(in_channels=3).state_dict())))


def script(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(file))


def cut(file: Path) -> None:
    torch.save(small().state_dict(), file)
    file.write_bytes(file.read_bytes()[:-300])


def cut_before_2020(file: Path) -> None:
    torch.save(small().state_dict(), file, _use_new_zipfile_serialization=False)
    file.write_bytes(file.read_bytes()[:600])


def cut_safetensors(file: Path) -> None:
    save_file(dict(small().state_dict()), file)
    file.write_bytes(file.read_bytes()[:-3])


def boastful_safetensors(file: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": 3}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)


def a_zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "nothing")


def an_npz(file: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    file.write_bytes(buffer.getvalue())


class Program:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("false",)


def a_checkpoint(file: Path) -> None:
    with file.open("wb") as opened:
        torch.save({"a.weight": torch.zeros(2)}, opened)


DAMAGED = "it is damaged, cut short or of another kind than its name says"
NOT_NUMBERS = "it holds arrays that are not of numbers"
# fmt: off
KINDS: list[tuple[str, Callable[[Path], Any], str]] = [
    ("script.pt",         script,                                              "it is a TorchScript archive"),
    ("module.pth",        lambda file: torch.save(torch.nn.ReLU(), file),      "it holds a Python object, torch"),
    ("cut.pth",           cut,                                                 DAMAGED),
    ("cut.th",            cut_before_2020,                                     DAMAGED),
    ("noise.pth",         lambda file: file.write_bytes(b"hello world" * 9),   DAMAGED),
    ("empty.pth",         lambda file: file.touch(),                           "it is empty"),
    ("numpy.pth",         an_npz,                                              "it is an archive of NumPy"),
    ("zip.pth",           a_zip,                                               DAMAGED),
    ("page.pth",          lambda file: file.write_text("<!DOCTYPE html>"),     "it is a page of HTML"),
    ("lfs.safetensors",   lambda file: file.write_text("version https://git"), "it is the pointer of git-lfs"),
    ("keras.safetensors", lambda file: file.write_bytes(b"\x89HDF\r\n"),       "it is an HDF5 file"),
    ("cut.safetensors",   cut_safetensors,                                     DAMAGED),
    ("odd.safetensors",   boastful_safetensors,                                DAMAGED),
    ("objects.npz",       lambda file: np.savez(file, a=np.array([{}])),       NOT_NUMBERS),
    ("words.npz",         lambda file: np.savez(file, a=np.array(["a"])),      NOT_NUMBERS),
    ("noise.npz",         lambda file: file.write_bytes(b"noise"),             DAMAGED),
    ("code.pth",          lambda file: torch.save({"a": Program()}, file),     r"it holds a Python object, \w+\.sys"),
    ("torch.npz",         a_checkpoint,                                        "it is a checkpoint of torch, which"),
]
# fmt: on


@pytest.mark.parametrize(("file", "make", "reason"), KINDS, ids=[kind[0] for kind in KINDS])
def test_a_file_that_is_no_weights_is_told_what_it_is_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], file: str, make: Callable[[Path], Any], reason: str
) -> None:
    make(tmp_path / file)
    with pytest.raises(ConvlensError, match=rf"{file} cannot be read as weights \({reason}") as caught:
        small(weights=tmp_path / file)
    told = str(caught.value)
    assert "\n" not in told and "\033" not in told and "weights_only" not in told and "Error" not in told
    assert capfd.readouterr().err == ""


def test_several_sets_of_tensors_in_one_file_are_named(tmp_path: Path, state: State) -> None:
    torch.save({"generator": state, "critic": state, "epoch": 3}, tmp_path / "gan.pth")
    with pytest.raises(StorageError, match=r"holds several sets of tensors \(generator, critic\); expected one"):
        small(weights=tmp_path / "gan.pth")


def test_tensors_without_numbers_are_refused(tmp_path: Path, state: State) -> None:
    torch.save({name: tensor.to("meta") for name, tensor in state.items()}, tmp_path / "meta.pth")
    with pytest.raises(
        StorageError, match=r"'stages\.c1\.weight' has a shape and no numbers \(meta\); save the network"
    ):
        small(weights=tmp_path / "meta.pth")
