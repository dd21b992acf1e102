"""Parameters exactly, multiplications within 0.1 %, for every network and every row of the multiplier tables."""

from __future__ import annotations

import csv
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import convlens.zoo as zoo
from convlens.graph import trace
from convlens.zoo.facts import OWN, PAPER, TIMM, TV, WEIGHTS
from convlens.zoo.weights.published import IMAGENET

# The 1,202 layers take ten seconds to trace.
NAMES = [pytest.param(name, marks=pytest.mark.slow if name == "resnet1202" else ()) for name in zoo.names()]


def count(name: str, image_size: int | None = None, **options: Any) -> tuple[int, int]:
    """(trainable parameters, MACs) by an oracle that knows operators, not modules; nothing is allocated or computed."""
    entry = zoo.entry(name)
    with torch.device("meta"):
        network = zoo.create(
            name, num_classes=entry.num_classes, in_channels=entry.in_channels, image_size=image_size, **options
        ).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, entry.in_channels, *network.architecture.image_size))
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_macs_are_those_of_the_table(name: str) -> None:
    parameters, macs = count(name)
    assert parameters == zoo.FACTS[name].parameters
    assert macs == pytest.approx(zoo.FACTS[name].macs, rel=1e-3)


@pytest.mark.parametrize("row", zoo.MULTIPLIERS, ids=lambda row: f"{row.network}-{row.width}-{row.image_size}")
def test_width_and_resolution_multipliers_give_the_counts_of_their_table(row: zoo.Multiplier) -> None:
    parameters, macs = count(row.network, row.image_size, width=row.width)
    assert parameters == row.parameters
    assert macs == pytest.approx(row.macs, rel=1e-3)
    if row.paper_macs is not None:
        assert macs / 1e6 == pytest.approx(row.paper_macs, rel=6e-3)
    if row.paper_parameters is not None:
        assert round(parameters / 1e6, 1) == row.paper_parameters


@pytest.mark.parametrize("name", NAMES)
def test_depth_and_receptive_field_are_those_of_the_table(name: str) -> None:
    """Of the last feature map, which the stages give; by a gate of squeeze and excite it sees the whole picture too."""
    entry, facts = zoo.entry(name), zoo.FACTS[name]
    with torch.device("meta"):
        network = zoo.create(name, num_classes=entry.num_classes, in_channels=entry.in_channels).eval()
    graph = trace(network, (1, entry.in_channels, entry.resolution, entry.resolution))
    stages = next(call for call in graph.finished if call.path == "stages")
    assert graph.depth == facts.depth
    if len(stages.output_shape) != 4:
        assert (facts.receptive_field, facts.gated) == (None, False)
        return
    field, everything = (graph.receptive_field(stages.node, gates=gates) for gates in (False, True))
    assert field is not None and everything is not None
    assert max(field.size) == facts.receptive_field
    assert all(everything.whole) == facts.gated and not any(field.whole)


def test_every_registered_network_has_a_row_and_every_row_a_network() -> None:
    assert set(zoo.FACTS) == set(zoo.names())


def test_the_accuracies_are_those_published_with_the_weights() -> None:
    for name in IMAGENET:
        weights = zoo.published(name)
        assert weights is not None
        assert (zoo.FACTS[name].top1, zoo.FACTS[name].top5) == (weights.top1, weights.top5)
        assert zoo.FACTS[name].accuracy_source == WEIGHTS


def test_every_accuracy_names_its_data_set_its_protocol_and_its_source() -> None:
    for name, facts in zoo.FACTS.items():
        entry = zoo.entry(name)
        assert facts.counts_source in (TV, TIMM, PAPER, OWN)
        if facts.top1 is None and facts.top5 is None:
            assert facts.data_set is facts.protocol is facts.accuracy_source is None, name
            continue
        assert facts.data_set == {28: "MNIST", 32: "CIFAR-10"}.get(entry.resolution, "ImageNet"), name
        assert facts.protocol in (
            ("1 crop", "10 crops", "dense") if facts.data_set == "ImageNet" else ("test part", "test part, 6 views")
        )
        assert facts.accuracy_source, name
    unusual = {name for name, facts in zoo.FACTS.items() if facts.protocol in ("10 crops", "dense")}
    assert unusual == {"alexnet_paper", "vgg11_lrn", "vgg16_c"}


def test_facts_weights_and_peers_name_one_version_of_the_published_implementations() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert f"torchvision=={TV.removeprefix('torchvision ')}.0 " in makefile
    assert TIMM.replace(" ", "==") in makefile
    assert TV in (inspect.getdoc(inspect.getmodule(zoo.published)) or "")


def test_the_1998_network_has_the_layers_the_paper_counts() -> None:
    network = zoo.create("lenet5_1998", num_classes=10, in_channels=1)
    counts = [
        sum(parameter.numel() for parameter in network.get_submodule(layer).parameters())
        for layer in ("stages.c1", "stages.s2", "stages.c3", "stages.s4", "head.c5", "head.f6", "head.output")
    ]
    assert counts == [156, 12, 1516, 32, 48120, 10164, 0]
    assert count("lenet5_1998", output="linear")[0] == 60_850


def test_the_counts_agree_with_the_published_implementations(shared_data: Any) -> None:
    theirs = {
        "mobilenetv1_100": "mobilenet_v1",
        "legacy_xception": "xception",
        "nasnetalarge": "nasnet_large",
        "semnasnet_100": "mnasnet_a1",
        "seresnet50": "se_resnet50",
    }
    with (shared_data.parent / "facts" / "imagenet_architectures.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if theirs.get(row["name"], row["name"]) in zoo.FACTS]
    assert len(rows) == 42
    for row in rows:
        facts = zoo.FACTS[theirs.get(row["name"], row["name"])]
        assert (facts.parameters, facts.macs) == (int(row["params"]), int(row["macs"])), row["name"]
