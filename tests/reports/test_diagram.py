"""The drawing of a network: which boxes there are, what each reads, and that they do not lie on one another."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest
import torch
from torch import Tensor, nn

import convlens.zoo as zoo
from convlens.graph import trace
from convlens.measurement import measure_network
from convlens.reports import network_diagram
from convlens.reports.flow import boxes_of
from convlens.reports.layered import layered

SVG = "{http://www.w3.org/2000/svg}"


class Residual(nn.Module):
    """conv-norm-relu, conv; added to a projection; ReLU, concatenated with itself, pooled, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.act = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()
        self.two = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.project = nn.Conv2d(3, 8, 1, 2)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(self.act(self.norm(self.one(x)))) + self.project(x)
        y = torch.relu(y)
        return self.fc(self.pool(torch.cat([y, y.flip(3)], 1)).flatten(1))


def test_boxes_are_layers_with_what_follows_them_and_read_what_the_network_reads():
    boxes = boxes_of(trace(Residual(), (1, 3, 16, 16)))
    assert [(box.title, box.sources) for box in boxes] == [
        ("input", []),
        ("conv 3×3 /2", [0]),
        ("depthwise conv 3×3", [1]),
        ("conv 1×1 /2", [0]),
        ("+", [2, 3]),
        ("flip", [4]),
        ("concatenate", [4, 5]),
        ("global average pool", [6]),
        ("linear", [7]),
    ]
    assert boxes[1].more == ["batch norm", "ReLU"] and [path for path, _ in boxes[1].parts] == ["one", "norm", "act"]
    assert boxes[4].more == ["ReLU"]
    assert boxes[1].shape == (1, 8, 8, 8) and boxes[-1].shape == (1, 5)
    assert [box.kind for box in boxes[1:4]] == ["convolution", "depthwise", "convolution"]


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "densenet121", "shufflenet_v2_x1_0"])
def test_no_two_boxes_overlap_and_every_line_goes_down(name):
    network = zoo.create(name)
    boxes = boxes_of(trace(network, (1, 3, *network.architecture.image_size)))
    layout = layered([box.sources for box in boxes])
    rows: dict[int, list[float]] = {}
    for x, layer in zip(layout.x, layout.layer, strict=True):
        rows.setdefault(layer, []).append(x)
    for xs in rows.values():
        assert all(right - left >= 1 - 1e-3 for left, right in itertools.pairwise(sorted(xs)))
    assert len(layout.lines) == sum(len(set(box.sources)) for box in boxes)
    for line in layout.lines:
        assert [layer for _, layer in line] == list(range(line[0][1], line[-1][1] + 1))
    passed = {(x, layer) for line in layout.lines for x, layer in line[1:-1]}
    for x, layer in passed:
        assert all(abs(x - box) >= 0.5 for box in rows[layer]), "a line runs through a box"


class Constants(nn.Module):
    """A gate of parameters alone, and operations that only look like poolings."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.conv = nn.Parameter(torch.zeros(4, 1, 1)), nn.Conv2d(3, 4, 3, padding=1)
        self.pool, self.back = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x) * torch.exp(self.scale).clamp(max=100)
        y = self.back(*self.pool(y))
        return y.mean(1) + torch.arange(8.0)


def test_constants_have_no_box_and_what_is_unusual_has_its_name():
    boxes = boxes_of(trace(Constants(), (1, 3, 8, 8)))
    titles = [box.title for box in boxes]
    assert titles[:2] == ["input", "conv 3×3"] and "max pool 2×2 /2" in titles
    assert "exp" not in titles and "arange" not in titles and "global average pool" not in titles
    assert "mean" in titles


def test_a_chain_is_drawn_straight():
    layout = layered([[], [0], [1], [2]])
    assert layout.x == (0.0, 0.0, 0.0, 0.0) and layout.layer == (0, 1, 2, 3) and layout.num_layers == 4


def test_the_svg_is_one_file_with_a_box_for_each_layer_and_its_facts():
    network = Residual()
    svg = ET.fromstring(network_diagram(trace(network, (1, 3, 16, 16)), measure_network(network, (1, 3, 16, 16))))
    width, height = float(svg.get("width")), float(svg.get("height"))
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert {"conv 3×3 /2", "+", "linear", "8 × 8 × 8 · batch norm · ReLU"} <= set(texts)
    for rect in svg.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    told = [group.find(f"{SVG}title").text for group in svg.iter(f"{SVG}g")]
    assert "Conv2d one: 8 × 8 × 8, 224 parameters, 13.8 k MACs, sees 3×3 px" in told[1].splitlines()[0]
    assert "href" not in ET.tostring(svg, "unicode")
