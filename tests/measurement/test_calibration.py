"""The temperature is the best one, bounded, and the same every time."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from convlens.errors import DataError
from convlens.measurement import calibration_error, fit_temperature, probabilities


def overconfident(seed: int, num_pictures: int = 400, scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels drawn from softmax(z); logits that claim scale * z, so the right temperature is `scale`."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(num_pictures, 5, generator=generator) * 1.5
    labels = torch.multinomial(torch.softmax(z, 1), 1, generator=generator).squeeze(1)
    return z * scale, labels


def test_the_scale_of_the_logits_is_found():
    logits, labels = overconfident(0, num_pictures=20_000)
    assert fit_temperature(logits, labels) == pytest.approx(3.0, rel=0.05)


def softened_loss(logits: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    """Platt's target (N + 1) / (N + 2), written with torch's own label smoothing: K / (K - 1) of the rest is spread."""
    count, num_classes = logits.shape
    smoothing = num_classes / (num_classes - 1) / (count + 2)
    return float(cross_entropy(logits.double() / temperature, labels, label_smoothing=smoothing))


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 7.0, 1000.0])
def test_no_temperature_of_a_grid_is_better(scale):
    logits, labels = overconfident(1, scale=scale)
    best = fit_temperature(logits, labels)
    assert 0.05 <= best <= 20.0
    grid = [0.05 * 400 ** (k / 60) for k in range(61)]
    found = softened_loss(logits, labels, best)
    assert found <= min(softened_loss(logits, labels, t) for t in [*grid, 1.0]) + 1e-9


def test_it_is_the_same_every_time():
    logits, labels = overconfident(2)
    assert fit_temperature(logits, labels) == fit_temperature(logits.numpy(), labels.tolist())


def test_one_picture_says_nothing_about_the_temperature():
    assert fit_temperature(torch.tensor([[0.0, 3.0]]), [0]) == 1.0


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_without_a_mistake_the_confidence_is_what_so_many_right_answers_allow(count):
    logits = torch.zeros(count, 4)
    logits[:, 2] = 1.0
    best = fit_temperature(logits, [2] * count)
    assert float(probabilities(logits, best)[0, 2]) == pytest.approx((count + 1) / (count + 2), abs=1e-6)


def test_only_mistakes_reach_the_upper_bound():
    assert fit_temperature(torch.eye(3) * 9, [1, 2, 0]) == pytest.approx(20.0)


def test_nan_is_refused():
    with pytest.raises(DataError, match="NaN"):
        fit_temperature(torch.full((3, 2), float("nan")), [0, 1, 0])


def test_probabilities_sum_to_one_and_soften():
    logits = torch.tensor([[0.0, 2.0]], dtype=torch.float16)
    hard, soft = probabilities(logits, 1.0), probabilities(logits, 4.0)
    assert hard.dtype == torch.float32
    torch.testing.assert_close(hard.sum(1), torch.ones(1))
    assert soft[0, 1] < hard[0, 1]


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    logits = torch.tensor([[0.0, 1.0]] * 4)
    confidence = float(probabilities(logits)[0, 1])
    assert calibration_error(logits, [1, 1, 1, 0]) == pytest.approx(abs(confidence - 0.75), abs=1e-6)
    assert calibration_error(logits, [1, 1, 1, 0], temperature=1 / 1.0986123) == pytest.approx(0, abs=1e-6)
