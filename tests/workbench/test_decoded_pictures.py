"""What a training keeps of the pictures that it decoded, and that nothing of it shows in the run."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from PIL import Image

from convlens.data import pixels as pixels_file
from convlens.errors import Stopped
from convlens.runs import Run
from convlens.storage import cache_dir
from convlens.workbench import train

PHOTOGRAPH = {"model": "perceptron", "image_size": 68, "epochs": 2, "precision": "fp32", "threads": 1}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pixels_file, "WORTH_S", -1.0)


@pytest.fixture
def data(tmp_path):
    """Forty smooth photographs of 100 x 90 px in two classes."""
    draw = np.random.default_rng(0)
    for number in range(40):
        file = tmp_path / "photographs" / ("cat", "dog")[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(draw.integers(0, 256, (5, 6, 3), np.uint8))
        small.resize((100, 90), Image.Resampling.BICUBIC).save(file)
    return tmp_path / "photographs"


def entries():
    return sorted(file.name for file in (cache_dir() / "pixels").glob("*"))


def trained(data, out, *, said=None, **options):
    """-> (digest of the weights, pictures that were decoded)."""
    decoded = []

    def progress(stage, done, total, detail):
        if stage == "decode":
            decoded.append(done)

    tell = (lambda _: None) if said is None else said.append
    run = train(data, out=out, progress=progress, tell=tell, **{**PHOTOGRAPH, **options}).run
    return Run.load(run).manifest.weights["sha256"], sum(decoded)


def test_the_second_training_decodes_nothing_says_so_once_and_ends_with_the_same_weights(data, tmp_path):
    first, second = [], []
    weights, decoded = trained(data, tmp_path / "first", said=first)
    assert decoded == 36 and len(entries()) == 3  # the training part, the validation part, and what mean and std are of
    assert trained(data, tmp_path / "second", said=second) == (weights, 0)
    assert [line for line in first if "from the cache" in line] == []
    told = [line for line in second if "from the cache" in line]
    assert told == [f"32 decoded pictures of 78×78 px from the cache {cache_dir() / 'pixels'}"]


def test_without_pictures_nothing_decoded_is_kept_nor_read(data, tmp_path):
    trained(data, tmp_path / "private", keep_pictures=False)
    assert entries() == []
    trained(data, tmp_path / "usual")
    assert trained(data, tmp_path / "private-too", keep_pictures=False)[1] == 36


@pytest.mark.parametrize("private", [False, True])
def test_a_training_goes_on_to_the_same_weights_whether_its_pixels_are_still_there_or_not(data, tmp_path, private):
    whole = trained(data, tmp_path / "whole", keep_pictures=not private)[0]
    for name, removed in (("kept", False), ("removed", True)):
        with pytest.raises(Stopped):
            train(
                data,
                out=tmp_path / name,
                keep_pictures=not private,
                progress=lambda stage, done, *_: stage == "train" and done == 2 and signal.raise_signal(signal.SIGINT),
                **PHOTOGRAPH,
            )
        assert len(entries()) == (0 if private else 3)
        if removed:
            for entry in (cache_dir() / "pixels").glob("*"):
                entry.unlink()
        said = []
        run = train(resume=tmp_path / name, tell=said.append).run
        assert any("from the cache" in line for line in said) is not (removed or private)
        assert Run.load(run).manifest.weights["sha256"] == whole
        assert len(entries()) == (0 if private else 2 if removed else 3)
