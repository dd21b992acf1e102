"""Published weights: their table, and the same files where somebody has them at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

import convlens.zoo as zoo
from convlens.errors import UsageError
from convlens.zoo.weights.published import IMAGENET
from tests.zoo.weight_files import write


def test_a_network_without_published_weights_says_which_have_some() -> None:
    assert zoo.published("lenet5") is None
    with pytest.raises(UsageError, match=r"no published ImageNet weights are known for lenet5; .* alexnet, vgg11"):
        zoo.create("lenet5", weights="imagenet")


def test_every_row_of_the_published_table_is_a_network_with_a_digest_in_its_address() -> None:
    for name in IMAGENET:
        weights = zoo.published(name)
        assert weights is not None and name in zoo.names()
        assert all(url.startswith("https://") and url.endswith(f"-{weights.sha256}.pth") for url in weights.urls)
        assert len(weights.sha256) in (8, 10) and int(weights.sha256, 16) >= 0
        assert 0.5 < weights.top1 < weights.top5 < 1


def test_the_preprocessing_of_published_weights_is_one_that_pictures_understands() -> None:
    from convlens.pictures import Preprocess

    for name in IMAGENET:
        weights = zoo.published(name)
        assert weights is not None
        assert Preprocess.from_dict(weights.preprocessing).size == (zoo.entry(name).resolution,) * 2


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "mnasnet0_75", "resnet18"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_published_file_at_hand_has_the_preprocessing_that_was_published_with_it(
    tmp_path: Path, name: str, ending: str
) -> None:
    weights = zoo.published(name)
    assert weights is not None
    file = tmp_path / weights.file.replace("pth", ending)
    record = zoo.create(name, weights=write(file, zoo.create(name).state_dict())).weights_record
    assert record is not None and record.preprocessing == weights.preprocessing


def test_a_published_file_is_known_by_its_digest_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "renamed.pth", zoo.create("googlenet").state_dict())
    plain = zoo.create("googlenet", weights=file).weights_record
    assert plain is not None and plain.preprocessing is not None and plain.preprocessing["mean"][0] == 0.485
    monkeypatch.setitem(IMAGENET, "googlenet", (f"googlenet-{plain.sha256[:8]}.pth", 69.778, 89.53, False))
    found = zoo.create("googlenet", weights=file).weights_record
    assert found is not None and found.preprocessing is not None and found.preprocessing["mean"] == [0.5] * 3


def test_weights_of_a_later_recipe_see_the_larger_part_of_the_picture_that_they_were_measured_with() -> None:
    ratios = {name: weights.preprocessing["crop_ratio"] for name in IMAGENET if (weights := zoo.published(name))}
    assert {name: round(224 / ratio) for name, ratio in ratios.items() if ratio > 0.9} == dict.fromkeys(
        ("resnext101_64x4d", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "mnasnet0_75", "mnasnet1_3"), 232
    )
