"""Numbers in the names give the order of the layers, whatever the order in the file; what contradicts is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import convlens.zoo as zoo
from convlens.errors import NetworkError, StorageError
from convlens.zoo.weights.order import in_layer_order, running_numbers
from convlens.zoo.weights.reading import COUNTER, FileTensors
from tests.zoo.weight_files import State, with_other_tensors, write


def small(**options: object) -> zoo.Network:
    """Twelve layers, many of one shape."""
    return zoo.create("resnet20", num_classes=4, **options)


@pytest.fixture
def state() -> State:
    return {
        name: tensor for name, tensor in with_other_tensors(small()).state_dict().items() if not name.endswith(COUNTER)
    }


def renamed(state: State, called: Callable[[int, str], str]) -> State:
    """`called` gets a layer's number and the kind of layer."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    places = {layer: called(number, layer.rpartition(".")[2].rstrip("12")) for number, layer in enumerate(layers)}
    return {f"{places[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": state[name] for name in state}


def exchanged(state: State, first: str, second: str) -> State:
    """The same with the tensors of two layers at each other's places in the file."""
    order = {first: second, second: first}
    moved = [
        f"{order.get(name.rpartition('.')[0], name.rpartition('.')[0])}.{name.rpartition('.')[2]}" for name in state
    ]
    return {name: state[name] for name in moved}


def assert_loaded(network: zoo.Network, expected: State) -> None:
    found = network.state_dict()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors"])
@pytest.mark.parametrize(
    "called",
    [
        lambda n, kind: f"{n:02d}_{kind}",
        lambda n, kind: f"layer{n}",
        lambda n, kind: f"{kind}{n + 1}",
    ],
)
def test_layers_are_loaded_by_their_numbers_whatever_the_order_in_the_file(
    tmp_path: Path, state: State, suffix: str, called: Callable[[int, str], str]
) -> None:
    names = renamed(state, called)
    jumbled = exchanged(names, called(14, "conv"), called(18, "conv"))
    assert list(jumbled) != list(names)
    assert_loaded(small(weights=write(tmp_path / f"weights{suffix}", jumbled)), state)


@pytest.mark.parametrize(
    "form",
    ["conv_{n}/{kernel}", "conv_{n}.{kernel}", "conv2d_{n}/{kernel}:0", "conv_{n}/{weight}", "{weight}_{n}", "{w}{n}"],
)
def test_numbers_count_under_the_names_of_other_frameworks_too(tmp_path: Path, form: str) -> None:
    words = {
        "weight": {"kernel": "kernel", "weight": "weight", "w": "w"},
        "bias": {"kernel": "bias", "weight": "bias", "w": "b"},
    }
    state = zoo.create("squeezenet1_1", num_classes=4).state_dict()
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    names = {
        form.format(n=layers.index(name.rpartition(".")[0]), **words[name.rpartition(".")[2]]): tensor
        for name, tensor in state.items()
    }
    names = {name.replace("conv2d_0/", "conv2d/"): tensor for name, tensor in names.items()}  # Keras's first layer
    file = write(tmp_path / "weights.npz", dict(reversed(names.items())))
    assert_loaded(zoo.create("squeezenet1_1", num_classes=4, weights=file), state)


def test_numbers_that_two_layers_share_keep_the_order_of_a_file_where_they_grow(tmp_path: Path, state: State) -> None:
    names = renamed(state, lambda number, kind: f"{number // 2}.{kind}")
    assert_loaded(small(weights=write(tmp_path / "weights.pth", names)), state)


def test_numbers_that_two_layers_share_are_refused_where_they_do_not_grow(tmp_path: Path, state: State) -> None:
    names = renamed(state, lambda number, kind: f"{number // 2}.{kind}")
    file = write(tmp_path / "weights.pth", exchanged(names, "7.conv", "9.conv"))
    with pytest.raises(NetworkError, match=r"neither the file nor its names tell their order; save them in the order"):
        small(weights=file)


def test_a_file_sorted_as_text_is_refused_where_its_numbers_count_no_layers(tmp_path: Path, state: State) -> None:
    """block10 stands before block2, and convolutions of a block have one shape."""
    names = renamed(state, lambda number, kind: f"block{number // 2}.{kind}")
    file = write(tmp_path / "weights.npz", {name: names[name] for name in sorted(names)})
    with pytest.raises(NetworkError, match=r"neither the file nor its names tell their order"):
        small(weights=file)


def test_our_own_names_come_before_all_numbers(tmp_path: Path, state: State) -> None:
    file = write(tmp_path / "weights.npz", {name: state[name] for name in reversed(state)})
    assert_loaded(small(weights=file), state)


@pytest.mark.parametrize(
    ("layers", "numbers"),
    [
        ({"conv0", "conv10", "conv2"}, [[0], [2], [10]]),
        ({"net0_conv1", "net0_conv12"}, [[0, 1], [0, 12]]),
        ({"00_conv2d", "01_depthwise", "03_conv2d"}, [[0], [1], [3]]),
        ({"conv1", "conv2", "dense3"}, [[1], [2], [3]]),
        ({"conv1", "conv2", "dense4"}, []),
        ({"conv1", "dense1"}, []),
        ({"conv1", "last"}, []),
    ],
)
def test_numbers_count_layers_where_nothing_else_differs_or_none_is_left_out(
    layers: set[str], numbers: list[list[int]]
) -> None:
    assert sorted(running_numbers(layers).values()) == numbers


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a1.bias", "a1.weight", "a10.weight", "a2.weight"], ["a1.weight", "a1.bias", "a2.weight", "a10.weight"]),
        (["bn1_beta", "bn1_gamma", "bn1_running_mean"], ["bn1_gamma", "bn1_beta", "bn1_running_mean"]),
        (["a2.weight", "a1.weight"], ["a1.weight", "a2.weight"]),
        (["bn1_bias", "conv1_weight"], ["bn1_bias", "conv1_weight"]),  # two kinds: numbers alone give no order
        (["a1.centre", "a1.weight"], ["a1.centre", "a1.weight"]),  # an ending of which nothing is known
        (["head.bias", "head.weight"], ["head.weight", "head.bias"]),  # no number: only within a layer
    ],
)
def test_names_that_count_nothing_stay_in_the_order_of_the_file(given: list[str], expected: list[str]) -> None:
    content = FileTensors({name: torch.zeros(1) for name in given}, True, {})
    found = in_layer_order(content, "lenet", ["head.weight"])
    assert found.ordered and list(found.tensors) == expected


@pytest.mark.parametrize("called", ["arr_{}", "{}", "tensor.{}"])
def test_numbers_may_count_the_tensors_themselves(tmp_path: Path, state: State, called: str) -> None:
    names = {called.format(number): tensor for number, tensor in enumerate(state.values())}
    assert_loaded(small(weights=write(tmp_path / "weights.safetensors", names)), state)


@pytest.mark.parametrize("flat", [True, False])
def test_a_classifier_is_loaded_as_a_linear_layer_and_as_a_1x1_convolution(tmp_path: Path, flat: bool) -> None:
    """The mobile networks of others end in a convolution, and SqueezeNet here in one too."""
    name, last = ("squeezenet1_1", "head.conv.weight") if flat else ("mobilenet_v1", "head.linear.weight")
    options = {"num_classes": 11} | ({} if flat else {"width": 0.25})
    network = zoo.create(name, **options)
    state = network.state_dict()
    turned = state[last].flatten(1) if flat else state[last][:, :, None, None]
    loaded = zoo.create(name, **options, weights=write(tmp_path / "weights.pth", state | {last: turned}))
    assert torch.equal(loaded.state_dict()[last], state[last])
    record = zoo.create(name, **options | {"num_classes": 5}, weights=tmp_path / "weights.pth").weights_record
    assert record is not None and record.left_out == (last, last.replace("weight", "bias"))


@pytest.mark.parametrize(
    "order", ["mean var scale offset", "offset scale mean var", "shift moving_var moving_mean gamma"]
)
def test_the_tensors_of_a_norm_are_told_by_their_names(tmp_path: Path, state: State, order: str) -> None:
    roles = {"mean": "running_mean", "moving_mean": "running_mean", "var": "running_var", "moving_var": "running_var"}
    roles |= {"scale": "weight", "gamma": "weight", "offset": "bias", "shift": "bias"}
    given: State = {}
    for name, tensor in state.items():
        layer, _, ending = name.rpartition(".")
        if f"{layer}.running_mean" not in state:
            given[f"{layer.replace('.', '_')}/{ending[0]}"] = tensor
        elif ending == "weight":
            own = {called: state[f"{layer}.{roles[called]}"] for called in order.split()}
            given |= {f"{layer.replace('.', '_')}/{called}": tensor for called, tensor in own.items()}
    assert_loaded(small(weights=write(tmp_path / "theirs.npz", given)), state)


def test_a_variance_is_told_by_where_it_goes(tmp_path: Path, state: State) -> None:
    given = {f"arr_{number}": -1 - tensor for number, tensor in enumerate(state.values())}
    with pytest.raises(StorageError, match="'arr_4' holds a variance below zero"):
        small(weights=write(tmp_path / "theirs.npz", given))
