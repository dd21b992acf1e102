"""What a step on a copy says of a network of one's own before anything is written."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import NetworkError
from convlens.training.first_step import check_network, check_step
from convlens.training.precision import Choice, Trial, choose
from convlens.training.recipe import Recipe

IMAGES, LABELS = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 0, 1])


class Net(nn.Module):
    """(N, 1, 4, 4) -> (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.ends(self.head(F.relu(self.conv(images)).flatten(1)))

    def ends(self, logits: Tensor) -> Tensor:
        return logits


class Probable(Net):
    def ends(self, logits: Tensor) -> Tensor:
        return logits if self.training else logits.softmax(1)


class Pair(Net):
    def ends(self, logits: Tensor) -> Tensor:
        return logits if self.training else (logits, logits)


class Squeezed(Net):
    def ends(self, logits: Tensor) -> Tensor:
        return logits.squeeze()


class MadeLate(Net):
    def ends(self, logits: Tensor) -> Tensor:
        if not hasattr(self, "late"):
            self.late = nn.Linear(2, 2)
        return self.late(logits)


class Growing(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(0))

    def ends(self, logits: Tensor) -> Tensor:
        self.seen = torch.cat([self.seen, torch.ones(1)])
        return logits


class Divided(Net):
    def ends(self, logits: Tensor) -> Tensor:
        return logits / logits.detach().sum().mul(0)


class Masking(Net):
    """A mask of -inf and the best so far, of inf, are buffers like others."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((2, 2), -torch.inf))
        self.register_buffer("least", torch.tensor(torch.inf))


class Observing(Net):
    """As torch's observers of channels, whose numbers come to another shape and are taken back so."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(1))

    def ends(self, logits: Tensor) -> Tensor:
        self.scale = torch.ones(2)
        return logits

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        self.scale = state[f"{prefix}scale"].clone()
        super()._load_from_state_dict(state, prefix, *rest)


class Calibrated(Net):
    """What its first batch in training makes ready."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ready", torch.tensor(False))

    def ends(self, logits: Tensor) -> Tensor:
        if self.training:
            self.ready.fill_(True)
        if not self.ready:
            raise RuntimeError("train first")
        return logits


class Even(Net):
    """Logits near a half each, which may sum to 1 within a thousandth or not."""

    def ends(self, logits: Tensor) -> Tensor:
        return 0.5 + 1e-3 * logits


class Looked(Net):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(2, 2, sparse=True)

    def ends(self, logits: Tensor) -> Tensor:
        return logits + self.table(torch.zeros(len(logits), dtype=torch.int64))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Probable(), "in eval mode the network gives probabilities, and in training what goes into a softmax"),
        (Pair(), r"gave a tuple in eval mode; expected a tensor of logits \(1, 2\)"),
        (Squeezed(), r"gave \(2,\) in eval mode; expected a tensor of logits \(1, 2\)"),
        (MadeLate(), r"makes late\.\w+ anew in its forward, .* make it in __init__"),
        (Growing(), "makes seen anew in its forward"),
        (Divided(), "the loss of the first batch is (nan|inf) before any step"),
        (Looked(), r"the gradient of table\.weight is sparse"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, nn.Module) else "",
)
def test_what_would_fail_or_lie_later_is_said_at_once(network: nn.Module, message: str) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(NetworkError, match=message):
        check_step(network, IMAGES, LABELS, 2, [].append)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kind", [Net, Masking, Observing, Calibrated])
def test_a_network_without_a_fault_is_told_nothing(kind: type[nn.Module]) -> None:
    said: list[str] = []
    check_network(kind())
    check_step(kind(), IMAGES, LABELS, 2, said.append)
    assert not said


def test_logits_that_happen_to_sum_to_1_are_not_refused() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        check_step(Even(), IMAGES, LABELS, 2, [].append)


class Extra(Net):
    def get_extra_state(self) -> dict[str, int]:
        return {"steps": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        pass


def broken() -> nn.Module:
    network = Net()
    with torch.no_grad():
        network.conv.weight[0] = torch.nan
    return network


def made_for_inference() -> nn.Module:
    with torch.inference_mode():
        return Net()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (broken, r"conv\.weight holds NaN or infinity before any step"),
        (Extra, r"Extra keeps _extra_state \(dict\) beside its tensors"),
        (made_for_inference, r"conv\.weight was made under torch\.inference_mode\(\) and cannot learn"),
    ],
)
def test_values_that_cannot_be_begun_with_are_named(make: type[nn.Module], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        check_network(make())


class ViewInEval(Net):
    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(self.conv(images))
        return self.head(maps.flatten(1) if self.training else maps.view(len(maps), -1))


def test_a_layout_is_one_in_which_eval_mode_runs_too() -> None:
    assert Trial(ViewInEval(), IMAGES, LABELS).of_layout("fp32", 1).layout == "channels_first"
    assert Trial(Net(), IMAGES, LABELS).of_layout("fp32", 1).layout == "channels_last"


class Masked(Net):
    def ends(self, logits: Tensor) -> Tensor:
        return logits.masked_fill(logits > 1e4, torch.finfo(torch.float32).min)


def test_bf16_in_which_a_network_cannot_run_is_passed_over_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convlens.training.precision.has_fast_bf16", lambda: True)
    trial = Trial(Masked(), IMAGES, LABELS, seconds=5.0, steps=1)
    chosen, measured = choose(Recipe(threads=1), trial)
    assert chosen.precision == "fp32" and {row["precision"] for row in measured} == {"fp32"}
    with pytest.raises(NetworkError, match=r"cannot be trained in bf16 \(RuntimeError: .*; take --precision fp32"):
        choose(Recipe(threads=1, precision="bf16"), trial)
    assert trial.fails(Choice("fp32", "channels_first", 1)) == ""


class Ghosts(Net):
    """Normalises sixteenths of a batch."""

    def ends(self, logits: Tensor) -> Tensor:
        return logits - logits.view(16, -1, 2).mean(1).repeat_interleave(len(logits) // 16, 0)


def test_bf16_is_tried_on_the_whole_batch_where_few_pictures_do_not_do() -> None:
    images, labels = torch.rand(32, 1, 4, 4), torch.arange(32) % 2
    assert Trial(Ghosts(), images, labels).fails(Choice("bf16", "channels_first", 1)) == ""
    assert "invalid" in Trial(Ghosts(), images[:8], labels[:8]).fails(Choice("bf16", "channels_first", 1))
