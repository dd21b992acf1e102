"""A network that answers by chance, or whose pictures mix, has no map; what only looks so has one."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError
from convlens.explanation import exciting, explain, feature_maps, filters, maximise, memory
from convlens.explanation.occlusion import windows
from convlens.graph import trace


class Changed(nn.Module):
    """A small network with one more operation on its feature maps."""

    def __init__(self, change: Callable[[Tensor], Tensor] | nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features, self.change, self.head = nn.Conv2d(3, 8, 3, padding=1), change, nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.change(self.features(images).relu()).mean((2, 3)))


IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "change",
    [
        lambda maps: F.dropout(maps, 0.5, training=True),
        lambda maps: F.dropout2d(maps, 0.5, training=True),
        lambda maps: maps + 0.5 * torch.randn_like(maps),
        lambda maps: maps * torch.rand(1, 8, 1, 1),
    ],
    ids=["dropout", "dropout of maps", "noise", "random scale"],
)
@pytest.mark.parametrize("method", ["saliency", "grad_cam", "occlusion"])
def test_a_network_that_draws_at_random_has_no_map(change: Callable[[Tensor], Tensor], method: str) -> None:
    network = Changed(change)
    state = torch.get_rng_state()
    with pytest.raises(ExplanationError, match=r"draws at random at every pass.*training=self.training"):
        explain(network, IMAGES, method=method)
    assert torch.equal(torch.get_rng_state(), state)


class AlwaysDropout(nn.Dropout):
    """As Monte Carlo dropout is usually written."""

    def train(self, mode: bool = True) -> AlwaysDropout:
        return super().train(True)


def numpy_noise(maps: Tensor) -> Tensor:
    return maps * float(np.random.rand())  # noqa: NPY002


def test_what_no_module_and_no_graph_tells_of_is_seen_too() -> None:
    for change in (AlwaysDropout(), numpy_noise):
        with pytest.raises(ExplanationError, match=r"draws at random at every pass"):
            explain(Changed(change), IMAGES, method="saliency")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what TorchScript will become
        scripted = torch.jit.trace(Changed(lambda maps: F.dropout(maps, 0.5, True)), IMAGES, check_trace=False)
    with pytest.raises(ExplanationError, match=r"draws at random at every pass, in evaluation mode too, so"):
        explain(scripted, IMAGES, method="saliency")


def test_units_of_such_networks_are_not_looked_at_either() -> None:
    network = Changed(AlwaysDropout())
    for ask in (
        lambda: maximise(network, [0], layer="features", shape=(3, 16, 16), steps=2),
        lambda: exciting(network, [IMAGES], "features", [0]),
        lambda: feature_maps(network, IMAGES, "features"),
    ):
        with pytest.raises(ExplanationError, match="draws at random"):
            ask()


def test_the_network_is_asked_once() -> None:
    network = Changed(nn.Identity())
    passes: list[int] = []
    network.features.register_forward_hook(lambda *_: passes.append(1))
    explain(network, IMAGES, 1, method="saliency")
    first = len(passes)
    explain(network, IMAGES, 1, method="saliency")
    assert len(passes) - first < first - 4


@pytest.mark.parametrize(
    "change",
    [
        nn.BatchNorm2d(8, track_running_stats=False),
        lambda maps: F.batch_norm(maps, None, None, training=True),
        lambda maps: (maps - maps.mean((0, 2, 3), True)) / maps.std((0, 2, 3), keepdim=True),
        lambda maps: maps + maps.std(0, correction=0).mean(),
        lambda maps: maps / maps.square().mean().sqrt(),
        lambda maps: maps / maps.amax(),
        lambda maps: maps + 0.05 * maps.mean(0, keepdim=True),
    ],
    ids=["module", "function", "by hand", "minibatch deviation", "even statistic", "largest value", "a twentieth"],
)
def test_a_network_whose_pictures_mix_has_no_map(change: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ExplanationError, match=r"hangs on the others of its batch.*running statistics"):
        explain(Changed(change), IMAGES, method="saliency")


@pytest.mark.parametrize("size", [None, 0.03], ids=["as drawn", "small beside its bias"])
def test_what_mixes_is_not_hidden_by_an_even_statistic_or_a_bias(size: float | None) -> None:
    def batch_attention(maps: Tensor) -> Tensor:
        tokens = maps.flatten(2).transpose(1, 2)  # (pictures, positions, channels), read as (positions, pictures, …)
        mixed = F.scaled_dot_product_attention(*(tokens.transpose(0, 1),) * 3).transpose(0, 1)
        return (tokens + 0.3 * mixed).transpose(1, 2).reshape(maps.shape)

    for network in (
        nn.Sequential(Lambda(lambda x: x / x.square().mean().sqrt()), Changed(nn.Identity())),
        Changed(batch_attention),
        Changed(nn.BatchNorm2d(8, track_running_stats=False)),
    ):
        head = network.head if isinstance(network, Changed) else network[1].head
        if size is not None:
            with torch.no_grad():
                head.weight.mul_(size)
        with pytest.raises(ExplanationError, match="hangs on the others of its batch"):
            explain(network, IMAGES, method="saliency")


class Lambda(nn.Module):
    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x)


def test_a_network_that_takes_no_picture_alone_is_asked_with_others() -> None:
    """Batch statistics of dense units cannot be taken of one picture."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 4),
    )  # fmt: skip
    pictures = torch.cat([IMAGES, IMAGES.flip(3)])
    for ask in (
        lambda: explain(network, pictures[:3], 0, method="saliency"),
        lambda: explain(network, pictures[:2], 0, method="saliency"),
        lambda: feature_maps(network, pictures, "0"),
        lambda: exciting(network, [pictures], "0", 0),
        lambda: maximise(network, 0, (3, 16, 16), steps=2),
    ):
        with pytest.raises(ExplanationError, match="hangs on the others of its batch"):
            ask()


@pytest.mark.parametrize("sizes", [{1}, {3, 4, 5}, {5}, {1, 2}], ids=str)
def test_chance_is_found_with_whatever_number_of_pictures_the_network_takes(sizes: set[int]) -> None:
    class Choosy(Changed):
        def forward(self, images: Tensor) -> Tensor:
            if len(images) not in sizes:
                raise ValueError(f"{len(images)} pictures")
            return super().forward(images)

    pictures = torch.randn(max(sizes), 3, 16, 16)
    with pytest.raises(ExplanationError, match="draws at random"):
        explain(Choosy(lambda maps: F.dropout(maps, 0.5, True)), pictures, method="saliency")
    assert explain(Choosy(nn.Identity()), pictures, method="saliency").maps.any()


class Elsewhere(nn.Module):
    """A network without logits: they stand in a dict, or there is a number for every pixel."""

    def __init__(self, change: Callable[[Tensor], Tensor], *, dense: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features, self.last, self.dense = nn.Conv2d(3, 8, 3, padding=1), Lambda(change), dense

    def forward(self, images: Tensor) -> Tensor | dict[str, list[Tensor]]:
        maps = self.last(self.features(images))
        return maps if self.dense else {"logits": [maps.mean((2, 3))]}


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "dict"])
def test_networks_without_logits_are_asked_too(dense: bool) -> None:
    for change, problem in (
        (lambda maps: F.dropout(maps, 0.5, True), "draws at random"),
        (lambda maps: maps - maps.mean((0, 2, 3), True), "hangs on the others"),
    ):
        network = Elsewhere(change, dense=dense)
        for ask in (
            lambda network=network: feature_maps(network, IMAGES, "last"),
            lambda network=network: exciting(network, [IMAGES], "last", 0),
            lambda network=network: maximise(network, 0, (3, 16, 16), layer="last", steps=2),
        ):
            with pytest.raises(ExplanationError, match=problem):
                ask()
    assert feature_maps(Elsewhere(lambda maps: maps, dense=dense), IMAGES, "last").any()


def test_a_side_branch_that_is_looked_at_counts_though_no_logit_hangs_on_it() -> None:
    class Aside(Changed):
        def __init__(self) -> None:
            super().__init__(nn.Identity())
            self.aside = Lambda(lambda maps: F.dropout(maps, 0.5, True))

        def forward(self, images: Tensor) -> Tensor:
            self.aside(self.features(images))
            return super().forward(images)

    assert feature_maps(Aside(), IMAGES, "features").any()
    with pytest.raises(ExplanationError, match="draws at random"):
        feature_maps(Aside(), IMAGES, "aside")


class Attention(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        tokens = maps.flatten(2).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(tokens, tokens, tokens)
        return mixed.transpose(1, 2).reshape(maps.shape)


@pytest.mark.parametrize(
    "change",
    [nn.Dropout(), nn.RReLU(), nn.InstanceNorm2d(8), nn.GroupNorm(2, 8), nn.BatchNorm2d(8), Attention()],
    ids=lambda change: type(change).__name__,
)
def test_what_only_looks_like_chance_or_mixing_has_one(change: nn.Module) -> None:
    """Dropout and random slopes in evaluation mode; norms over each picture; attention without dropout."""
    assert explain(Changed(change), IMAGES, method="saliency").maps.any()


@pytest.mark.filterwarnings("ignore")  # torch says that it will drop eager quantisation
def test_rounding_is_no_mixing() -> None:
    """Quantised layers take one scale for a batch, half precision and oneDNN other kernels for each size of it."""
    dynamic = torch.ao.quantization.quantize_dynamic(Changed(nn.Identity()), {nn.Linear})

    def quantised(maps: Tensor) -> Tensor:
        scale = maps.abs().amax() / 127
        return maps + ((maps / scale).round() * scale - maps).detach()

    assert explain(dynamic, IMAGES, method="occlusion").maps.any()
    for network in (Changed(quantised), Changed(nn.BatchNorm2d(8)).bfloat16(), Changed(nn.Identity()).half()):
        assert explain(network, IMAGES, method="saliency").maps.any()


def test_pictures_and_networks_without_values_are_refused() -> None:
    with pytest.raises(UsageError, match="pictures lie on the meta device, which holds no values"):
        explain(Changed(nn.Identity()), IMAGES.to("meta"), method="saliency")
    hollow = Changed(nn.Identity()).to("meta")
    for ask in (
        lambda: explain(hollow, IMAGES, method="saliency"),
        lambda: maximise(hollow, [0], shape=(3, 16, 16)),
        lambda: filters(hollow),
    ):
        with pytest.raises(UsageError, match=r"weights lie on the meta device.*'features.weight'"):
            ask()


class Steered(nn.Module):
    """What it does hangs on attributes that no module names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)
        self.deep, self.drops = False, 0.0

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images).relu()
        maps = self.second(maps).relu() if self.deep else maps
        return self.head(F.dropout(maps, self.drops, training=True).mean((2, 3)))


def test_a_network_whose_attributes_change_is_asked_anew() -> None:
    network = Steered()
    assert explain(network, IMAGES).layer == "first"
    network.deep = True
    assert explain(network, IMAGES).layer == "second"
    network.drops = 0.5
    with pytest.raises(ExplanationError):
        explain(network, IMAGES, 0, method="saliency")


class Counted(Changed):
    passes = 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(images)


def test_what_every_pass_changes_is_no_reason_to_ask_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[nn.Module] = []
    monkeypatch.setattr(memory, "trace", lambda model, images: (asked.append(model), trace(model, images))[1])
    network = Counted(nn.Identity())
    for _ in range(4):
        explain(network, IMAGES, 0, method="saliency")
        explain(network, IMAGES, 0, method="grad_cam")
    assert network.passes > 4
    assert len(asked) <= 2  # the second time at most, when it is known to count
    assert len(memory._KNOWN[network]) <= 4


class Branching(nn.Module):
    """Whose path hangs on a value of all pictures together."""

    def __init__(self, size: int = 24):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(3, 64, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 4)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images) if images.mean() > 0 else self.net(-images)


@pytest.mark.parametrize(
    ("method", "options"),
    [("saliency", {}), ("grad_cam", {"layer": "net.1"}), ("occlusion", {"window": 9, "stride": 5}), ("score_cam", {})],
)
def test_pictures_go_one_by_one_where_the_path_hangs_on_values(method, options):
    network = Branching().eval()
    noise = torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    images = noise - noise.mean((1, 2, 3), keepdim=True) + torch.tensor([0.3, -0.3, 0.02, -0.02])[:, None, None, None]
    together = explain(network, images, 1, method=method, **options).maps
    alone = np.concatenate([explain(network, one[None], 1, method=method, **options).maps for one in images])
    np.testing.assert_allclose(together, alone, atol=1e-5 * np.abs(alone).max())


def test_feature_maps_and_what_excites_go_one_by_one_too():
    network, images = Branching().eval(), torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    images[0] += 9  # more than all others are below
    images[1:] -= 0.5
    maps = feature_maps(network, images, "net.1")
    np.testing.assert_allclose(maps, np.concatenate([feature_maps(network, one[None], "net.1") for one in images]))
    best = exciting(network, [images], "net.1", [3])[3]
    assert [one.value for one in best] == pytest.approx(sorted(maps[:, 3].max((1, 2)), reverse=True), rel=1e-5)


def test_a_window_that_changes_the_path_is_asked_by_itself():
    network = Branching().eval()
    image = torch.rand(1, 3, 128, 120, generator=torch.Generator().manual_seed(4)) * 0.1 - 0.05
    image[:, :, 30:40, 30:40] = 3.0  # the only windows that turn the sign of the mean are those over it
    image -= image.mean() - 0.002
    found = explain(network, image, 1, method="occlusion", window=16, stride=8).maps[0]
    expected, covers = np.zeros((128, 120)), np.zeros((128, 120))
    with torch.no_grad():
        plain = float(network(image)[0, 1])
        for rows, columns in windows(128, 120, 16, 8):
            covered = image.clone()
            covered[..., rows, columns] = 0
            expected[rows, columns] += plain - float(network(covered)[0, 1])
            covers[rows, columns] += 1
    np.testing.assert_allclose(found, expected / covers, atol=1e-4 * np.abs(expected / covers).max())


READS = {
    "a mean": (lambda x: -x if x.mean() > 0 else x, True),
    "a number of the maps": (lambda x: x * x.amax().item(), True),
    "a constant": (lambda x: x * torch.ones(1).item(), False),
    "whether all is finite": (lambda x: x if bool(torch.isfinite(x).all()) else x[:0], False),
    "whether something is NaN": (lambda x: x[:0] if torch.isnan(x).any() else x, False),
    "nothing": (lambda x: x, False),
}


@pytest.mark.parametrize("name", READS)
def test_pictures_share_a_pass_where_only_constants_and_soundness_are_read(name):
    change, alone = READS[name]
    network, images = Changed(change).eval(), torch.randn(4, 3, 8, 8)
    assert memory.goes_alone(network, images) is alone
    assert (memory.pictures_at_once(network, images, gradient=True) == 1) is alone


def test_mixing_is_refused_where_only_soundness_is_read():
    def change(maps: Tensor) -> Tensor:
        assert not torch.isnan(maps).any()
        return maps - maps.mean(0, keepdim=True)

    with pytest.raises(ExplanationError, match="hangs on the others of its batch"):
        explain(Changed(change).eval(), torch.randn(2, 3, 8, 8), 1)


def test_maps_of_two_sizes_are_told():
    def change(maps: Tensor) -> Tensor:
        return maps[..., ::2] if maps[:, 0].mean() > 0.5 else maps

    network = Changed(Through(change)).eval()
    images = torch.ones(2, 3, 8, 8) * torch.tensor([9.0, -9.0])[:, None, None, None]
    with pytest.raises(ExplanationError, match=r"maps of \(8, 8, 4\) and \(8, 8, 8\) to these pictures"):
        feature_maps(network, images, "change")


class Through(nn.Module):
    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = change

    def forward(self, maps: Tensor) -> Tensor:
        return self.function(maps)
