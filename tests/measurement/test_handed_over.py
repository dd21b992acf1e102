"""Work that NumPy or Python does between two layers is unknown, never 0; constants raise no alarm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.measurement import NetworkMeasure, measure_network


class ByNumpy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.tanh(x.detach().cpu().numpy()))


class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.new_tensor(np.tanh(np.asarray(x.detach())))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


class ByFunction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Tanh.apply(x)


class ByLists(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([2 * value for value in x.flatten().tolist()]).view(x.shape)


class ByDlpack(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_dlpack(np.from_dlpack(x) * 2)


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clone().apply_(lambda value: 2 * value)


class Mean(nn.Module):
    """One number alone comes back, and none as a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return x * float(np.mean(x.numpy()))


def between(module: nn.Module) -> NetworkMeasure:
    layers = nn.Conv2d(3, 3, 3, padding=1), module, nn.Conv2d(3, 3, 3, padding=1)
    return measure_network(nn.Sequential(*layers), (1, 3, 16, 16))


# fmt: off
HANDED_OVER = [
    (ByNumpy(), "Tensor.numpy"), (ByFunction(), "Tensor.numpy"), (ByLists(), "Tensor.tolist"),
    (ByDlpack(), "Tensor.dlpack"), (InPlace(), "Tensor.apply_"), (Mean(), "Tensor.numpy"),
]
# fmt: on


@pytest.mark.parametrize(("module", "operator"), HANDED_OVER)
def test_what_numpy_or_python_does_is_unknown_and_never_zero(module, operator):
    measured = between(module)
    assert measured.unknown_operators == (operator,) and not measured.complete
    assert measured.layers[1].macs is None and measured.layers[1].flops is None
    assert measured.macs == 2 * 9 * 3 * 3 * 256


@pytest.mark.parametrize(("module", "operator"), HANDED_OVER[:-1])
def test_what_comes_back_may_have_seen_all_that_was_handed_over(module, operator):
    measured = between(module)
    assert measured.receptive_field == (16, 16) and not measured.exact_field
    assert measured.layers[0].receptive_field == (3, 3) and measured.layers[0].exact


class Constants(nn.Module):
    """A branch on a value, so that real tensors are traced; constants of all kinds, parameters and buffers in NumPy."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 3, 1), torch.ones(3, 1, 1)
        self.register_buffer("shift", torch.ones(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        factors = self.shift.numpy() * self.conv.weight.numpy().mean() + torch.arange(3).numpy()[:, None, None]
        x = x if float(x.mean()) > -1e9 else -x
        return (
            self.conv(x) * self.scale * torch.from_numpy(factors).float() + torch.tensor([1.0, 2.0, 3.0])[:, None, None]
        )


def test_constants_parameters_and_buffers_in_numpy_raise_no_alarm():
    measured = between(Constants())
    assert measured.complete and measured.unknown_operators == ()
    assert measured.receptive_field == (5, 5) and measured.exact_field


def test_constants_of_a_module_stay_constants_behind_numpy():
    class Skipped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            ByNumpy()(x)
            return x * torch.arange(16)

    measured = between(Skipped())
    assert measured.receptive_field == (5, 5) and measured.exact_field
