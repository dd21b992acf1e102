"""Weights of an earlier run: what that was trained on is known to the run that begins with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from convlens.errors import DataError
from convlens.runs import Run
from convlens.workbench import create, evaluate, train
from convlens.workbench.weights import earlier_run


def parts_by_picture(run: Path) -> dict[str, str]:
    splits = Run.load(run).splits
    return dict(zip(splits.hashes, splits.parts, strict=True))


def test_pictures_stay_in_their_part_and_new_ones_are_divided(tmp_path, lesson, make_pictures, quickly):
    data, told = tmp_path / "grown", []
    shutil.copytree(lesson.data, data)
    for file in make_pictures(tmp_path / "more", first=7000).rglob("*.*"):
        shutil.copy(file, data / file.parent.name / f"new-{file.name}")
    before = parts_by_picture(lesson.run)
    train(data, out=tmp_path / "next", tell=told.append, **quickly | {"seed": 5, "weights": lesson.run})
    now = parts_by_picture(tmp_path / "next")
    assert {content: now[content] for content in before} == before
    assert {part for content, part in now.items() if content not in before} == {"train", "val", "test"}
    assert f"40 pictures in the same part as in {lesson.run}, whose weights these are" in told


def test_another_seed_or_division_scores_nothing_that_the_weights_were_trained_on(tmp_path, lesson, quickly):
    options = quickly | {"seed": 3, "split": (0.4, 0.2, 0.4)}
    train(lesson.data, out=tmp_path / "next", **options | {"weights": lesson.run / "weights.safetensors"})
    assert parts_by_picture(tmp_path / "next") == parts_by_picture(lesson.run)


def test_what_an_earlier_run_was_trained_on_is_not_scored_elsewhere(tmp_path, lesson, make_pictures, quickly):
    other = make_pictures(tmp_path / "other", first=7000)
    train(other, out=tmp_path / "next", **quickly | {"weights": lesson.run})
    create("perceptron", weights=tmp_path / "next", out=tmp_path / "made")
    for run in (tmp_path / "next", tmp_path / "made"):
        scored = evaluate(run, lesson.data)
        assert scored.left_out == {"trained on": 32} and scored.scores.num_pictures == 8
    with pytest.raises(DataError, match=r"nothing in .* can be scored"):
        evaluate(tmp_path / "made", trained_on(lesson, tmp_path / "known"))


def trained_on(lesson, folder: Path) -> Path:
    splits = Run.load(lesson.run).splits
    for index in splits.indices("train"):
        file = lesson.data / splits.keys[index]
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / file.parent.name / f"known-{file.name}")
    return folder


def test_a_test_part_of_the_source_is_scored_without_what_the_weights_were_trained_on(
    tmp_path, lesson, make_pictures, quickly
):
    for part, first in (("train", 10_000), ("val", 20_000), ("test", 30_000)):
        make_pictures(tmp_path / "parts" / part, first=first, per_class=8)
    for part in ("val", "test"):
        trained_on(lesson, tmp_path / "parts" / part)
    run = train(tmp_path / "parts", out=tmp_path / "next", **quickly | {"weights": lesson.run}).run
    assert Run.load(run).splits.counts() == {"train": 16, "val": 16, "test": 48, "excluded": 32}
    scored = evaluate(run)
    assert scored.scores.num_pictures == 16


def test_an_earlier_run_that_is_gone_or_another_is_told(tmp_path, lesson, make_pictures, quickly):
    first, told = tmp_path / "first", []
    shutil.copytree(lesson.run, first)
    run = Run.load(train(lesson.data, out=tmp_path / "next", **quickly | {"weights": first}).run)
    assert earlier_run(run, told.append).path == first and not told
    weights = (first / "weights.safetensors").read_bytes()
    (first / "weights.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert earlier_run(run, told.append) is None
    shutil.rmtree(first)
    assert earlier_run(run, told.append) is None
    gone = f"{first / 'weights.safetensors'}, which this run began with, is gone or was changed"
    assert told == [f"{gone}: what that was trained on cannot be told"] * 2


def test_weights_are_found_again_from_another_folder(tmp_path, lesson, quickly, monkeypatch):
    monkeypatch.chdir(lesson.run.parent)
    run = Run.load(train(lesson.data, out=tmp_path / "next", **quickly | {"weights": lesson.run.name}).run)
    monkeypatch.chdir(tmp_path)
    assert earlier_run(run, print).path == lesson.run


def test_a_scratch_run_has_no_earlier_one(tmp_path, lesson, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    assert earlier_run(Run.load(lesson.run), told.append) is None and not told


def test_large_photographs_of_an_earlier_run_without_pictures_are_known(tmp_path, make_pictures, quickly):
    """One run knows them by every pixel, the other by their files."""
    data = make_pictures(tmp_path / "large", per_class=6)
    for file in data.rglob("*.*"):
        with Image.open(file) as image:
            image.resize((640, 600)).save(file.with_suffix(".jpeg"))
        file.unlink()
    train(data, out=tmp_path / "first", keep_pictures=False, **quickly)
    train(data, out=tmp_path / "next", **quickly | {"seed": 3, "weights": tmp_path / "first"})
    keys = [Run.load(tmp_path / name).splits for name in ("first", "next")]
    assert dict(zip(keys[0].keys, keys[0].parts, strict=True)) == dict(zip(keys[1].keys, keys[1].parts, strict=True))
