"""GoogLeNet of the paper against its equations in torch.nn.functional, and the auxiliary classifiers of both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

import convlens.zoo as zoo
from convlens.errors import UsageError

State = dict[str, torch.Tensor]


def conv(x: torch.Tensor, state: State, name: str, stride: int = 1) -> torch.Tensor:
    weight = state[f"{name}.conv.weight"]
    padding = (weight.shape[-1] - 1) // 2
    return functional.conv2d(x, weight, state[f"{name}.conv.bias"], stride, padding).relu()


def local_response_norm(x: torch.Tensor) -> torch.Tensor:
    """torch's own takes the mean over five channels where the equation has the sum."""
    return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


def inception(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    medium = conv(conv(x, state, f"{name}.medium.0"), state, f"{name}.medium.1")
    large = conv(conv(x, state, f"{name}.large.0"), state, f"{name}.large.1")
    pooled = conv(functional.max_pool2d(x, 3, 1, 1), state, f"{name}.pooled.1")
    return torch.cat([conv(x, state, f"{name}.single"), medium, large, pooled], 1)


def auxiliary(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    x = conv(functional.avg_pool2d(x, 5, 3), state, f"{name}.reduce").flatten(1)
    x = functional.linear(x, state[f"{name}.linear1.weight"], state[f"{name}.linear1.bias"]).relu()
    return functional.linear(x, state[f"{name}.linear2.weight"], state[f"{name}.linear2.bias"])


def paper(images: torch.Tensor, state: State) -> list[torch.Tensor]:
    """Figure 3 and table 1, for 224 px, without dropout."""

    def pool(x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, 2)

    x = local_response_norm(pool(conv(images, state, "stem.conv1", stride=2)))
    x = pool(local_response_norm(conv(conv(x, state, "stem.reduce"), state, "stem.conv2")))
    others = []
    for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        x = pool(x) if name in ("4a", "5a") else x
        x = inception(x, state, f"stages.{name}")
        if name in ("4a", "4d"):
            others.append(auxiliary(x, state, f"auxiliary.{name}"))
    features = x.mean((2, 3))
    return [functional.linear(features, state["head.linear.weight"], state["head.linear.bias"]), *others]


def test_the_network_of_the_paper_gives_the_logits_of_its_equations() -> None:
    torch.manual_seed(0)
    network = zoo.create("googlenet_paper", num_classes=7, auxiliary=True).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        got = network.training_logits(images)  # type: ignore[operator]
        assert torch.equal(got[0], network(images))
        for ours, expected in zip(got, paper(images, network.state_dict()), strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("name", ["googlenet", "googlenet_paper"])
def test_the_losses_of_all_classifiers_reach_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network = zoo.create(name, num_classes=10, image_size=32, auxiliary=True).train()
    logits = network.training_logits(torch.randn(8, 3, 32, 32))  # type: ignore[operator]
    assert [tuple(one.shape) for one in logits] == [(8, 10)] * 3
    losses = [functional.cross_entropy(one, torch.arange(8)) for one in logits]
    (losses[0] + 0.3 * losses[1] + 0.3 * losses[2]).backward()
    assert not [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]


def test_a_file_with_auxiliary_classifiers_is_loaded_with_them_or_without(tmp_path: Path) -> None:
    torch.manual_seed(0)
    full = zoo.create("googlenet", num_classes=4, image_size=32, auxiliary=True)
    foreign = {"4a": "aux1", "4d": "aux2"}
    state = {}
    for name, tensor in full.state_dict().items():
        part, _, rest = name.removeprefix("auxiliary.").partition(".")
        state[f"{foreign[part]}.{rest}" if name.startswith("auxiliary.") else f"theirs.{name}"] = tensor
    torch.save(state, tmp_path / "weights.pth")
    for options in ({"auxiliary": True}, {}):
        network = zoo.create("googlenet", num_classes=4, image_size=32, weights=tmp_path / "weights.pth", **options)
        expected = {name: full.state_dict()[name] for name in network.state_dict()}
        assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())


def test_an_auxiliary_that_is_no_switch_is_refused() -> None:
    with pytest.raises(UsageError, match=r"auxiliary is 'yes', expected True or False"):
        zoo.create("googlenet", auxiliary="yes")
