"""Published weights: their table, and the same files where somebody has them at hand."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import convlens.storage as storage
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


def test_two_that_want_the_same_weights_at_once_both_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network: what arrives is there at once, for each that asks."""
    state = zoo.create("squeezenet1_1").state_dict()
    both = threading.Barrier(2)

    def download(_urls: object, path: Path, **_: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, state)
        with suppress(threading.BrokenBarrierError):
            both.wait(1)

    monkeypatch.setattr(storage, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(storage, "download", download)
    networks = [zoo.create("squeezenet1_1") for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        records = list(threads.map(lambda network: zoo.load_weights(network, "imagenet"), networks))
    assert records[0] == records[1]
    assert all(torch.equal(value, state[name]) for one in networks for name, value in one.state_dict().items())
    assert [path.suffix for path in (tmp_path / "weights").iterdir() if not path.name.startswith(".")] == [
        ".safetensors"
    ]


def test_weights_of_a_later_recipe_see_the_larger_part_of_the_picture_that_they_were_measured_with() -> None:
    ratios = {name: weights.preprocessing["crop_ratio"] for name in IMAGENET if (weights := zoo.published(name))}
    assert {name: round(224 / ratio) for name, ratio in ratios.items() if ratio > 0.9} == dict.fromkeys(
        ("resnext101_64x4d", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "mnasnet0_75", "mnasnet1_3"), 232
    )
