"""A network is in evaluation mode for a while, and comes back as it was, whatever its modes do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.explanation import explain
from convlens.graph import evaluating


class Merged(nn.Linear):
    """Evaluation mode adds the low-rank product to the weight, training mode takes it off again (Hu et al. 2021)."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.weight.requires_grad_(False)
        self.down, self.up = nn.Parameter(torch.randn(2, 4)), nn.Parameter(torch.randn(3, 2))
        self.merged = False

    def train(self, mode: bool = True) -> Merged:
        super().train(mode)
        if self.merged == mode:
            self.weight.data += (-1 if mode else 1) * (self.up @ self.down).detach()
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.merged else super().forward(x) + x @ self.down.T @ self.up.T


class Frozen(nn.Module):
    """Its norm is in evaluation mode in training too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Merged()

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.relu(self.norm(self.convolution(images))).mean((2, 3)))


def in_training() -> Frozen:
    return Frozen().train()


def norm_trained_too() -> Frozen:
    network = Frozen().train()
    network.norm.train()
    return network


def head_judged() -> Frozen:
    network = Frozen().train()
    network.head.eval()
    return network


def judged() -> Frozen:
    return Frozen().eval()


@pytest.mark.parametrize("made", [in_training, norm_trained_too, head_judged, judged])
def test_what_acts_at_a_change_of_mode_comes_back(made) -> None:
    network = made()
    modes = [part.training for part in network.modules()]
    merged, weight = network.head.merged, network.head.weight.clone()
    with pytest.raises(ZeroDivisionError), evaluating(network):
        assert network.head.merged and not any(part.training for part in network.modules())
        raise ZeroDivisionError
    assert [part.training for part in network.modules()] == modes
    assert network.head.merged == merged
    torch.testing.assert_close(network.head.weight, weight)


def test_an_explanation_lets_merged_weights_learn_on() -> None:
    network = in_training()
    explain(network, torch.randn(2, 3, 8, 8), 1)
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    assert network.head.down.grad is not None


class Refusing(Frozen):
    """For inference alone."""

    def train(self, mode: bool = True) -> Refusing:
        if mode and getattr(self, "finished", False):
            raise RuntimeError("this backbone is for inference only")
        super().train(mode)
        return self


class WithoutMode(Frozen):
    def train(self) -> WithoutMode:  # type: ignore[override]
        return super().train(True)  # type: ignore[return-value]

    def eval(self) -> WithoutMode:
        for module in self.modules():
            module.training = False
        return self


@pytest.mark.parametrize("kind", [Refusing, WithoutMode])
def test_a_network_that_cannot_be_put_into_training_mode_has_its_flags_back(kind: type[Frozen]) -> None:
    network = kind()
    network.finished = True
    modes = [module.training for module in network.modules()]
    maps = explain(network, torch.randn(2, 3, 8, 8), 1, method="saliency").maps
    assert maps.shape[0] == 2 and [module.training for module in network.modules()] == modes


def test_an_exported_program_inside_a_network_in_training_mode_is_explained() -> None:
    class Own(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, images: Tensor) -> Tensor:
            return self.inner(images)

    pictures = torch.randn(2, 3, 8, 8)
    network = Own(torch.export.export(Frozen().eval(), (pictures,)).module())
    assert explain(network, pictures, 1, method="saliency").maps.shape[0] == 2 and network.training
