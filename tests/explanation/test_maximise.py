"""Pictures that a unit answers most to: made, and found."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import ExplanationError, UsageError
from convlens.explanation import exciting, maximise
from convlens.explanation.contract import difference, network_state
from convlens.explanation.fourier import OPPONENT, first_spectrum, pixels_of, total_variation
from convlens.explanation.regularisers import DRAWING, PHOTOGRAPH, Regularisers, _turned, usual

SHAPE = (3, 32, 24)


def test_the_picture_excites_its_class_far_more_than_the_noise_it_came_from(residual: nn.Module) -> None:
    before = network_state(residual)
    found = maximise(residual, [0, 3], SHAPE, steps=40)
    assert difference(before, network_state(residual)) == ""
    assert found.pictures.shape == (2, 32, 24, 3) and found.pictures.dtype == np.uint8
    assert all(after > start for after, start in zip(found.values, found.before, strict=True))
    with torch.no_grad():
        logits = residual(torch.from_numpy(found.pictures).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(logits[[0, 1], [0, 3]], found.values, atol=0.05)  # pixels are rounded


def test_the_class_wins_on_its_picture(digits: tuple[nn.Module, Tensor]) -> None:
    found = maximise(digits[0], range(10), (1, 16, 16), steps=100)
    with torch.no_grad():
        logits = digits[0](torch.from_numpy(found.pictures).permute(0, 3, 1, 2) / 255)
    assert (logits.argmax(1) == torch.arange(10)).sum() >= 9


def test_a_network_that_knows_a_shape_shows_it() -> None:
    """The class is a bright left half on a dark right one: the picture has it."""
    weight = torch.ones(1, 3, 16, 16)
    weight[..., 8:] = -1
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 1, bias=False))
    model[1].weight.data = weight.flatten(1) / 100
    picture = maximise(model, 0, (3, 16, 16), mean=(0.5,), std=(0.25,), steps=80).pictures[0].astype(float)
    assert picture[:, :6].mean() > picture[:, 10:].mean() + 60


def test_the_seed_decides_and_a_unit_does_not_depend_on_its_company(residual: nn.Module) -> None:
    both = maximise(residual, [1, 4], SHAPE, steps=5, seed=3)
    np.testing.assert_array_equal(both.pictures, maximise(residual, [1, 4], SHAPE, steps=5, seed=3).pictures)
    np.testing.assert_array_equal(maximise(residual, 4, SHAPE, steps=5, seed=3).pictures[0], both.pictures[1])
    assert not np.array_equal(both.pictures, maximise(residual, [1, 4], SHAPE, steps=5, seed=4).pictures)


def test_a_channel_of_any_layer_and_a_dense_unit(residual: nn.Module, mlp: nn.Module) -> None:
    found = maximise(residual, 2, SHAPE, layer="stages.0", steps=30)
    assert found.layer == "stages.0" and found.values[0] > found.before[0]
    assert maximise(mlp, 5, SHAPE, layer="1", steps=30).values[0] > 0


def test_total_variation_makes_it_smoother(residual: nn.Module) -> None:
    rough, smooth = (maximise(residual, 0, SHAPE, steps=60, variation=v, decay=0.0).pictures for v in (0.0, 50.0))
    measured = [total_variation(torch.from_numpy(p).permute(0, 3, 1, 2).float()).item() for p in (rough, smooth)]
    assert measured[1] < 0.5 * measured[0]


def test_the_spectrum_of_nothing_is_grey_and_colours_are_orthonormal() -> None:
    grey = pixels_of(torch.zeros(1, 3, 9, 6, 2), 9, 10)
    assert grey.shape == (1, 3, 9, 10) and torch.allclose(grey, torch.tensor(0.5))
    assert torch.allclose(OPPONENT @ OPPONENT.T, torch.eye(3), atol=1e-6)


WRONG = [
    ({"units": 5}, UsageError, "unit 5 came; there are 5 classes, counted from 0"),
    ({"units": []}, UsageError, "units came as"),
    ({"units": 9, "layer": "stem"}, UsageError, "there are 8 channels in layer 'stem'"),
    ({"layer": "stm"}, UsageError, "near: stem"),
    ({"layer": "head.2", "units": 1}, None, ""),
    ({"shape": (3, 32)}, UsageError, r"shape came as \(3, 32\)"),
    ({"mean": (0.1, 0.2)}, UsageError, "mean or std has 2 numbers; expected one for each of 3"),
    ({"std": (0.0,)}, UsageError, r"std came as \(0.0,\); expected numbers above 0"),
    ({"mean": (float("nan"),)}, UsageError, r"mean or std came as \(nan,\); expected finite numbers"),
    ({"variation": float("inf")}, UsageError, "variation came as inf; expected a number, like 5.0"),
    ({"steps": 0}, UsageError, "steps came as 0"),
    ({"steps": 2.5}, UsageError, "steps came as 2.5; expected a whole number, like 256"),
    ({"steps": "abc"}, UsageError, "steps came as 'abc'; expected a whole number, like 256"),
    ({"seed": 10**20}, UsageError, "seed came as 1000.*; expected a whole number, like 0"),
    ({"rate": -1}, UsageError, "rate as -1; expected"),
    ({"decay": -0.5}, UsageError, "decay came as -0.5; expected 0 or more"),
    ({"mean": 0.5}, UsageError, r"mean came as 0.5; expected numbers, one a channel or one for all, like \(0.5,\)"),
    ({"mean": None}, UsageError, "mean came as None; expected numbers"),
    ({"std": "abc"}, UsageError, "std came as 'abc'; expected numbers"),
    ({"shape": (3, True, 24)}, UsageError, r"shape came as \(3, True, 24\)"),
    ({"shape": tuple(np.array(SHAPE))}, None, ""),
    ({"units": True}, UsageError, "units came as True"),
]


@pytest.mark.parametrize(("given", "error", "message"), WRONG)
def test_what_does_not_fit_is_refused(
    given: dict[str, object], error: type[Exception] | None, message: str, residual: nn.Module
) -> None:
    asked = {"units": 0, "shape": SHAPE, "steps": 2} | given
    if error is None:
        assert maximise(residual, **asked).values
        return
    before = network_state(residual)
    with pytest.raises(error, match=message):
        maximise(residual, **asked)
    assert difference(before, network_state(residual)) == ""


def test_the_progress_is_told_in_steps_over_all_units(residual: nn.Module) -> None:
    told: list[tuple[int, int]] = []
    maximise(residual, [0, 1], SHAPE, steps=3, progress=lambda done, total: told.append((done, total)))
    assert sorted(set(told)) == [(done, 6) for done in range(7)] and told == sorted(told)


def test_small_grey_pictures_are_grown_as_drawings_and_all_others_as_photographs() -> None:
    assert usual(1, 28, 28) == usual(1, 32, 8) == DRAWING and DRAWING.sparsity and not DRAWING.margin
    assert usual(1, 33, 8) == usual(3, 28, 28) == Regularisers(variation=5, decay=0.25, sparsity=0, low_pass=0, noise=0)


def test_digits_grown_as_drawings_are_more_like_digits(digits: tuple[nn.Module, Tensor]) -> None:
    """By the mean correlation with the mean digits of the part that the network has learned."""
    data = load_digits()
    images = F.interpolate(torch.tensor(data.images[:1500, None] / 16, dtype=torch.float32), (16, 16), mode="bilinear")
    means = [images[data.target[:1500] == k].mean(0).flatten().numpy() for k in range(10)]

    def likeness(**regularisers: float) -> float:
        grown = maximise(digits[0], range(10), (1, 16, 16), steps=100, **regularisers).pictures.reshape(10, -1)
        return float(np.mean([np.corrcoef(one, mean)[0, 1] for one, mean in zip(grown, means, strict=True)]))

    assert likeness() > likeness(**asdict(PHOTOGRAPH)) + 0.02


def test_the_low_pass_leaves_no_fine_stripes() -> None:
    spectrum = first_spectrum(1, 24, 32, seed=0)
    before = torch.logit(pixels_of(spectrum, 24, 32, 3.0).double())
    strength = torch.fft.rfft2(before)[0, 0].abs()
    down, across = torch.fft.fftfreq(24)[:, None] * 32, torch.fft.rfftfreq(32)[None] * 32
    cycles = (down**2 + across**2).sqrt()
    assert strength[cycles > 6].max() < 1e-5 * strength[cycles < 3].max()


@pytest.mark.parametrize(("mean", "cost"), [(0.1, 0.3), (0.9, 0.7)])
def test_sparsity_pulls_to_black_and_in_light_pictures_to_white(mean: float, cost: float) -> None:
    pulling = Regularisers(variation=0, decay=0, sparsity=1)
    pixels, deviation = torch.full((1, 1, 4, 5), 0.3), torch.full((1, 1, 1, 1), 0.5)
    assert float(pulling.cost(pixels, torch.full((1, 1, 1, 1), mean), deviation)) == pytest.approx(cost / 0.5)


def test_a_margin_makes_a_class_likely_and_not_only_strong(digits: tuple[nn.Module, Tensor]) -> None:
    def lead(margin: float) -> float:
        grown = maximise(digits[0], 9, (1, 16, 16), steps=60, margin=margin).pictures
        with torch.no_grad():
            logits = digits[0](torch.from_numpy(grown).permute(0, 3, 1, 2) / 255)[0]
        return float(logits[9] - logits[:9].logsumexp(0))

    assert lead(1.0) > lead(0.0)


def test_a_picture_is_turned_and_zoomed_about_its_middle_and_stays_in_proportion() -> None:
    rows, columns = torch.meshgrid(torch.arange(24.0) - 11.5, torch.arange(32.0) - 15.5, indexing="ij")
    disc, bar = ((rows**2 + columns**2) < 64).float()[None, None], (columns.abs() < 2).float().expand(1, 1, 24, 32)
    quarter = torch.Generator().manual_seed(0)
    turned = _turned(disc, 45.0, 0.0, quarter)
    assert (turned - disc).abs().mean() < 0.01
    assert (_turned(bar, 45.0, 0.0, quarter) - bar).abs().mean() > 0.02
    areas = [float(_turned(disc, 0.0, 0.1, torch.Generator().manual_seed(seed)).sum()) for seed in range(20)]
    assert 0.78 < min(areas) / float(disc.sum()) < 0.95 and 1.05 < max(areas) / float(disc.sum()) < 1.28


def test_an_option_that_is_not_there_is_told_with_the_nearest(residual: nn.Module) -> None:
    with pytest.raises(UsageError, match=r"no option of maximise is called 'rotaton' \(near: rotation"):
        maximise(residual, 0, SHAPE, rotaton=3.0)
    with pytest.raises(UsageError, match="noise came as -1; expected 0 or more"):
        maximise(residual, 0, SHAPE, noise=-1)


def test_a_layer_without_feature_maps_says_so(images: Tensor) -> None:
    class Numbers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.three = nn.Unflatten(1, (2, 6, 2))
            self.dense = nn.Linear(24, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.dense(self.three(images.mean(1)[:, 0]).flatten(1))

    with pytest.raises(ExplanationError, match="gave no feature maps"):
        exciting(Numbers(), [images], "dense", [0])


def test_the_pictures_that_excite_a_channel_most_and_where() -> None:
    """One light pixel a picture, ever brighter: a 3 × 3 mean answers where it is."""
    conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    conv.weight.data = torch.stack([torch.ones(1, 3, 3), -torch.ones(1, 3, 3)])
    model = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.zeros(10, 1, 8, 9)
    for i in range(10):
        images[i, 0, 5, 6] = 1 + i % 5
    found = exciting(model, images.split(4), "0", [0, 1], top=3)
    assert [one.index for one in found[0]] == [4, 9, 3]  # of equal ones the first
    assert [one.value for one in found[0]] == [5, 5, 4]
    top = found[0][0]
    assert max(abs(top.position[0] - 5), abs(top.position[1] - 6)) <= 1
    (first, last), (left, right) = top.window
    assert first <= 5 <= last and left <= 6 <= right and last - first == right - left == 2
    assert found[1][0].value == 0  # where nothing is
    with pytest.raises(UsageError, match="channel 2 came; layer '0' has 2"):
        exciting(model, [images], "0", [2])
    for channels in ([], True, -1, 0.5):
        with pytest.raises(UsageError, match=r"channels came as .*; expected one or more whole numbers"):
            exciting(model, [images], "0", channels)
    with pytest.raises(UsageError, match="top came as 0; expected"):
        exciting(model, [images], "0", 0, top=0)
    assert exciting(model, [images], "0", np.int64(1)).keys() == {1}


def test_a_network_that_cuts_the_gradient_is_refused() -> None:
    class Cut(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.detach().mean((2, 3))

    with pytest.raises(ExplanationError, match="no gradient to the pixels"):
        maximise(Cut(), 0, SHAPE)


@pytest.mark.filterwarnings("ignore")  # torch says that it will drop eager quantisation
def test_quantised_layers_give_the_pixels_no_gradient(residual: nn.Module) -> None:
    quantised = torch.ao.quantization.quantize_dynamic(residual, {nn.Linear})
    with pytest.raises(ExplanationError, match="no gradient to the pixels"):
        maximise(quantised, 0, SHAPE, steps=2)


def test_a_network_of_nan_grows_no_picture(residual: nn.Module) -> None:
    with torch.no_grad():
        residual.head[3].weight.fill_(float("nan"))
    with pytest.raises(ExplanationError, match="unit 0 answers nan: weights, activations or the steps overflow"):
        maximise(residual, 0, SHAPE, steps=2)


def test_a_faint_unit_is_excited_too(residual: nn.Module) -> None:
    """One that answers a thousandth: what it costs to leave the mean must not outweigh it."""
    with torch.no_grad():
        residual.head[3].weight.mul_(1e-2)
        residual.head[3].bias.zero_()
    found = maximise(residual, [0, 1, 2], SHAPE, steps=60)
    assert all(after > before for after, before in zip(found.values, found.before, strict=True))


@pytest.mark.parametrize("units", ["a", None, 0.5, [0.5]])
def test_units_are_whole_numbers(units: object, residual: nn.Module) -> None:
    with pytest.raises(UsageError, match="units came as"):
        maximise(residual, units, SHAPE)


def test_windows_fit_pictures_of_every_size(residual: nn.Module) -> None:
    sizes = [torch.randn(1, 3, 32, 32), torch.randn(1, 3, 16, 16)]
    for one in exciting(residual, sizes, "stem.0", [0])[0]:
        (top, bottom), (left, right) = one.window
        assert 0 <= top <= bottom < (32, 16)[one.index] and 0 <= left <= right < (32, 16)[one.index]


@pytest.mark.parametrize(("other", "seen"), [({"kernel_size": 9, "padding": 4}, 9), ({"dilation": 3, "padding": 3}, 7)])
def test_a_layer_that_took_another_s_place_has_its_own_window(other: dict[str, int], seen: int) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    spot = torch.zeros(1, 1, 32, 32)
    spot[..., 16, 16] = 1

    def height() -> int:
        (top, bottom), _ = exciting(model, [spot], "0", 0)[0][0].window
        return bottom + 1 - top

    assert height() == 3
    model[0] = nn.Conv2d(1, 2, **{"kernel_size": 3} | other)
    assert height() == seen
