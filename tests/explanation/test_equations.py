"""Methods against their equations, written out, or against the plain loop."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import ExplanationError, UsageError
from convlens.explanation import explain, memory
from convlens.explanation.layer_gradient import layer_gradient
from convlens.explanation.occlusion import covering, windows
from convlens.explanation.question import Question, Target


def features(model: nn.Module, layer: str, images: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Feature maps and gradients of the score, by hand."""
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    score = model(images.clone().requires_grad_())[:, target].sum()
    hook.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    return kept[0].detach(), gradient


def enlarged(maps: Tensor, images: Tensor) -> np.ndarray:
    return F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False)[:, 0].numpy()


class Steep(nn.Module):
    """(N, 3, H, W) -> (N, 3): what single precision would make of a way's points is seen in the result."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(1e6, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return torch.sin(self.rate * images).mean((2, 3))


def test_integrated_gradients_of_a_network_in_float64_are_taken_at_points_in_float64() -> None:
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = explain(Steep(), images, 2, method="integrated_gradients", steps=5).attributions
    places, weights = np.polynomial.legendre.leggauss(5)
    x = images[:, 2].numpy()
    slopes = sum(w / 2 * 1e6 * np.cos(1e6 * (1 + p) / 2 * x) / 64 for p, w in zip(places, weights, strict=True))
    assert found is not None
    np.testing.assert_allclose(found[:, 2], slopes * x, rtol=1e-5)


def test_integrated_gradients_add_up_to_the_difference_of_the_scores(residual: nn.Module, images: Tensor) -> None:
    for baseline in (0.0, 0.5):
        found = explain(residual.double(), images, 2, method="integrated_gradients", steps=300, baseline=baseline)
        with torch.no_grad():
            there, here = residual(images.double())[:, 2], residual(torch.full_like(images.double(), baseline))[:, 2]
        np.testing.assert_allclose(found.maps.sum((1, 2)), (there - here).numpy(), rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(found.attributions.sum(1), found.maps, atol=1e-6)


def test_smooth_grad_without_noise_is_the_gradient(residual: nn.Module, images: Tensor) -> None:
    plain = explain(residual, images, 1, method="saliency")
    calm = explain(residual, images, 1, method="smooth_grad", noise=0.0, samples=3)
    np.testing.assert_allclose(calm.maps, plain.maps, atol=1e-6)
    assert not np.allclose(explain(residual, images, 1, method="smooth_grad").maps, plain.maps, atol=1e-3)


def test_smooth_grad_is_the_mean_over_noisy_copies(residual: nn.Module, images: Tensor) -> None:
    drawn = torch.Generator().manual_seed(7)
    noises = torch.randn((4, 1, *images.shape[1:]), generator=drawn)
    deviation = 0.2 * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    each = [explain(residual, images + deviation * noise, 1, method="saliency").attributions for noise in noises]
    found = explain(residual, images, 1, method="smooth_grad", samples=4, noise=0.2, seed=7).attributions
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)


def test_cam_adds_up_to_the_score(residual: nn.Module, images: Tensor) -> None:
    """The mean of the map is the score but for the bias, and the weights are those of the linear layer (equation 2)."""
    maps, _ = features(residual, "stages.2", images, 3)
    linear = residual.get_submodule("head.3")
    expected = torch.einsum("k,nkhw->nhw", linear.weight[3].detach(), maps)
    found = explain(residual, images, 3, method="cam", layer="stages.2")
    np.testing.assert_allclose(found.maps, enlarged(expected, images), atol=1e-5)
    scores = residual(images)[:, 3] - linear.bias[3]
    np.testing.assert_allclose(expected.mean((1, 2)), scores.detach(), atol=1e-5)
    assert (found.maps < 0).any()


@pytest.mark.parametrize("layer", ["stages.1", "stem"])
def test_cam_is_refused_where_more_follows(layer: str, residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(ExplanationError, match=f"after layer '{layer}' comes more; use method grad_cam"):
        explain(residual, images, method="cam", layer=layer)


def test_a_network_in_float64_is_asked_in_float64(residual: nn.Module, images: Tensor) -> None:
    double = copy.deepcopy(residual).double()
    question = Question(double, images.double(), Target(1, len(images)), "stages.0")
    assert [part.dtype for part in layer_gradient(question)] == [torch.float64] * 2


def test_grad_cam_plus_plus_is_equation_19(residual: nn.Module, images: Tensor) -> None:
    maps, gradient = (each.double() for each in features(residual, "stages.0", images, 1))
    alpha = gradient**2 / (2 * gradient**2 + maps.sum((2, 3), keepdim=True) * gradient**3)
    alpha = torch.nan_to_num(alpha, nan=0.0)
    weights = (alpha * F.relu(gradient)).sum((2, 3), keepdim=True)
    expected = enlarged(F.relu((weights * maps).sum(1)), images)
    found = explain(residual, images, 1, method="grad_cam_plus_plus", layer="stages.0").maps
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_layer_cam_is_equation_7(residual: nn.Module, images: Tensor) -> None:
    maps, gradient = features(residual, "stages.0", images, 1)
    expected = enlarged(F.relu((F.relu(gradient) * maps).sum(1)), images)
    found = explain(residual, images, 1, method="layer_cam", layer="stages.0").maps
    np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())


def test_score_cam_equals_the_plain_loop(residual: nn.Module, images: Tensor) -> None:
    maps, _ = features(residual, "stem", images, 2)
    scores = torch.empty(maps.shape[:2])
    with torch.no_grad():
        for n in range(len(maps)):
            for k in range(maps.shape[1]):
                low, high = maps[n, k].min(), maps[n, k].max()
                mask = (maps[n, k] - low) / (high - low) if high > low else torch.zeros_like(maps[n, k])
                mask = F.interpolate(mask[None, None], images.shape[2:], mode="bilinear", align_corners=False)
                scores[n, k] = residual(images[n : n + 1] * mask)[0, 2]
    expected = F.relu((torch.softmax(scores, 1)[:, :, None, None] * maps).sum(1))
    found = explain(residual, images, 2, method="score_cam", layer="stem").maps
    np.testing.assert_allclose(found, enlarged(expected, images), atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize("patch", ["grey", "mean", "blur"])
@pytest.mark.parametrize(("window", "stride"), [(7, 3), (8, 8), (24, 10), (1, 1)])
def test_occlusion_equals_the_plain_loop(
    patch: str, window: int, stride: int, residual: nn.Module, images: Tensor
) -> None:
    falls, counts = np.zeros((3, 32, 24)), np.zeros((32, 24))
    cover = covering(images, patch)
    with torch.no_grad():
        plain = residual(images)[:, 0]
        for row in range(0, 32, stride):
            for column in range(0, 24, stride):
                covered = images.clone()
                place = (slice(row, row + window), slice(column, column + window))
                covered[:, :, *place] = cover[:, :, *place]
                falls[:, *place] += (plain - residual(covered)[:, 0])[:, None, None].numpy()
                counts[place] += 1
                if column + window >= 24:
                    break
            if row + window >= 32:
                break
    found = explain(residual, images, 0, method="occlusion", window=window, stride=stride, patch=patch).maps
    np.testing.assert_allclose(found, falls / counts, atol=1e-5 * np.abs(found).max())


def test_patches_are_grey_the_mean_or_a_blur(images: Tensor) -> None:
    assert not covering(images, "grey").any()
    assert torch.allclose(covering(images, "mean")[1, 2], images[1, 2].mean())
    blurred = covering(images, "blur")
    assert blurred.shape == images.shape and blurred.std() < 0.4 * images.std()
    assert torch.allclose(covering(torch.full((1, 1, 9, 9), 0.3), "blur"), torch.tensor(0.3))


def test_windows_cover_every_pixel_and_end_at_the_edge() -> None:
    assert [row for row, _ in windows(10, 4, 4, 3)] == [slice(0, 4), slice(3, 7), slice(6, 10)]
    assert windows(11, 4, 4, 3)[-1][0] == slice(9, 11)
    assert windows(3, 3, 3, 1) == [(slice(0, 3), slice(0, 3))]


WRONG = [
    ({"window": 0}, "window came as 0"),
    ({"window": 33}, "window came as 33; expected 1 to 32 pixels"),
    ({"window": 4, "stride": 5}, "stride came as 5; expected 1 to 4"),
    ({"patch": "black"}, "patch came as 'black'; expected grey, mean, blur"),
    ({"windw": 3}, r"no option of method occlusion is called 'windw' \(near: window"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_refused(
    options: dict[str, object], message: str, residual: nn.Module, images: Tensor
) -> None:
    with pytest.raises(UsageError, match=message):
        explain(residual, images, method="occlusion", **options)


@pytest.mark.parametrize(
    ("method", "options"), [("integrated_gradients", {"steps": "many"}), ("smooth_grad", {"samples": 0})]
)
def test_numbers_are_checked(method: str, options: dict[str, object], residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match="came as"):
        explain(residual, images, method=method, **options)


CHUNKED = ["integrated_gradients", "smooth_grad", "occlusion", "score_cam", "grad_cam", "saliency"]


@pytest.mark.parametrize("method", CHUNKED)
@pytest.mark.parametrize("target", [None, [0, 3, 4], lambda logits: logits[torch.arange(3), torch.tensor([0, 3, 4])]])
def test_little_memory_gives_the_same_map(
    method: str, target: object, residual: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    residual.double()
    sizes: list[int] = []
    residual.register_forward_pre_hook(lambda _m, given: sizes.append(len(given[0])))
    plenty = explain(residual, images, target, method=method)
    sizes.clear()
    monkeypatch.setattr(memory, "BOUND", 1)
    monkeypatch.setattr(memory, "NEAR", 1)
    scarce = explain(residual, images, target, method=method)
    assert max(sizes) == 1
    assert scarce.targets == plenty.targets
    np.testing.assert_allclose(scarce.maps, plenty.maps, atol=1e-5 * np.abs(plenty.maps).max())


class BeginsInPlace(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images.mul_(2).add_(1))


@pytest.mark.parametrize("method", ["guided_grad_cam", "grad_cam", "occlusion", "score_cam", "integrated_gradients"])
def test_a_network_may_begin_in_place(method: str, residual: nn.Module, images: Tensor) -> None:
    layer = {"layer": "inner.stages.1"} if "cam" in method else {}
    before = images.clone()
    found = explain(BeginsInPlace(residual), images, 1, method=method, **layer).maps
    assert torch.equal(images, before)
    apart = nn.Sequential(Affine(), residual)
    layer = {"layer": "1.stages.1"} if "cam" in method else {}
    np.testing.assert_allclose(found, explain(apart, images, 1, method=method, **layer).maps, atol=1e-6)


class Affine(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images * 2 + 1


def test_cam_after_a_module_that_ran_before(images: Tensor) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.one, self.two, self.act = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.ReLU()
            self.linear = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.act(self.two(self.act(self.one(x)))).mean((2, 3)))

    model = Shared()
    maps = F.relu(model.two(F.relu(model.one(images)))).detach()
    expected = torch.einsum("k,nkhw->nhw", model.linear.weight[1].detach(), maps)
    found = explain(model, images, 1, method="cam", layer="act").maps
    np.testing.assert_allclose(found, enlarged(expected, images), atol=1e-5)


@pytest.mark.parametrize("join", [torch.add, lambda *maps: torch.cat(maps, 1)], ids=["added", "beside"])
def test_cam_is_refused_where_a_part_of_the_score_goes_around_the_layer(join: Callable[..., Tensor]) -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.join, self.linear = nn.Identity(), nn.LazyLinear(3)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.one(x))
            return self.linear(self.join(join(x, self.two(x))).mean((2, 3)))

    images = torch.randn(2, 3, 8, 8)
    model = Skip()
    model(images)
    with pytest.raises(ExplanationError, match="a part of it goes around 'two'; name the layer where the ways meet"):
        explain(model, images, 1, method="cam", layer="two")
    assert explain(model, images, 1, method="cam", layer="join").maps.any()


def test_cam_is_refused_for_a_curved_head_of_one_position() -> None:
    head = nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Tanh(), nn.Linear(1, 2))
    with pytest.raises(ExplanationError, match="comes more"):
        explain(head, torch.randn(1, 1, 3, 3), 0, method="cam", layer="0")


def test_smooth_grad_draws_the_same_noise_however_many_copies_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 x 7 x 5 numbers: torch draws sixteen at a time, and another way where these do not come out even."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(90, 2))
    images = torch.randn(2, 3, 7, 5)
    together = explain(network, images, 0, method="smooth_grad", samples=5).maps
    monkeypatch.setattr(memory, "BOUND", 1)  # one at a time
    apart = explain(network, images, 0, method="smooth_grad", samples=5).maps
    np.testing.assert_allclose(apart, together, rtol=1e-4, atol=1e-6)
