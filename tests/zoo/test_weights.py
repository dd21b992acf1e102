"""Weights from files by name and by order, what is refused, and the published ones through the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

import convlens.zoo as zoo
from convlens.errors import NetworkError, StorageError, UsageError
from convlens.zoo.weights import loading
from convlens.zoo.weights.published import PublishedWeights
from tests.zoo.weight_files import State, small_mobilenet, with_other_tensors, write


@pytest.fixture
def trained() -> zoo.Network:
    return with_other_tensors(small_mobilenet())


def strange_names(state: State) -> State:
    """The same tensors in the same order under another library's names, without the counters."""
    kept = [name for name in state if not name.endswith("num_batches_tracked")]
    return {f"layer{index}.{name.rpartition('.')[2]}": state[name] for index, name in enumerate(kept)}


def assert_same(network: zoo.Network, expected: State) -> None:
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".npz", ".safetensors"])
def test_weights_are_loaded_by_name(tmp_path: Path, trained: zoo.Network, suffix: str) -> None:
    state = trained.state_dict()
    file = write(tmp_path / f"weights{suffix}", {name: state[name] for name in sorted(state)})
    network = small_mobilenet(weights=file)
    assert_same(network, state)
    assert network.weights_record is not None
    assert network.weights_record.num_loaded == len(strange_names(state))
    assert network.weights_record.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert network.weights_record.left_out == ()


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
def test_weights_under_other_names_are_loaded_by_order(tmp_path: Path, trained: zoo.Network, suffix: str) -> None:
    state = trained.state_dict()
    assert_same(small_mobilenet(weights=write(tmp_path / f"w{suffix}", strange_names(state))), state)


def test_alphabetical_names_are_put_in_the_order_of_their_numbers(tmp_path: Path, trained: zoo.Network) -> None:
    """As an NPZ of sorted names: conv10 before conv2, bias before weight."""
    network = zoo.create("vgg16", num_classes=4, image_size=32)
    state = network.state_dict()
    pairs = [name.rpartition(".")[0] for name in state if name.endswith("weight")]
    renamed = {
        f"vgg0_conv{number}_{role}": state[f"{stem}.{role}"]
        for number, stem in enumerate(pairs)
        for role in ("weight", "bias")
    }
    file = write(tmp_path / "sorted.npz", {name: renamed[name] for name in sorted(renamed)})
    assert_same(zoo.create("vgg16", num_classes=4, image_size=32, weights=file), state)


def test_imagenet_has_a_thousand_names_and_tensorflow_one_more() -> None:
    names = zoo.usual_classes(zoo.entry("resnet18"), 1000)
    assert names is not None and len(set(names)) == 1000 and names[0] == "tench"
    assert zoo.usual_classes(zoo.entry("resnet18"), 1001) == ("background", *names)
    assert zoo.usual_classes(zoo.entry("resnet18"), 10) is None
    cifar = zoo.usual_classes(zoo.entry("resnet20"), 10)
    assert cifar is not None and (cifar[0], cifar[-1]) == ("airplane", "truck")
    assert zoo.usual_classes(zoo.entry("lenet5"), 10) is None
    assert list(zoo.imagenet_names())[-1] == "n15075141"


@pytest.mark.parametrize("before", ["module.", "_orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize(
    "wrapper", ["state_dict", "model", "net", "state_dict_ema", "model_state", "weights", "params"]
)
def test_a_checkpoint_is_unwrapped_and_module_stripped(
    tmp_path: Path, trained: zoo.Network, wrapper: str, before: str
) -> None:
    state = {f"{before}{name}": tensor for name, tensor in sorted(trained.state_dict().items())}
    optimiser = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": torch.tensor(3), wrapper: state, "optimizer": optimiser}, tmp_path / "checkpoint.th")
    assert_same(small_mobilenet(weights=tmp_path / "checkpoint.th"), trained.state_dict())


def test_the_weights_come_before_their_average_and_out_of_every_wrapper(tmp_path: Path, trained: zoo.Network) -> None:
    other = {"state_dict_ema": small_mobilenet().state_dict(), "state_dict": trained.state_dict()}
    torch.save({"checkpoint": other}, tmp_path / "checkpoint.pt")
    assert_same(small_mobilenet(weights=tmp_path / "checkpoint.pt"), trained.state_dict())


def test_only_the_classifier_is_left_out_for_another_number_of_classes(tmp_path: Path, trained: zoo.Network) -> None:
    file = write(tmp_path / "weights.pth", strange_names(trained.state_dict()))
    torch.manual_seed(1)
    fresh = small_mobilenet(num_classes=7).head.state_dict()
    torch.manual_seed(1)
    network = small_mobilenet(num_classes=7)
    record = zoo.load_weights(network, file)
    assert record.left_out == ("head.linear.weight", "head.linear.bias")
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in network.head.state_dict().items())
    assert torch.equal(network.stem.conv.weight, trained.stem.conv.weight)  # type: ignore[union-attr]


def test_the_fixed_centres_of_lenet_are_left_out_for_another_number_of_classes(tmp_path: Path) -> None:
    file = write(tmp_path / "weights.npz", zoo.create("lenet5_1998", num_classes=10).state_dict())
    record = zoo.load_weights(zoo.create("lenet5_1998", num_classes=26), file)
    assert record.left_out == ("head.output.centres",)


def test_a_tensor_of_another_shape_is_named_and_nothing_is_loaded(tmp_path: Path, trained: zoo.Network) -> None:
    file = write(tmp_path / "weights.pth", strange_names(trained.state_dict()))
    network = small_mobilenet(in_channels=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    message = (
        r"weights.pth: 'layer0.weight' has shape \(8, 3, 3, 3\), and the network's 'stem.conv.weight' has \(8, 1, 3, "
        r"3\), tensor 1 of 262; create the network that the weights were trained with"
    )
    with pytest.raises(NetworkError, match=message):
        zoo.load_weights(network, file)
    assert_same(network, before)


def test_a_layer_with_more_outputs_is_refused_where_it_is_not_the_classifier(
    tmp_path: Path, trained: zoo.Network
) -> None:
    wide = trained.state_dict() | {"stem.conv.weight": torch.zeros(16, 3, 3, 3)}
    with pytest.raises(NetworkError, match=r"'stem.conv.weight' has shape \(16, 3, 3, 3\)"):
        small_mobilenet(weights=write(tmp_path / "wide.npz", wide))


def test_too_few_tensors_are_refused_with_the_first_that_is_missing(tmp_path: Path, trained: zoo.Network) -> None:
    state = strange_names(trained.state_dict())
    file = write(tmp_path / "weights.pth", dict(list(state.items())[:-1]))
    with pytest.raises(NetworkError, match=r"has \d+ tensors and the network \d+: .*'head.linear.bias' is not in"):
        small_mobilenet(weights=file)


def test_a_deeper_network_s_file_is_refused_though_all_names_are_in_it(tmp_path: Path) -> None:
    file = write(tmp_path / "resnet34.pth", zoo.create("resnet34", image_size=32, width=0.125).state_dict())
    with pytest.raises(NetworkError, match=r"resnet34\.pth"):
        zoo.create("resnet18", image_size=32, width=0.125, weights=file)


def test_two_tensors_of_one_shape_that_changed_places_are_noticed(tmp_path: Path, trained: zoo.Network) -> None:
    state = list(spelled(strange_names(trained.state_dict())).items())
    state[1], state[2] = state[2], state[1]  # a norm's weight and bias
    with pytest.raises(NetworkError, match=r"'layerc.bias' stands where the network has 'stem.norm.weight'"):
        small_mobilenet(weights=write(tmp_path / "weights.pth", dict(state)))


def spelled(state: State) -> State:
    """Names without numbers."""
    letters = str.maketrans("0123456789", "abcdefghij")
    return {name.translate(letters): tensor for name, tensor in state.items()}


def test_a_safetensors_file_of_other_names_is_refused_for_it_has_no_order(tmp_path: Path, trained: zoo.Network) -> None:
    file = write(tmp_path / "weights.safetensors", spelled(strange_names(trained.state_dict())))
    with pytest.raises(NetworkError, match=r"the first is 'layera.weight', and neither the file nor its names tell"):
        small_mobilenet(weights=file)


def test_a_safetensors_file_whose_names_count_its_tensors_is_loaded_by_order(
    tmp_path: Path, trained: zoo.Network
) -> None:
    state = trained.state_dict()
    assert_same(small_mobilenet(weights=write(tmp_path / "weights.safetensors", strange_names(state))), state)


@pytest.mark.parametrize(
    ("file", "content", "error", "message"),
    [
        ("absent.pth", None, UsageError, "no weights file at .*absent.pth; give the path of a file, or 'imagenet'"),
        ("weights.h5", b"HDF", UsageError, r"ends in '.h5'; weights are read from .safetensors, .npz, .packed, .pth"),
        ("empty.pth", b"", StorageError, "empty.pth cannot be read as weights"),
        ("noise.npz", b"noise", StorageError, "noise.npz cannot be read as weights"),
        ("noise.safetensors", b"noise" * 9, StorageError, "noise.safetensors cannot be read as weights"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, file: str, content: bytes | None, error: type[Exception], message: str
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(error, match=message):
        small_mobilenet(weights=tmp_path / file)


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("intruder-was-here"),))


def test_code_inside_a_checkpoint_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Intruder()}, tmp_path / "evil.pth")
    with pytest.raises(StorageError, match=r"evil.pth cannot be read as weights .* \(code in a file is never run\)"):
        small_mobilenet(weights=tmp_path / "evil.pth")
    assert not (tmp_path / "intruder-was-here").exists()


def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    with pytest.raises(StorageError, match=r"epoch.pth holds no tensors by name; expected a state_dict"):
        small_mobilenet(weights=tmp_path / "epoch.pth")


def test_published_weights_are_downloaded_once_and_kept_as_safetensors(
    tmp_path: Path, trained: zoo.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = write(tmp_path / "served.pth", strange_names(trained.state_dict()))
    digest = hashlib.sha256(served.read_bytes()).hexdigest()
    preprocessing = {"size": [32, 32]}
    row = PublishedWeights("x", "net.pth", (served.as_uri(),), digest[:8], 4, preprocessing, 0.5, 0.8, True)
    monkeypatch.setattr(loading, "published", lambda name: row)
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    steps: list[str] = []
    network = small_mobilenet(weights="imagenet", progress=lambda stage, done, total, detail: steps.append(stage))
    assert_same(network, trained.state_dict())
    assert set(steps) == {"download"}
    assert [file.name for file in (tmp_path / "cache" / "weights").glob("net*")] == ["net.safetensors"]
    served.unlink()
    record = zoo.load_weights(small_mobilenet(num_classes=9), "imagenet")
    assert (record.source, record.sha256, record.preprocessing) == ("imagenet", digest, preprocessing)
    assert record.left_out == ("head.linear.weight", "head.linear.bias")
