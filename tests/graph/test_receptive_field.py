"""The receptive field is what a unit really depends on: checked by gradients and by poisoning pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.graph import ReceptiveField, trace

SIDE = 40


def field_of(model: nn.Module, shape: tuple[int, ...] = (1, 3, SIDE, SIDE)) -> ReceptiveField:
    graph = trace(model, shape)
    field = graph.receptive_field(graph.output_nodes[0])
    assert field is not None
    return field


class Branches(nn.Module):
    """A random network of convolutions with two branches a stage, summed or concatenated. All weights are positive."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.plan: list[tuple[str, int]] = []
        self.layers = nn.ModuleList()
        channels = 3
        for _ in range(rng.integers(2, 5)):
            stride = int(rng.integers(1, 3))
            join = str(rng.choice(["sum", "cat", "one"]))
            for _ in range(2):
                half = int(rng.integers(0, 3))
                dilation = int(rng.integers(1, 3))
                options = {"stride": stride, "padding": half * dilation, "dilation": dilation}
                self.layers.append(nn.Conv2d(channels, 4, 2 * half + 1, **options))
            self.plan.append((join, int(rng.integers(0, 3))))
            channels = 8 if join == "cat" else 4
        for parameter in self.parameters():
            nn.init.uniform_(parameter, 0.1, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        for stage, (join, pool) in enumerate(self.plan):
            one, two = self.layers[2 * stage](x), self.layers[2 * stage + 1](x)
            x = one + two if join == "sum" else torch.cat([one, two], 1) if join == "cat" else one
            x = F.avg_pool2d(torch.relu(x), 3, 2, padding=1) if pool == 1 else x
            x = F.avg_pool2d(x, 2, 1) if pool == 2 else x
        return x


def seen_by_gradient(model: nn.Module, image: Tensor, row: int, column: int) -> tuple[tuple[int, int], ...]:
    """First and last row and column of the pixels with a gradient from one unit."""
    image = image.clone().requires_grad_()
    model(image)[:, :, row, column].sum().backward()
    touched = image.grad.abs().sum((0, 1)) > 0
    rows, columns = touched.any(1).nonzero().flatten(), touched.any(0).nonzero().flatten()
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))


@pytest.mark.parametrize("seed", range(25))
def test_a_random_branching_network_sees_exactly_what_its_gradient_touches(seed):
    model = Branches(seed).double().eval()
    side = 250
    image = torch.rand(1, 3, side, side, dtype=torch.float64)
    field = field_of(model, tuple(image.shape))
    inside = [
        i for i, (low, high) in enumerate(zip(field.low[0], field.high[0], strict=True)) if low >= 0 and high < side
    ]
    assert inside, "the picture is too small for this test"
    for unit in {inside[0], inside[-1]}:
        (top, bottom), (left, right) = seen_by_gradient(model, image, unit, unit)
        assert field.window(unit, unit) == ((top, bottom), (left, right))
        assert field.size == (bottom - top + 1, right - left + 1)
        assert (top + bottom) / 2 == field.start[0] + unit * field.stride[0]


def seen_by_poison(model: nn.Module, image: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """NaN in one row at a time goes wherever that row matters, through max pooling too: (low, high) a unit row."""
    with torch.no_grad():
        clean = model(image)
        reached = []
        for row in range(image.shape[2]):
            poisoned = image.clone()
            poisoned[:, :, row] = float("nan")
            output = model(poisoned)
            reached.append(torch.isnan(output).reshape(*output.shape[:2], output.shape[2], -1).any(3)[0].any(0).numpy())
    assert torch.isfinite(clean).all()
    table = np.array(reached)
    low, high = table.argmax(0), len(table) - 1 - table[::-1].argmax(0)
    return low, np.where(table.any(0), high, -1)


class Shuffle(nn.Module):
    """Channel shuffle by views, then a depthwise convolution and a channel split, as ShuffleNet has them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(4, 4, 3, padding=1, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        left, right = x.chunk(2, 1)
        return torch.cat([left, self.two(right)], 1)


class ChannelsLast(nn.Module):
    """ConvNeXt's way: layer norm and linear layers with the channels at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 6, 7, padding=3), nn.LayerNorm(6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x + self.linear(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class InPlace(nn.Module):
    """Writes through a view: the last channels get a convolution of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x[:, :1]], 1)
        x[:, 2:] += self.conv(x[:, :2])
        return x * 1.0


class FlattenAndBack(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return torch.max_pool2d(x.flatten(2).transpose(1, 2).transpose(1, 2).reshape(n, c, h, w), 3, 1)


class Crop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)[:, :, 3:-2:2] + F.avg_pool2d(x, 2)[:, :, 4:-1:2]


class ChosenChannels(nn.Module):
    """LeNet-5's table: convolutions that read some channels each."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 3, 5, 2), nn.Conv2d(2, 3, 3, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.one(x[:, [0, 2]])
        second = self.two(x.index_select(1, torch.tensor([1, 2], device=x.device)))
        return first + second[:, [2, 0, 1], 1:-1, 1:-1]


class Blocks(nn.Module):
    """Space to depth by views."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        (n, c, h, w), r = x.shape, self.side
        x = x.view(n, c, h // r, r, w // r, r).permute(0, 1, 3, 5, 2, 4)
        return x.reshape(n, r * r * c, h // r, w // r)


class Unblocks(Blocks):
    """Depth to space by views."""

    def forward(self, x: Tensor) -> Tensor:
        (n, c, h, w), r = x.shape, self.side
        x = x.view(n, c // r**2, r, r, h, w).permute(0, 1, 4, 2, 5, 3)
        return x.reshape(n, c // r**2, h * r, w * r)


class Im2col(nn.Module):
    """A convolution as a matrix product, from either side."""

    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed
        self.weight = nn.Parameter(torch.rand(4, 3 * 9) + 0.1)

    def forward(self, x: Tensor) -> Tensor:
        side = (x.shape[2] + 2 - 5) // 2 + 1
        columns = F.unfold(x, 3, dilation=2, padding=1, stride=2)
        if self.transposed:
            return (columns.transpose(1, 2) @ self.weight.T).transpose(1, 2).reshape(-1, 4, side, side)
        return (self.weight @ columns).view(-1, 4, side, side)


class Sliding(nn.Module):
    """Maximum over windows of Tensor.unfold."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unfold(2, 5, 3).unfold(3, 3, 1).amax((4, 5))


class Windows(nn.Module):
    """Each window of 4 × 4 units is normalised by itself, as windowed networks do, and goes back where it was."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5).reshape(-1, c * 16)
        x = torch.softmax(x, 1).view(n, h // 4, w // 4, c, 4, 4)
        return x.permute(0, 3, 1, 4, 2, 5).reshape(n, c, h, w)


class Halves(nn.Module):
    """Top and bottom go their own ways, and are put together the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 3, padding=(0, 1)), nn.Conv2d(3, 3, 5, padding=(0, 2))

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = x.chunk(2, 2)
        first, middle, last = torch.cat([self.two(bottom), self.one(top)], 2).split([10, 15, 9], 2)
        return torch.cat([last, first, middle], 2)


class Rows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(torch.stack(x.unbind(2)[::-1], 2), 3, 1)


EXACT = {
    "space to depth": nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Blocks(2), nn.Conv2d(12, 3, 3), nn.MaxPool2d(3, 2)),
    "space to depth of 5": nn.Sequential(Blocks(5), nn.Conv2d(75, 3, 3, padding=1)),
    "depth to space": nn.Sequential(nn.Conv2d(3, 8, 3, 2), Unblocks(2), nn.Conv2d(2, 3, 3)),
    "there and back": nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Blocks(2), Unblocks(2), nn.Conv2d(4, 3, 3)),
    "im2col": Im2col(transposed=False),
    "im2col, transposed": nn.Sequential(nn.Conv2d(3, 3, 3), Im2col(transposed=True), nn.Conv2d(4, 3, 3)),
    "sliding windows": nn.Sequential(nn.Conv2d(3, 3, 3, 2), Sliding()),
    "windows by themselves": Windows(),
    "windows between": nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Windows(), nn.Conv2d(3, 3, 3)),
    "halves": Halves(),
    "rows": Rows(),
    "chosen channels": ChosenChannels(),
    "max pooling": nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, 2), nn.Conv2d(4, 4, 3, stride=2)),
    "ceil mode": nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(2, 2, ceil_mode=True)),
    "transposed 4x4 s2": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ConvTranspose2d(4, 2, 4, 2, 1), nn.Conv2d(2, 2, 3)),
    "transposed 3x3 s2": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ConvTranspose2d(4, 2, 3, 2, 1)),
    "transposed dilated": nn.ConvTranspose2d(3, 2, 3, 2, 1, dilation=2, output_padding=1),
    "nearest": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 3)),
    "adaptive uneven": nn.AdaptiveAvgPool2d(7),
    "shuffle": Shuffle(),
    "torch's shuffle": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ChannelShuffle(2), nn.Conv2d(4, 2, 3)),
    "channels last": ChannelsLast(),
    "in place": InPlace(),
    "flatten and back": FlattenAndBack(),
    "crop": Crop(),
    "pixel shuffle": nn.Sequential(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2), nn.PixelUnshuffle(2)),
    "reflect": nn.Conv2d(3, 4, 5, padding=2, padding_mode="reflect"),
    "replicate": nn.Conv2d(3, 4, 5, padding=2, padding_mode="replicate"),
    "same, even kernel": nn.Sequential(nn.Conv2d(3, 4, 4, padding="same"), nn.BatchNorm2d(4), nn.Hardswish()),
    "group norm": nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)),
    "instance norm": nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4)),
    "response norm": nn.Sequential(nn.Conv2d(3, 6, 3), nn.LocalResponseNorm(5)),
    "global pooling": nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(1)),
}


@pytest.mark.parametrize("name", EXACT)
def test_each_unit_sees_exactly_the_rows_that_can_poison_it(name):
    torch.manual_seed(0)
    model = EXACT[name].eval()
    field = field_of(model)
    low, high = seen_by_poison(model, torch.rand(1, 3, SIDE, SIDE))
    assert len(low) == len(field.low[0])
    num_inside = 0
    for unit, window in enumerate(zip(field.low[0], field.high[0], strict=True)):
        reached = low[unit] <= high[unit]
        if reached and window[0] >= 0 and window[1] < SIDE:
            num_inside += 1
            assert window == (low[unit], high[unit]), f"unit {unit}"
        elif reached:
            assert window[0] <= low[unit] and high[unit] <= window[1], f"unit {unit} at the edge"
    assert num_inside >= min(len(low), 5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("side", [9, 20, 31])
def test_bilinear_resizing_sees_the_one_or_two_units_around(side, align_corners):
    model = nn.Sequential(nn.AvgPool2d(2), nn.Upsample(size=(side, side), mode="bilinear", align_corners=align_corners))
    field = field_of(model)
    for unit in range(side):
        assert field.window(unit, unit) == seen_by_gradient(model, torch.rand(1, 3, SIDE, SIDE), unit, unit)


class Gate(nn.Module):
    """Squeeze and excitation: what a unit says depends on the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.squeeze = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))


WHOLE = {
    "flatten and linear": nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * SIDE * SIDE, 2)),
    "global mean": nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_head_of_a_classifier_sees_the_whole_picture(name):
    field = field_of(WHOLE[name])
    assert field.whole == (True, True) and field.size == (SIDE, SIDE) and field.start == ((SIDE - 1) / 2,) * 2


def test_a_gate_makes_each_unit_see_the_whole_but_keeps_the_stride():
    field = field_of(Gate(), (1, 3, 41, 41))
    assert field.whole == (True, True) and field.size == (41, 41) and field.stride == (2.0, 2.0)


def test_without_its_gates_a_network_has_the_field_of_its_convolutions_and_poolings():
    graph = trace(nn.Sequential(Gate(), nn.Conv2d(4, 4, 5, 2), nn.AdaptiveAvgPool2d(1)), (1, 3, 41, 41))
    plain = trace(nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 5, 2)), (1, 3, 41, 41))
    last = next(call.node for call in graph.finished if call.path == "1")
    assert graph.receptive_field(last, gates=False) == plain.receptive_field(plain.output_nodes[0])
    head = graph.receptive_field(graph.output_nodes[0], gates=False)
    assert head is not None and head.whole == (True, True)


def test_textbook_numbers_of_vgg16():
    """212 pixels and stride 32 after the fifth pooling."""
    layers: list[nn.Module] = []
    channels = 3
    for width in [4, 4, "M", 4, 4, "M", 4, 4, 4, "M", 4, 4, 4, "M", 4, 4, 4, "M"]:
        layers += [nn.MaxPool2d(2)] if width == "M" else [nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU()]
        channels = 4
    field = field_of(nn.Sequential(*layers), (1, 3, 224, 224))
    assert (field.size, field.stride, field.start) == ((212, 212), (32.0, 32.0), (15.5, 15.5))


def test_padding_counts_in_the_size_and_the_start_may_lie_outside():
    field = field_of(nn.Conv2d(3, 4, (7, 3), stride=2, padding=(3, 0)))
    assert (field.size, field.start) == ((7, 3), (0.0, 1.0))
    assert field.window(0, 0) == ((-3, 3), (0, 2))
    assert field_of(nn.Conv2d(3, 4, 3, padding=2)).start == (-1.0, -1.0)


def test_a_node_that_hangs_on_no_picture_has_no_field():
    graph = trace(nn.Linear(4, 2), (2, 4))
    assert graph.receptive_field(graph.nodes[-1]) is None


class First(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1]


class Cumulated(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(2)


class ToChannels(nn.Module):
    """Windows of 3 × 3 pixels become channels."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.unfold(2, 3, 1).unfold(3, 3, 1).permute(0, 1, 4, 5, 2, 3)
        return x.reshape(1, -1, *x.shape[4:])


class Strips(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([part.mean(2) for part in x.chunk(2, 2)], 2)


class Narrow(nn.Module):
    """The first channels see one pixel, the others seven."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.seven = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.seven(x)], 1)[:, :2]


class Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        shifted = x.clone()
        shifted[:, :, 1:] = x[:, :, :-1]
        return shifted * 1


BOUNDED = {  # what pixels become, once they are among the channels
    "a whole map among the channels": (nn.Sequential(nn.Conv2d(3, 2, 20, 20), Blocks(2)), True),
    "unshuffled": (nn.Sequential(Blocks(2), nn.PixelUnshuffle(2), nn.Conv2d(48, 2, 1)), True),
    "windows unshuffled": (nn.Sequential(nn.Conv2d(3, 1, 3), ToChannels(), nn.PixelUnshuffle(2)), True),
    "windows shuffled": (
        nn.Sequential(nn.Conv2d(3, 4, 1), ToChannels(), nn.PixelShuffle(2), nn.Conv2d(9, 2, 3)),
        False,
    ),
    "channels shuffled": (nn.Sequential(Blocks(2), nn.ChannelShuffle(2), Unblocks(2), nn.Conv2d(3, 2, 3)), False),
    "strips among the channels": (nn.Sequential(nn.Conv2d(3, 2, 1), Strips(), Blocks(2)), True),
    "some channels": (Narrow(), False),
    "half of the channels": (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 12, 3, groups=12)), True),
    "and the first of them": (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 12, 3, groups=12), First()), False),
    "shifted in place": (Shift(), False),
    "a sum so far": (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 1, 3), Cumulated()), False),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_a_field_is_never_too_small_and_says_whether_it_is_exact(name):
    torch.manual_seed(0)
    model, exact = BOUNDED[name]
    field = field_of(model.eval())
    low, high = seen_by_poison(model, torch.rand(1, 3, SIDE, SIDE))
    assert len(low) == len(field.low[0])
    for unit, (first, last) in enumerate(zip(field.low[0], field.high[0], strict=True)):
        assert first <= low[unit] and high[unit] <= last, f"unit {unit}"
    widest = max(high - low) + 1
    assert field.exact == exact
    assert field.size[0] == widest if exact else field.size[0] >= widest


@pytest.mark.parametrize("scale", [0.7, 1.3, 0.5, 2.0])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_resizing_by_a_scale_reads_what_torch_reads(mode, scale):
    model = nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=scale, mode=mode))
    field = field_of(model)
    assert len(field.low[0]) == int(SIDE / 2 * scale)
    for unit in range(len(field.low[0])):
        seen = seen_by_gradient(model, torch.rand(1, 3, SIDE, SIDE), unit, unit)
        assert field.window(unit, unit) == seen, unit


def test_antialiased_resizing_reads_a_triangle():
    class Smaller(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)

    field = field_of(Smaller())
    for unit in range(1, 19):
        assert field.window(unit, unit) == seen_by_gradient(Smaller(), torch.rand(1, 3, SIDE, SIDE), unit, unit)


def test_strides_of_what_was_taken_apart():
    class Every(nn.Module):
        def __init__(self, how: str) -> None:
            super().__init__()
            self.how = how

        def forward(self, x: Tensor) -> Tensor:
            if self.how == "flip":
                return x.flip(2)
            return torch.stack(x.unbind(2)[::2], 2) if self.how == "stack" else x.repeat_interleave(2, 2)

    assert field_of(Every("stack")).stride[0] == 2
    assert field_of(Every("flip")).stride[0] == -1 and field_of(Every("flip")).start[0] == SIDE - 1
    twice = field_of(Every("repeat"))
    assert twice.stride[0] == 0.5 and len(twice.low[0]) == 2 * SIDE


class Turned(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.conv = how, nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flip(3) if self.how == "flip" else torch.roll(x, (2, -3), (2, 3))
        return self.conv(x)


@pytest.mark.parametrize("how", ["flip", "roll"])
def test_flips_and_rolls_read_where_they_say(how):
    model = Turned(how).double().eval()
    nn.init.uniform_(model.conv.weight, 0.1, 1.0)
    image = torch.rand(1, 1, SIDE, SIDE, dtype=torch.float64)
    field = field_of(model, (1, 1, SIDE, SIDE))
    assert field.exact
    assert field.window(10, 12) == seen_by_gradient(model, image, 10, 12)


class Sampled(nn.Module):
    """Reads where its input says: no rule can know."""

    def forward(self, x: Tensor) -> Tensor:
        return F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False)


def test_what_has_no_rule_is_at_most_so_large():
    assert not field_of(Sampled()).exact
    assert not field_of(nn.Sequential(nn.Conv2d(3, 3, 3), Sampled(), nn.Conv2d(3, 3, 3))).exact
    exact = nn.Sequential(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    assert field_of(exact).exact


class Nothing(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([images[:, :, :0], images[:, :, 3:3], images[:, :, 1:]], 2)


def test_a_piece_of_nothing_adds_no_pixel():
    field = field_of(nn.Sequential(nn.Conv2d(3, 4, 3), Nothing()))
    assert field.size == (3, 3) and field.window(0, 0)[0] == (1, 3)


def test_what_is_split_has_the_stride_of_its_longest_steps():
    field = field_of(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, stride=2), Blocks(2)))
    assert field.exact and field.stride == (4.0, 4.0) and field.size == (5, 5) and len(field.low[0]) == 10


@pytest.mark.parametrize(
    ("halvings", "kernel", "size"),
    # by hand: each 3 x 3 at stride 2 and its 4 x 4 back again, then the last one; inner units see as many
    [(2, 3, 15), (1, 5, 9), (1, 3, 7)],
)
def test_after_upsampling_the_border_goes_on_as_the_inside(halvings: int, kernel: int, size: int) -> None:
    down = [nn.Conv2d(1, 1, 3, 2, 1) for _ in range(halvings)]
    up = [nn.ConvTranspose2d(1, 1, 4, 2, 1) for _ in range(halvings)]
    network = nn.Sequential(*down, *up, nn.Conv2d(1, 1, kernel, padding=kernel // 2))
    for part in network:
        nn.init.ones_(part.weight)
        nn.init.zeros_(part.bias)
    field = field_of(network, (1, 1, 64, 64))
    seen = 0
    for unit in range(24, 40):
        image = torch.ones(1, 1, 64, 64, requires_grad=True)
        network(image)[0, 0, unit, 32].backward()
        assert image.grad is not None
        rows = image.grad[0, 0].abs().amax(1).nonzero().flatten()
        assert field.window(unit, 32)[0] == (int(rows.min()), int(rows.max()))
        seen = max(seen, int(rows.max() - rows.min()) + 1)
    assert field.size == (size, size) and seen == size
