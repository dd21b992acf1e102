"""Names, arguments and options: what is accepted, and what the refusal says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch

import convlens.zoo as zoo
from convlens.errors import UsageError


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet5", {}, r"no network is called 'resnet5' \(near: .*resnet50.*\); `convlens zoo` lists all \d+"),
        ("lenet5", {"num_classes": 0}, "num_classes is 0, expected a whole number of at least 1"),
        ("lenet5", {"num_classes": 2.5}, "num_classes is 2.5, expected"),
        ("lenet5", {"num_classes": True}, "num_classes is True, expected"),
        ("lenet5", {"in_channels": -3}, "in_channels is -3, expected"),
        ("lenet5", {"image_size": "28"}, "image_size is '28', expected"),
        (
            "lenet5",
            {"image_size": (28, 28, 3)},
            r"image_size is \(28, 28, 3\), expected one side in pixels or",
        ),
        ("lenet5", {"widht": 0.5}, "lenet5 has no option 'widht'; its options are: none"),
        (
            "resnet18",
            {"widht": 0.5},
            r"resnet18 has no option 'widht' \(near: width\); .* are: width \(default 1.0\), sh",
        ),
        ("resnet18", {"width": 0}, "width is 0, expected a number above 0"),
        ("mobilenet_v2", {"width": "half"}, "width is 'half', expected a number above 0"),
        ("mlp", {"hidden": ()}, r"hidden is \(\), expected the sizes"),
        ("mlp", {"hidden": (30, -1)}, "a size in hidden is -1, expected"),
        ("lenet5_1998", {"output": "tanh"}, "the output of lenet5_1998 is 'tanh', expected 'rbf' or 'linear'"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_was_expected(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        zoo.create(name, **arguments)


def test_an_architecture_keeps_only_options_that_differ_from_the_default() -> None:
    assert zoo.create("mobilenet_v2", image_size=32, width=1.0).architecture.options == {}
    assert zoo.create("mobilenet_v2", image_size=32, width=0.35).architecture.options == {"width": 0.35}
    assert zoo.create("mlp", hidden=[300, 100]).architecture.options == {}


def test_an_architecture_survives_json() -> None:
    architecture = zoo.create("mlp", num_classes=3, in_channels=2, image_size=(5, 6), hidden=(7, 8)).architecture
    assert zoo.Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


def test_a_damaged_architecture_is_refused_with_what_is_missing() -> None:
    with pytest.raises(UsageError, match=r"not a description of an architecture \(KeyError: 'image_size'\)"):
        zoo.Architecture.from_dict({"name": "lenet5"})


def test_the_paper_s_resolution_is_the_default() -> None:
    assert zoo.create("lenet5").architecture.image_size == (28, 28)
    with torch.device("meta"):
        assert zoo.create("alexnet").architecture.image_size == (224, 224)


def test_names_are_in_the_order_of_the_years_and_every_entry_names_its_paper() -> None:
    entries = [zoo.entry(name) for name in zoo.names()]
    assert [entry.year for entry in entries] == sorted(entry.year for entry in entries)
    assert all(entry.paper and entry.authors and entry.link.startswith("http") for entry in entries)
    assert sorted(name for members in zoo.families().values() for name in members) == sorted(zoo.names())
    assert list(zoo.families())[:4] == ["perceptron", "mlp", "recurrent", "lenet"]


def test_the_zoo_has_every_network_of_the_lineage() -> None:
    vgg = [f"vgg{column}{norm}" for column in ("11", "11_lrn", "13", "16_c", "16", "19") for norm in ("", "_bn")]
    resnet = [f"resnet{depth}" for depth in (18, 34, 50, 101, 152, 20, 32, 44, 56, 110, 1202)]
    wider = ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet28_10"]
    readers = [f"{cell}_rows" for cell in ("rnn", "lstm", "gru", "bilstm", "stacked_lstm", "peephole_lstm", "cifg")]
    mobile = ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"]
    inception = ["googlenet_paper", "googlenet", "inception_v3", "xception", "nasnet_mobile", "nasnet_large"]
    others = ["perceptron", "mlp", "lenet5_1998", "lenet5", "alexnet", "alexnet_paper"]
    dense = ["densenet121", "densenet161", "densenet169", "densenet201", "densenet_bc_100_12", "se_resnet50"]
    light = [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")] + ["shufflenet_v1"]
    light += ["squeezenet1_0", "squeezenet1_1", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3", "mnasnet_a1"]
    sprint = ["sprint_cifar", "sprint_cifar_deep", "sprint_mnist", "sprint_mnist_deep"]
    every = {*vgg, *resnet, "plain18", "plain34", *wider, *readers, *mobile, *inception, *dense, *light, *others}
    assert set(zoo.names()) == every | {"wide_resnet16_8", *sprint}


@pytest.mark.parametrize("width", [0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_every_family_with_a_width_takes_those_of_the_papers(width: float) -> None:
    for name in (
        "resnet50",
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_small",
        "mnasnet_a1",
        "se_resnet50",
    ):
        with torch.device("meta"):
            network = zoo.create(name, num_classes=10, image_size=96, width=width).eval()
            assert network(torch.empty(1, 3, 96, 96)).shape == (1, 10)


def test_creating_a_network_with_one_seed_draws_the_same_weights_whatever_was_built_before() -> None:
    torch.manual_seed(5)
    first = zoo.create("lenet5_1998").state_dict()
    zoo.create("mlp")
    torch.manual_seed(5)
    again = zoo.create("lenet5_1998").state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("size", [12, 20, 28, 33, 64])
def test_lenet_sizes_its_linear_layer_for_any_picture(size: int) -> None:
    for name in ("lenet5", "lenet5_1998"):
        assert zoo.create(name, num_classes=4, image_size=(size, 28))(torch.zeros(2, 3, size, 28)).shape == (2, 4)


def test_each_map_of_c3_sees_only_the_inputs_of_table_1() -> None:
    convolution = zoo.create("lenet5_1998").get_submodule("stages.c3")
    images = torch.zeros(1, 6, 5, 5, requires_grad=True)
    outputs = convolution(images)[0, :, 0, 0]
    seen = []
    for output in outputs:
        (gradient,) = torch.autograd.grad(output, images, retain_graph=True)
        seen.append(tuple(gradient[0].abs().sum((1, 2)).nonzero().flatten().tolist()))
    assert [len(inputs) for inputs in seen] == [3] * 6 + [4] * 9 + [6]
    assert seen[4] == (0, 4, 5) and seen[14] == (0, 2, 3, 5) and len(set(seen)) == 16


def test_the_rbf_logits_are_highest_for_the_centre_s_own_class() -> None:
    output = zoo.create("lenet5_1998", num_classes=12).get_submodule("head.output")
    assert output(output.centres).argmax(1).tolist() == list(range(12))
    assert not output(output.centres).diagonal().any()


def test_importing_the_zoo_builds_no_network_and_reaches_for_no_pictures() -> None:
    import subprocess
    import sys

    code = "import sys, convlens.zoo; print([m for m in sys.modules if re.match(PATTERN, m)])"
    code = "import re; PATTERN = 'convlens.(storage|pictures|graph|data|runs)|matplotlib|sklearn|PIL'; " + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\[\]\s*", done.stdout), done.stdout
