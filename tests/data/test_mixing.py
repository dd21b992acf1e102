"""Two pictures in one, and their labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.data.mixing import Mixture, area, box_of, draw_mixture, mixed, soft_labels

SHAPE = (16, 3, 12, 10)


def images():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


LABELS = torch.arange(16) % 5


def mixtures(count=400, **asked):
    return [draw_mixture(asked.get("mixup", 0.0), asked.get("cutmix", 0.0), seed=s, shape=SHAPE) for s in range(count)]


def test_nothing_is_mixed_where_nothing_is_asked():
    assert set(mixtures(5)) == {None}


def test_mixup_weighs_both_pictures_pixel_by_pixel():
    for mixture in mixtures(5, mixup=1.0):
        seen = mixed(images(), mixture)
        for i, partner in enumerate(mixture.partners.tolist()):
            wanted = mixture.share * images()[i] + (1 - mixture.share) * images()[partner]
            torch.testing.assert_close(seen[i], wanted)


def test_cutmix_pastes_the_box_of_the_partner():
    for mixture in mixtures(20, cutmix=1.0):
        seen, (top, left, bottom, right) = mixed(images(), mixture), mixture.box
        for i, partner in enumerate(mixture.partners.tolist()):
            wanted = images()[i].clone()
            wanted[:, top:bottom, left:right] = images()[partner][:, top:bottom, left:right]
            assert torch.equal(seen[i], wanted)


def test_the_share_of_cutmix_is_the_area_that_is_left():
    for mixture in mixtures(100, cutmix=1.0):
        top, left, bottom, right = mixture.box
        assert 0 <= top <= bottom <= 12 and 0 <= left <= right <= 10
        assert mixture.share == pytest.approx(1 - (bottom - top) * (right - left) / 120)


@pytest.mark.parametrize("asked", [{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}])
def test_labels_sum_to_one_and_have_the_shares_of_the_pictures(asked):
    for mixture in mixtures(20, **asked):
        soft = soft_labels(LABELS, mixture, 5)
        assert soft.shape == (16, 5) and soft.dtype == torch.float32
        torch.testing.assert_close(soft.sum(dim=1), torch.ones(16))
        for i, partner in enumerate(mixture.partners.tolist()):
            wanted = np.zeros(5)
            wanted[LABELS[i]] += mixture.share
            wanted[LABELS[partner]] += 1 - mixture.share
            np.testing.assert_allclose(soft[i], wanted, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_of_mixup_are_of_a_beta_distribution(alpha):
    shares = np.array([mixture.share for mixture in mixtures(4000, mixup=alpha)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_boxes_have_the_area_that_is_left_over_where_no_edge_cuts_them():
    for share in (0.0, 0.1, 0.25, 0.5, 1.0):
        assert area(box_of(share, (100, 200), (0.5, 0.5))) == pytest.approx(share * 20_000, abs=320)


def test_boxes_lie_everywhere():
    covered = np.zeros((12, 10))
    for mixture in mixtures(400, cutmix=1.0):
        top, left, bottom, right = mixture.box
        covered[top:bottom, left:right] += 1
    assert covered.min() > 30


def test_of_both_either_comes_half_of_the_time():
    drawn = mixtures(400, mixup=0.5, cutmix=0.5)
    assert 160 < sum(mixture.box is None for mixture in drawn) < 240


def test_partners_are_the_batch_in_another_order():
    for mixture in mixtures(20, mixup=0.2):
        assert sorted(mixture.partners.tolist()) == list(range(16))
    assert len({tuple(mixture.partners.tolist()) for mixture in mixtures(20, mixup=0.2)}) == 20


def test_the_pictures_that_came_are_left_alone():
    before = images()
    mixed(before, Mixture(torch.arange(15, -1, -1), 0.5, (0, 0, 6, 5)))
    mixed(before, Mixture(torch.arange(15, -1, -1), 0.5))
    assert torch.equal(before, images())
