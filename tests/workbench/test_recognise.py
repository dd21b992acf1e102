"""A large photograph that was trained on is known again in any lossless copy; one that only looks like it is scored."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.errors import DataError, RunError, Stopped
from convlens.runs import Run
from convlens.workbench import evaluate, train


@pytest.fixture
def data(tmp_path, make_pictures) -> Path:
    """Small pictures, and one large JPEG that EXIF turns."""
    folder = make_pictures(tmp_path / "data", per_class=3)
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    large = Image.fromarray(pixels).resize((801, 601), Image.Resampling.BICUBIC)
    large.save(folder / "circle" / "large.jpg", exif=exif)
    return folder


def pixels_of(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.rot90(np.asarray(image), -1).copy()


def others(folder: Path, picture: np.ndarray) -> Path:
    """A source with nothing but that picture, as PNG."""
    (folder / "circle").mkdir(parents=True)
    Image.fromarray(picture).save(folder / "circle" / "x.png")
    (folder / "square").mkdir()
    Image.fromarray(np.full((30, 30), 99, np.uint8)).save(folder / "square" / "y.png")
    return folder


@pytest.fixture
def run(data, tmp_path, quickly) -> Path:
    return train(data, out=tmp_path / "run", split=(1, 0, 0), **quickly).run


@pytest.mark.parametrize("fate", ["there", "gone", "changed"])
def test_a_copy_of_a_trained_photograph_is_not_scored_whatever_became_of_the_original(data, run, tmp_path, fate):
    file = data / "circle" / "large.jpg"
    source = others(tmp_path / "other", pixels_of(file))
    if fate == "gone":
        shutil.rmtree(data)
    if fate == "changed":
        Image.new("RGB", (601, 801), "red").save(file)
    result = evaluate(run, source)
    why = "trained on" if fate == "there" else "looks trained on"
    assert (result.scores.num_pictures, result.left_out) == (1, {why: 1})
    assert evaluate(run, source, include_train=True).scores.num_pictures == 2


def test_another_photograph_of_the_same_look_is_scored_while_the_original_can_be_compared(data, run, tmp_path):
    picture = pixels_of(data / "circle" / "large.jpg")
    picture[400, 300] ^= 128
    told: list[str] = []
    assert evaluate(run, others(tmp_path / "other", picture), tell=told.append).scores.num_pictures == 2
    assert told == ["1 new picture with the look of ones trained on, but other pixels: scored"]


def test_a_copy_of_a_validation_picture_counts_as_one(data, tmp_path, quickly):
    for name in ("train", "val"):
        shutil.copytree(data, tmp_path / "parts" / name, ignore=shutil.ignore_patterns("large.jpg"))
    for number, file in enumerate(sorted((tmp_path / "parts" / "val").rglob("*.*"))):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (40, 40), np.uint8)).save(file)
    shutil.copy(data / "circle" / "large.jpg", tmp_path / "parts" / "val" / "circle")
    run = train(tmp_path / "parts", out=tmp_path / "run", **quickly).run
    assert Run.load(run).looks.rows.shape == (1,)
    result = evaluate(run, others(tmp_path / "other", pixels_of(data / "circle" / "large.jpg")))
    assert result.left_out == {"val": 1}
    shutil.rmtree(tmp_path / "parts")
    assert evaluate(run, tmp_path / "other").left_out == {"val": 1}


def test_without_pictures_no_look_is_kept_and_copies_are_known_by_their_pixels(data, tmp_path, quickly):
    run = train(data, out=tmp_path / "run", split=(1, 0, 0), keep_pictures=False, **quickly).run
    assert not (run / "looks.safetensors").exists() and Run.load(run).looks is None
    source = others(tmp_path / "other", pixels_of(data / "circle" / "large.jpg"))
    shutil.rmtree(data)
    assert evaluate(run, source).left_out == {"trained on": 1}


def test_a_run_scores_its_own_pictures_by_either_kind_of_hash(data, tmp_path, quickly):
    for keep in (True, False):
        run = train(data, out=tmp_path / f"run-{keep}", split=(1, 0, 0), keep_pictures=keep, **quickly).run
        with pytest.raises(DataError, match=r"can be scored: 7 trained on"):
            evaluate(run)


def test_looks_that_are_missing_or_changed_are_an_error_and_nothing_is_scored(data, run, tmp_path):
    source = others(tmp_path / "other", pixels_of(data / "circle" / "large.jpg"))
    looks = run / "looks.safetensors"
    looks.write_bytes(looks.read_bytes()[:-1] + b"\1")
    with pytest.raises(RunError, match=r"looks\.safetensors is not the file that run.json describes"):
        evaluate(run, source)
    looks.unlink()
    with pytest.raises(RunError, match=r"looks\.safetensors is missing; restore it"):
        evaluate(run, source)
    assert not list((run / "evaluation").glob("*.json"))


@pytest.mark.parametrize("keep_pictures", [True, False])
def test_an_interrupted_training_goes_on_with_the_hashes_that_it_began_with(data, tmp_path, quickly, keep_pictures):
    def stop(stage: str, done: int, total: int, detail: str) -> None:
        if stage == "train":
            raise Stopped("enough", 130)

    with pytest.raises(Stopped):
        train(data, out=tmp_path / "run", keep_pictures=keep_pictures, progress=stop, **quickly)
    assert train(resume=tmp_path / "run").num_pictures == 7
    assert (Run.load(tmp_path / "run").looks is not None) == keep_pictures
