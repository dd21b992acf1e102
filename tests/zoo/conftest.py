"""Which networks of the registry run in `make test` and which only in `make test-slow`."""

from __future__ import annotations

import pytest

import convlens.zoo as zoo

SMALLEST = {
    "perceptron",
    "mlp",
    "lenet5",
    "lenet5_1998",
    "alexnet",
    "alexnet_paper",
    "googlenet",
    "inception_v3",
    "vgg11_lrn_bn",
    "resnet18",
    "plain18",
    "resnet20",
    "resnext50_32x4d",
    "wide_resnet16_8",
    "rnn_rows",
    "gru_rows",
    "bilstm_rows",
    "densenet_bc_100_12",
    "squeezenet1_1",
    "se_resnet50",
    "shufflenet_v1",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "mnasnet_a1",
    "mobilenet_v1",
    "xception",
    "nasnet_mobile",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "sprint_cifar",
    "sprint_mnist",
    "sprint_mnist_deep",
}


DEEPEST = {"resnet1202"}  # one class with resnet110, which computes in its place


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `name` runs over the registry; all but the smallest of each family are slow."""
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "name" not in metafunc.fixturenames or any("name" in ([one] if isinstance(one, str) else one) for one in given):
        return
    computes = metafunc.definition.get_closest_marker("computes") is not None
    chosen = [name for name in zoo.names() if not (computes and name in DEEPEST)]
    marks = {name: () if name in SMALLEST else (pytest.mark.slow,) for name in chosen}
    metafunc.parametrize("name", [pytest.param(name, marks=marks[name]) for name in marks])
