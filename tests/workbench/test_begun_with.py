"""Weights of an earlier run: what that was trained on is known to the run that begins with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from convlens.errors import DataError, RunError
from convlens.runs import Run
from convlens.workbench import create, evaluate, shrink, train
from convlens.workbench.lineage import LOST, earlier_run


def parts_by_picture(run: Path) -> dict[str, str]:
    splits = Run.load(run).splits
    return dict(zip(splits.hashes, splits.parts, strict=True))


def grown(lesson, folder: Path, make_pictures) -> Path:
    """The lesson's pictures and as many others."""
    data = Path(shutil.copytree(lesson.data, folder / "grown"))
    for file in make_pictures(folder / "more", first=7000).rglob("*.*"):
        shutil.copy(file, data / file.parent.name / f"new-{file.name}")
    return data


def test_pictures_stay_in_their_part_and_new_ones_are_divided(tmp_path, lesson, make_pictures, quickly):
    data, told = grown(lesson, tmp_path, make_pictures), []
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
    told: list[str] = []
    options = quickly | {"weights": lesson.run, "tell": told.append}
    run = train(tmp_path / "parts", out=tmp_path / "next", **options).run
    known = f"{lesson.run}, whose weights these are, was trained on them"
    assert {f"32 pictures of val left out: {known}", f"32 pictures of test never scored: {known}"} <= {*told}
    assert Run.load(run).splits.counts() == {"train": 16, "val": 16, "test": 48, "excluded": 32}
    scored = evaluate(run)
    assert scored.scores.num_pictures == 16


def test_an_earlier_run_that_is_gone_or_another_is_told(tmp_path, lesson, make_pictures, quickly):
    first, told = tmp_path / "first", []
    shutil.copytree(lesson.run, first)
    run = train(lesson.data, out=tmp_path / "next", **quickly | {"weights": first}).run
    found, why = earlier_run(Run.load(run))
    assert found.path == first and not why
    weights = (first / "weights.safetensors").read_bytes()
    (first / "weights.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    gone = f"{first / 'weights.safetensors'}, which this run began with, is gone, changed or of no whole run: {LOST}"
    assert earlier_run(Run.load(run)) == (None, gone)
    shutil.rmtree(first)
    evaluate(run, tell=told.append)
    assert not told  # it knows its own pictures
    evaluate(run, make_pictures(tmp_path / "other", first=7000), tell=told.append)
    assert told == [gone]


@pytest.mark.parametrize("file", ["splits.csv", "looks.safetensors"])
def test_an_earlier_run_that_was_damaged_is_told_and_no_error(file, tmp_path, lesson, make_pictures, quickly):
    first, told = tmp_path / "first", []
    shutil.copytree(lesson.run, first)
    run = train(lesson.data, out=tmp_path / "next", **quickly | {"weights": first}).run
    (first / file).unlink()
    evaluate(run, make_pictures(tmp_path / "other", first=7000), tell=told.append)
    assert len(told) == 1 and file in told[0] and told[0].endswith(LOST)
    with pytest.raises(RunError, match=f"{file} is missing"):
        train(lesson.data, out=tmp_path / "again", **quickly | {"weights": first})
    assert not (tmp_path / "again").exists()


def test_an_earlier_run_that_may_not_be_read_is_told(lesson, tmp_path, quickly, monkeypatch):
    run = Run.load(train(lesson.data, out=tmp_path / "next", **quickly | {"weights": lesson.run}).run)

    def forbidden(path: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", forbidden)
    found, why = earlier_run(run)
    assert found is None and "cannot be read" in why and why.endswith(LOST)


def test_the_best_weights_of_a_training_that_did_not_end_are_told(tmp_path, lesson, quickly):
    first, told = tmp_path / "first", []
    shutil.copytree(lesson.run, first)
    (first / "run.json").unlink()
    best = first / "checkpoints" / "best.safetensors"
    train(lesson.data, out=tmp_path / "next", **quickly | {"weights": best, "tell": told.append})
    assert f"{best} is of no whole run: {LOST}" in told


def test_a_grown_set_is_divided_as_it_was_when_a_run_is_shrunk(tmp_path, lesson, make_pictures):
    data = grown(lesson, tmp_path, make_pictures)
    shrink(lesson.run, data=data, quantise="int8", epochs=1, out=(small := tmp_path / "small"))
    before, now = parts_by_picture(lesson.run), parts_by_picture(small)
    assert {content: now[content] for content in before} == before and len(now) == 80
    shutil.rmtree(lesson.run)
    told: list[str] = []
    evaluate(small, make_pictures(tmp_path / "other", first=9000), tell=told.append)
    assert told == [f"{lesson.run}, which this run began with, is gone, changed or of no whole run: {LOST}"]


def test_weights_are_found_again_from_another_folder(tmp_path, lesson, quickly, monkeypatch):
    monkeypatch.chdir(lesson.run.parent)
    run = Run.load(train(lesson.data, out=tmp_path / "next", **quickly | {"weights": lesson.run.name}).run)
    monkeypatch.chdir(tmp_path)
    assert earlier_run(run)[0].path == lesson.run


def test_what_is_missing_for_validation_is_said_as_it_is(tmp_path, lesson, make_pictures, quickly):
    train(lesson.data, out=tmp_path / "all", **quickly | {"split": (1, 0, 0)})
    other, remedies = make_pictures(tmp_path / "other", first=7000), []
    for data, split in ((lesson.data, (0.8, 0.1, 0.1)), (other, (1, 0, 0))):
        told: list[str] = []
        more = {"weights": tmp_path / "all", "split": split, "tell": told.append}
        train(data, out=tmp_path / f"run-{data.name}", **quickly | more)
        remedies += [line.rpartition("; ")[2] for line in told if line.startswith("no picture is left for validation")]
    assert remedies == ["give pictures new to the weights", "give more pictures or a --split"]


@pytest.mark.parametrize("link_of", ["file", "folder", "weights elsewhere"])
def test_links_to_a_run_and_links_in_it_are_followed(link_of, tmp_path, lesson, quickly):
    weights = tmp_path / "link.safetensors"
    if link_of == "weights elsewhere":  # as in a cache of a version control
        (lesson.run / "weights.safetensors").rename(tmp_path / "blob")
        (lesson.run / "weights.safetensors").symlink_to(tmp_path / "blob")
        weights = lesson.run
    else:
        weights.symlink_to(lesson.run / "weights.safetensors" if link_of == "file" else lesson.run)
    options = quickly | {"seed": 3, "weights": weights}
    run = train(lesson.data, out=tmp_path / "next", **options).run
    assert parts_by_picture(run) == parts_by_picture(lesson.run)
    assert earlier_run(Run.load(run))[0].path == lesson.run


def test_a_scratch_run_has_no_earlier_one(tmp_path, lesson, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path)
    assert earlier_run(Run.load(lesson.run)) == (None, "")


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
