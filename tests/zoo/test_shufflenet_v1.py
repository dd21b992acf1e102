"""ShuffleNet v1, which torchvision and timm lack: the paper's table, and a forward pass from plain functions."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import convlens.zoo as zoo
from convlens.errors import UsageError, counted

State = dict[str, torch.Tensor]


# fmt: off
TABLE_1 = [
    # groups, channels,        millions of multiplications without the classifier
    (1,       (144, 288, 576),  143),
    (2,       (200, 400, 800),  140),
    (3,       (240, 480, 960),  137),
    (4,       (272, 544, 1088), 133),
    (8,       (384, 768, 1536), 137),
]
# fmt: on


@pytest.mark.parametrize(("groups", "widths", "complexity"), TABLE_1)
def test_every_column_of_table_1_has_its_channels_and_its_complexity(
    groups: int, widths: tuple[int, int, int], complexity: int
) -> None:
    with torch.device("meta"):
        network = zoo.create("shufflenet_v1", groups=groups).eval()
        maps, seen = network.get_submodule("stem")(torch.empty(1, 3, 224, 224)), []
        for stage in network.stages.children():
            maps = stage(maps)
            seen.append(tuple(maps.shape[1:]))
        with FlopCounterMode(display=False) as counter:
            network.stages(network.get_submodule("stem")(torch.empty(1, 3, 224, 224)))
    assert seen == [(channels, side, side) for channels, side in zip(widths, (28, 14, 7), strict=True)]
    assert round(counter.get_total_flops() / 2e6) == complexity


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("width", [0.25, 0.5, 1.0, 1.5])
def test_every_scale_of_every_column_can_be_built(groups: int, width: float) -> None:
    with torch.device("meta"):
        network = zoo.create("shufflenet_v1", num_classes=5, image_size=64, groups=groups, width=width).eval()
        assert network(torch.empty(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_a_width_that_leaves_a_stage_no_new_channels_is_refused(groups: int) -> None:
    with pytest.raises(UsageError, match=rf"width is 0.001, too narrow for {counted(groups, 'group')}; take a larger"):
        zoo.create("shufflenet_v1", groups=groups, width=0.001)


def test_another_number_of_groups_is_refused_with_those_of_the_table() -> None:
    with pytest.raises(UsageError, match=r"groups is 5, expected one of 1, 2, 3, 4, 8"):
        zoo.create("shufflenet_v1", groups=5)


def norm(x: torch.Tensor, state: State, at: str) -> torch.Tensor:
    names = ("running_mean", "running_var", "weight", "bias")
    return functional.batch_norm(x, *(state[f"{at}.{name}"] for name in names))


def shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Channel c of the output is channel c // groups of group c % groups."""
    each = x.shape[1] // groups
    return torch.stack([x[:, c % groups * each + c // groups] for c in range(x.shape[1])], dim=1)


def unit(x: torch.Tensor, state: State, at: str, groups: int, halves: bool) -> torch.Tensor:
    reduce, depthwise, expand = (state[f"{at}.residual.{name}.weight"] for name in ("reduce", "depthwise", "expand"))
    y = functional.conv2d(x, reduce, groups=x.shape[1] // reduce.shape[1])
    y = shuffle(functional.relu(norm(y, state, f"{at}.residual.norm1")), groups)
    y = functional.conv2d(y, depthwise, stride=1 + halves, padding=1, groups=y.shape[1])
    y = functional.conv2d(norm(y, state, f"{at}.residual.norm2"), expand, groups=groups)
    y = norm(y, state, f"{at}.residual.norm3")
    if halves:
        return functional.relu(torch.cat([functional.avg_pool2d(x, 3, 2, 1), y], dim=1))
    return functional.relu(x + y)


def logits(images: torch.Tensor, state: State, groups: int) -> torch.Tensor:
    x = functional.conv2d(images, state["stem.conv.weight"], stride=2, padding=1)
    x = functional.max_pool2d(functional.relu(norm(x, state, "stem.norm")), 3, 2, 1)
    for stage, repeat in enumerate((4, 8, 4)):
        for index in range(repeat):
            x = unit(x, state, f"stages.{stage}.{index}", groups, halves=index == 0)
    return x.mean((2, 3)) @ state["head.linear.weight"].T + state["head.linear.bias"]


@pytest.mark.parametrize("groups", [1, 3, 8])
def test_plain_functions_with_the_same_weights_give_the_same_logits(groups: int) -> None:
    generator = torch.Generator().manual_seed(0)
    network = zoo.create("shufflenet_v1", num_classes=9, image_size=96, groups=groups).double().eval()
    state = network.state_dict()
    for name, tensor in state.items():
        if "norm" in name and tensor.dim():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5)
    images = torch.randn(2, 3, 96, 96, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), logits(images, state, groups), rtol=1e-10, atol=1e-12)
