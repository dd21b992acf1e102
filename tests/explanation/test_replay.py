"""A recorded network gives what the network gives: whole, folded, and with only a changed window computed again."""

from __future__ import annotations

import contextlib
import itertools
import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convlens import zoo
from convlens.explanation import explain, occluded
from convlens.explanation.occluded import alike
from convlens.explanation.occlusion import windows
from convlens.explanation.replay import Incremental, NotRecordedError, Patch, folded, record, replayable
from convlens.explanation.replay.packed import OPERATORS, PackedConvolution
from convlens.explanation.replay.patches import Unchanged
from convlens.explanation.replay.spans import Reach, Spans, spanning


def settled(network: nn.Module) -> nn.Module:
    """With statistics and scales as if it had been trained."""
    torch.manual_seed(1)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.2)
    return network.eval()


def farthest(network: nn.Module, image: torch.Tensor, window: int, stride: int) -> float:
    """Between the incremental logits and those of the whole picture, over the largest logit."""
    places = windows(*image.shape[2:], window, stride)
    cover = torch.full_like(image, 0.3)
    with torch.no_grad():
        incremental, far, largest = Incremental(replayable(network, image), image), 0.0, 0.0
        for batch in alike(places, 8):
            chosen = [places[index] for index in batch]
            expected = network(occluded.whole_pictures(image, cover, chosen))
            found = incremental.logits(occluded.covered(image, cover, chosen))
            far = max(far, float((found - expected).abs().max()))
            largest = max(largest, float(expected.abs().max()))
    return far / largest


ZOO = ["resnet18", "resnet50", "vgg11", "squeezenet1_1", "densenet121", "googlenet", "mobilenet_v1", "mobilenet_v2"]
ZOO += ["mobilenet_v3_small", "shufflenet_v2_x1_0", "alexnet"]
LONG = ("vgg11", "resnet50", "densenet121")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in ZOO])
def test_only_what_a_window_changes_is_computed_and_the_logits_are_those_of_the_whole_picture(name):
    network = settled(zoo.create(name, num_classes=7, image_size=96))
    image = torch.randn(1, 3, 96, 96)
    assert farthest(network, image, 20, 19) < 1e-4  # float32, with packed weights
    assert farthest(network.double(), image.double(), 20, 19) < 1e-9


KINDS = ["conv", "conv", "conv", "block", "max", "avg", "cat", "split", "pad", "gate", "up", "own"]


class Drawn(nn.Module):
    """A network of operations drawn at random: branches, sums, joins, gates, poolings, cuts, padding."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        self.kinds: list[tuple[str, tuple[int, ...]]] = []
        channels = 3
        for _ in range(draw.randint(3, 8)):
            kind = draw.choice(KINDS)
            k, s, d = draw.randint(1, 5), draw.randint(1, 3), draw.randint(1, 2)
            numbers = (k, s, draw.randint(0, k // 2), d, draw.randint(0, 1))
            part: nn.Module = nn.Identity()
            if kind == "conv":
                out, groups = draw.choice([4, 6, 8]), draw.choice([1, 2]) if channels % 2 == 0 else 1
                steps = [nn.Conv2d(channels, out, k, s, draw.randint(0, 4), d, groups, bias=draw.random() < 0.5)]
                steps += [nn.BatchNorm2d(out)] if draw.random() < 0.6 else []
                steps += [draw.choice([nn.ReLU(inplace=True), nn.Hardswish(), nn.PReLU(), nn.SiLU(), nn.ReLU6()])]
                part, channels = nn.Sequential(*steps), out
            elif kind == "block":
                part = nn.Conv2d(channels, channels, 3, padding=1)
            elif kind == "cat":
                part, channels = nn.Conv2d(channels, 4, 3, padding=1), channels + 4
            elif kind == "own":
                part = nn.Conv2d(channels, channels, 1)
            self.parts.append(part)
            self.kinds.append((kind, numbers))
        self.head = nn.Linear(channels, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part, (kind, (k, s, p, d, ceil)) in zip(self.parts, self.kinds, strict=True):
            if kind in ("conv", "own"):
                x = part(x)
            elif kind == "block":
                x = F.relu(x + part(x))
            elif kind == "max":
                x = F.max_pool2d(x, k, s, p, d if x.shape[-1] > 12 else 1, ceil_mode=bool(ceil))
            elif kind == "avg":
                x = F.avg_pool2d(x, k, s, p, ceil_mode=bool(ceil), count_include_pad=bool(d - 1))
            elif kind == "cat":
                x = torch.cat([part(x), x], 1)
            elif kind == "split":
                one, two = x[:, :1], x[:, 1:]
                x = torch.cat([two * 0.5, one.exp().clamp(max=3)], 1)
            elif kind == "pad":
                x = F.pad(x, (p, k, s, 0), value=0.5)
            elif kind == "gate":
                x = x * x.mean((2, 3), keepdim=True).sigmoid()
            else:
                x = F.interpolate(x, scale_factor=2.0) if x.shape[-1] < 30 else x
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("seed", range(40))
def test_networks_of_any_shape(seed):
    torch.manual_seed(seed)
    image = torch.randn(1, 3, 41, 47, dtype=torch.double)
    for other in itertools.count(seed, 1000):
        network = settled(Drawn(random.Random(other))).double()
        with contextlib.suppress(RuntimeError):  # sizes that do not fit
            network(image)
            break
    assert farthest(network, image, 7, 6) < 1e-9


class Places(nn.Module):
    """What stands at a position depends on where that is."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 5)
        self.table = nn.Parameter(torch.randn(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.conv(x) * self.table).mean((2, 3)))


@pytest.mark.parametrize("shape", [(), (1,), (33,), (29, 1), (4, 1, 1), (1, 4, 29, 33)])
def test_constants_that_differ_from_place_to_place(shape):
    torch.manual_seed(0)
    assert farthest(Places(shape).double().eval(), torch.randn(1, 3, 29, 33, dtype=torch.double), 6, 5) < 1e-9


def test_a_recorded_network_takes_any_number_of_pictures():
    network = settled(zoo.create("mobilenet_v3_small", num_classes=7, image_size=64)).double()
    images = torch.randn(5, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        recorded = folded(record(network, images[:1]))
        for count in (1, 2, 3, 5):
            assert torch.allclose(recorded(images[:count]), network(images[:count]), atol=1e-10)
    assert not [step for step in recorded.steps if "batch_norm" in step.op]


def test_a_network_in_channels_last_is_recorded_too():
    network = settled(zoo.create("resnet18", num_classes=7, image_size=64)).to(memory_format=torch.channels_last)
    assert farthest(network, torch.randn(1, 3, 64, 64), 16, 16) < 1e-4


class Asking(nn.Module):
    """What a recording cannot stand for."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.conv, self.head = what, nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        if self.what == "a value" and x.sum() > 0:
            x = -x
        if self.what == "chance":
            x = F.dropout(x, training=True)
        if self.what == "shared memory":
            x[:, :1].relu_()
        if self.what == "a table":
            x = x + torch.arange(len(x)).to(x)[:, None, None, None]
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("what", ["a value", "chance", "shared memory", "a table"])
def test_what_cannot_be_recorded_is_told(what):
    with pytest.raises(NotRecordedError):
        record(Asking(what).eval(), torch.randn(1, 3, 12, 12))


@pytest.mark.parametrize("what", ["a value", "shared memory", "nothing"])
@pytest.mark.parametrize("patch", ["grey", "blur"])
def test_occlusion_is_that_of_the_plain_loop_whether_recorded_or_not(what, patch, monkeypatch):
    torch.manual_seed(0)
    network, images = Asking(what).eval(), torch.randn(2, 3, 40, 33)
    options = {"method": "occlusion", "window": 5, "stride": 4, "patch": patch}
    plain = explain(network, images, [1, 2], **options)
    monkeypatch.setattr(occluded, "WORTH_IT", 0)
    asked = []
    monkeypatch.setattr(occluded, "replayable", lambda *given: asked.append(1) or replayable(*given))
    fast = explain(network, images, [1, 2], **options)
    assert bool(asked) == (what != "a value"), "whether the incremental way was tried"
    assert abs(fast.maps - plain.maps).max() < 1e-6


def test_a_wrong_incremental_result_is_not_believed(monkeypatch):
    torch.manual_seed(0)
    network, images = Asking("nothing").eval(), torch.randn(1, 3, 40, 40)
    plain = explain(network, images, 1, method="occlusion", window=5, stride=4)
    monkeypatch.setattr(occluded, "WORTH_IT", 0)
    right = Incremental.logits
    monkeypatch.setattr(Incremental, "logits", lambda self, patch: right(self, patch) * 1.01)
    assert (explain(network, images, 1, method="occlusion", window=5, stride=4).maps == plain.maps).all()


def test_what_fails_when_it_is_run_again_goes_through_the_plain_loop(monkeypatch):
    torch.manual_seed(0)
    network, images = Asking("nothing").eval(), torch.randn(1, 3, 40, 40)
    plain = explain(network, images, 1, method="occlusion", window=5, stride=4)
    monkeypatch.setattr(occluded, "WORTH_IT", 0)

    def fail(*_given):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(Incremental, "logits", fail)
    assert (explain(network, images, 1, method="occlusion", window=5, stride=4).maps == plain.maps).all()


def test_the_spans_of_a_convolution():
    """By hand: kernel 3, stride 2, padding 1 over 8 inputs; output o reads 2 o - 1 to 2 o + 1."""
    reach = Reach(3, 2, 1)
    assert reach.changed(Spans((0, 3, 6), 2), 4) == Spans((0, 1, 2), 2)  # 0..1 -> 0..1, 3..4 -> 1..2, 6..7 -> 3
    assert reach.read(Spans((0, 2), 2)) == Spans((-1, 3), 5)
    assert Reach(1, 3).changed(Spans((4,), 1), 4) == Spans((2,), 1)  # nobody reads 4; a neighbour is computed again
    assert spanning([-2, 5], [1, 9], 8) == Spans((0, 5), 3)


def test_a_patch_lies_in_the_frame_where_it_was():
    image = torch.arange(36.0).reshape(1, 1, 6, 6)
    patch = Patch(torch.full((2, 1, 2, 2), -1.0), Spans((0, 4), 2), Spans((1, 4), 2))
    frame = Unchanged(image).around(patch, Spans((-1, 3), 4), Spans((0, 3), 4), fill=9.0)
    assert frame.value[0, 0].tolist() == [[9, 9, 9, 9], [0, -1, -1, 3], [6, -1, -1, 9], [12, 13, 14, 15]]
    assert frame.value[1, 0, 1].tolist() == [27, -1, -1, 9]
    assert frame.value[1, 0, 3].tolist() == [9, 9, 9, 9]


@pytest.mark.skipif(not all(hasattr(torch.ops.mkldnn, name) for name in OPERATORS), reason="torch without oneDNN")
def test_weights_are_laid_out_once_for_a_shape_and_kept_once_for_a_layout():
    weight, bias = torch.randn(1024, 256, 1, 1).contiguous(memory_format=torch.channels_last), torch.randn(1024)
    run = PackedConvolution("relu")
    for pictures, side in [(1, 14), (8, 14), (8, 10), (2, 10), (8, 7)] * 2:
        images = torch.randn(pictures, 256, side, side).contiguous(memory_format=torch.channels_last)
        found = run(images, weight, bias, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
        torch.testing.assert_close(found, F.conv2d(images, weight, bias).relu(), rtol=1e-4, atol=1e-4)
    kept = list(run._for_shape.values())
    assert len(kept) == 5
    assert {id(one) for one in kept} == {id(one) for one in run._layouts.values()}
    assert len(run._layouts) < 5
