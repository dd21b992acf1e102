"""Nothing that was trained on is scored, wherever it lies; what is left out is counted; earlier files stay."""

from __future__ import annotations

import importlib
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.data import open_images
from convlens.errors import DataError, RunError, StorageError, UsageError
from convlens.measurement.corruptions import CORRUPTIONS
from convlens.runs import Run
from convlens.workbench import create, evaluate, explain, measure, predict, train
from convlens.workbench.evaluate import match_classes

KEPT = ("run.json", "weights.safetensors", "splits.csv", "history.jsonl", "checkpoints/best.safetensors")


def renamed(data: Path, root: Path) -> Path:
    """The same pictures under other names, saved again without loss."""
    for number, file in enumerate(sorted(data.rglob("*.*"))):
        target = root / file.parent.name / f"copy-{997 - number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            image.save(target)
    return root


def zipped(data: Path, root: Path) -> Path:
    root.mkdir()
    with zipfile.ZipFile(root / "other.zip", "w") as archive:
        for file in sorted(data.rglob("*.*"), reverse=True):
            archive.write(file, f"{file.parent.name}/x{file.name}")
    return root / "other.zip"


def as_array(picture: np.ndarray, label: str, root: Path) -> Path:
    """One picture in an NPZ whose classes come in another order; a grey one as colour with equal channels."""
    colour = np.broadcast_to(np.atleast_3d(picture), (*picture.shape[:2], 3))
    np.savez(root / "arrays.npz", images=colour[None], labels=[label], classes=["square", "circle"])
    return root / "arrays.npz"


def total(result) -> int:
    return result.scores.num_pictures + sum(result.left_out.values())


def test_a_run_that_cannot_be_written_is_refused_before_it_is_scored(lesson, read_only, monkeypatch):
    read_only(lesson.run)
    module = importlib.import_module("convlens.workbench.evaluate")
    monkeypatch.setattr(module, "logits_on", lambda *_, **__: pytest.fail("scored in vain"))
    with pytest.raises(StorageError, match="permission denied; make its folder writable, or copy the run to another"):
        evaluate(lesson.run)


@pytest.mark.parametrize("copy", [renamed, zipped], ids=["other names and PNG", "inside a zip"])
def test_a_trained_picture_is_never_scored_wherever_its_copy_lies(copy, lesson, tmp_path):
    result = evaluate(lesson.run, copy(lesson.data, tmp_path / "other"))
    assert result.scores.num_pictures == 4
    assert result.left_out == {"trained on": 32, "val": 4}


def test_a_grey_picture_that_was_trained_on_is_recognised_as_a_colour_array(lesson, tmp_path):
    images, splits = open_images(lesson.data), Run.load(lesson.run).splits
    index = next(i for i in splits.indices("train").tolist() if images.reader.read(i).ndim == 2)
    source = as_array(images.reader.read(index), images.classes[images.labels[index]], tmp_path)
    with pytest.raises(DataError, match=r"nothing .* can be scored: .*trained on"):
        evaluate(lesson.run, source)
    assert evaluate(lesson.run, source, include_train=True).scores.num_pictures == 1


def test_training_pictures_are_scored_only_when_asked_for_and_under_a_name_that_says_so(lesson):
    honest = evaluate(lesson.run)
    before = honest.file.read_text()
    flattered = evaluate(lesson.run, include_train=True)
    assert (honest.scores.num_pictures, flattered.scores.num_pictures) == (4, 36)
    assert flattered.left_out == {"val": 4}
    assert flattered.file.name == "shapes-with-train.json"
    assert json.loads(flattered.file.read_text())["part"] == "test with train"
    assert honest.file.read_text() == before


@pytest.mark.parametrize(
    ("part", "include_train", "scored", "file"),
    [
        ("test", False, 4, "shapes.json"),
        ("val", False, 4, "shapes-val.json"),
        ("all", False, 8, "shapes-all.json"),
        ("all", True, 40, "shapes-all-with-train.json"),
    ],
)
def test_each_part_is_scored_by_itself_and_what_is_left_out_adds_up(lesson, part, include_train, scored, file):
    result = evaluate(lesson.run, part=part, include_train=include_train)
    assert result.scores.num_pictures == scored
    assert total(result) == 40
    assert result.file.name == file


def test_a_score_over_several_views_has_a_file_of_its_own_that_says_so(lesson):
    plain = evaluate(lesson.run)
    before = plain.file.read_text()
    many = evaluate(lesson.run, tta="mirror_shifts")
    assert many.file.name == "shapes-mirror-shifts.json"
    said = json.loads(many.file.read_text())
    assert (many.part, said["part"], many.tta) == ("test", "test", "mirror_shifts")
    assert (said["tta"], json.loads(before)["tta"]) == ("mirror_shifts", "none")
    assert said["loss"] != json.loads(before)["loss"]
    assert plain.file.read_text() == before


def test_an_unknown_test_time_augmentation_is_refused_with_the_nearest(lesson):
    with pytest.raises(UsageError, match=r"'mirrors'.*mirror"):
        evaluate(lesson.run, tta="mirrors")


def test_an_unknown_part_is_refused(lesson):
    with pytest.raises(UsageError, match="'train'; expected one of test, val, all"):
        evaluate(lesson.run, part="train")


def test_new_pictures_are_scored_and_classes_that_the_run_does_not_know_are_counted(lesson, tmp_path, make_pictures):
    data = make_pictures(tmp_path / "new", ("apple", "circle", "square"), per_class=5, first=50_000)
    result = evaluate(lesson.run, data)
    assert result.left_out == {"of an unknown class": 5}
    assert [one.support for one in result.scores.per_class] == [5, 5]
    assert total(result) == 15


def test_classes_are_matched_by_name_in_whatever_order_a_source_has_them(lesson, tmp_path, make_pictures, picture):
    data = make_pictures(tmp_path / "new", ("square",), per_class=5, first=60_000)
    assert [one.support for one in evaluate(lesson.run, data).scores.per_class] == [0, 5]
    images = open_images(as_array(picture(7), "circle", tmp_path))
    assert (images.classes, images.labels.tolist()) == (("square", "circle"), [1])
    assert match_classes(images, ("circle", "square")).tolist() == [0]


def test_a_source_without_a_known_class_is_refused(lesson, tmp_path, make_pictures):
    data = make_pictures(tmp_path / "new", ("apple", "pear"), per_class=2)
    with pytest.raises(DataError, match=r"apple, pear.*the run knows circle, square"):
        evaluate(lesson.run, data)


def test_unlabelled_pictures_are_counted_and_not_scored(lesson, tmp_path, make_pictures):
    images = open_images(make_pictures(tmp_path / "new", per_class=3, first=70_000))
    unlabelled = replace(images, labels=np.array([-1, *images.labels[1:]]))
    assert match_classes(unlabelled, ("circle", "square"))[0] == -1


def test_of_another_divided_source_only_the_test_part_is_scored(lesson, tmp_path, make_pictures):
    for number, part in enumerate(("train", "test")):
        make_pictures(tmp_path / "new" / part, per_class=4, first=80_000 + 100 * number)
    result = evaluate(lesson.run, tmp_path / "new")
    assert result.left_out == {"new, not in its test part": 8}
    assert evaluate(lesson.run, tmp_path / "new", part="all").scores.num_pictures == 16


def test_a_picture_that_a_source_has_in_its_train_and_its_test_part_is_never_scored(tmp_path, make_pictures, quickly):
    for number, part in enumerate(("train", "val", "test")):
        make_pictures(tmp_path / "leaky" / part, per_class=6, first=100 * number)
    for part in ("val", "test"):
        shutil.copy(tmp_path / "leaky" / "train" / "circle" / "001.png", tmp_path / "leaky" / part / "circle" / "x.png")
    result = evaluate(train(tmp_path / "leaky", out=tmp_path / "run", **quickly).run)
    assert result.scores.num_pictures == 12
    assert result.left_out == {"trained on": 14, "val": 12}


def test_an_unreadable_picture_is_counted_and_not_scored(lesson, tmp_path, make_pictures):
    data = make_pictures(tmp_path / "new", per_class=3, first=90_000)
    (data / "circle" / "broken.jpg").write_bytes(b"no picture")
    result = evaluate(lesson.run, data)
    assert result.left_out == {"unreadable": 1}
    assert total(result) == 7


def test_without_a_test_part_the_validation_part_is_scored_and_that_is_said(tmp_path, whole_lesson, quickly):
    run = train(whole_lesson.data, split=(0.8, 0.2, 0), out=tmp_path / "run", **quickly).run
    said: list[str] = []
    result = evaluate(run, tell=said.append)
    assert (result.part, result.scores.num_pictures) == ("val", 8)
    assert said[0] == ("there is no test part: scoring the validation part, on which the temperature was fitted")


def test_where_everything_was_trained_on_there_is_nothing_to_score(tmp_path, whole_lesson, quickly):
    run = train(whole_lesson.data, split=(1, 0, 0), out=tmp_path / "run", **quickly).run
    with pytest.raises(DataError, match=r"nothing .* can be scored: .*40 trained on.*--include-train"):
        evaluate(run)


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_without_its_own_record_of_what_was_trained_on_nothing_is_scored(lesson, damage):
    splits = lesson.run / "splits.csv"
    text = splits.read_text()
    splits.unlink()
    if damage == "changed":
        splits.write_text(text.replace(",train,", ",test,"))
    with pytest.raises(RunError, match=r"splits\.csv .*restore it"):
        evaluate(lesson.run)


def test_a_run_that_was_not_trained_here_needs_pictures_and_scores_them_all(tmp_path, make_pictures):
    run = create("perceptron", classes=("circle", "square"), in_channels=3, out=tmp_path / "run").run
    with pytest.raises(UsageError, match="no pictures of its own; give DATA"):
        evaluate(run)
    assert evaluate(run, make_pictures(tmp_path / "new", per_class=3)).scores.num_pictures == 6


def test_the_file_says_what_the_result_says(lesson):
    result = evaluate(lesson.run)
    written = json.loads(result.file.read_text())
    assert result.file == lesson.run / "evaluation" / "shapes.json"
    assert written["num_pictures"] == 4
    assert written["accuracy"] == pytest.approx(result.scores.accuracy)
    assert written["left_out"] == result.left_out
    assert written["source"] == str(lesson.data)
    assert len(written["errors"]) == round(4 * (1 - result.scores.accuracy))
    assert Run.load(lesson.run).evaluations["shapes"] == written


def test_scores_of_other_pictures_with_the_same_name_do_not_replace_the_first(lesson, tmp_path, make_pictures):
    first = evaluate(lesson.run).file
    other = make_pictures(tmp_path / "shapes", per_class=3, first=40_000)
    before = first.read_text()
    files = [evaluate(lesson.run, other).file for _ in range(2)]
    assert [file.name for file in files] == ["shapes-2.json"] * 2
    assert first.read_text() == before
    assert evaluate(lesson.run, lesson.data).file == first


@pytest.mark.parametrize("text", ["", "{", "[]", '{"confusion": 3}'])
def test_a_damaged_evaluation_is_written_anew_by_the_command_that_wrote_it(copied_run, text):
    before = evaluate(copied_run)
    before.file.write_text(text)
    after = evaluate(copied_run)
    assert after.file == before.file and after.scores == before.scores
    assert Run.load(copied_run).evaluations["digits"]["accuracy"] == before.scores.accuracy


def test_no_later_verb_changes_what_training_wrote(lesson, fingerprint):
    before = fingerprint(lesson.run)
    assert set(KEPT) <= before.keys()
    file = next(lesson.data.rglob("*.jpg"))
    evaluate(lesson.run)
    evaluate(lesson.run, part="all", include_train=True)
    predict(lesson.run, file)
    measure(lesson.run)
    explain(lesson.run, file, method="saliency", sanity=False)
    after = fingerprint(lesson.run)
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}


def test_no_verb_writes_beside_the_pictures(lesson, fingerprint):
    before = fingerprint(lesson.data)
    evaluate(lesson.run)
    predict(lesson.run, lesson.data)
    explain(lesson.run, next(lesson.data.rglob("*.jpg")), method="saliency", sanity=False)
    assert fingerprint(lesson.data) == before


def swapped(data: Path, root: Path) -> Path:
    """Each picture under the other class: whatever a network says is wrong here or there."""
    shutil.copytree(data / "circle", root / "square")
    shutil.copytree(data / "square", root / "circle")
    return root


def test_a_run_that_keeps_no_pictures_stores_no_thumbnails(tmp_path, whole_lesson, quickly):
    run = train(whole_lesson.data, out=tmp_path / "run", keep_pictures=False, **quickly).run
    wrong = evaluate(run, include_train=True).errors
    wrong += evaluate(run, swapped(whole_lesson.data, tmp_path / "swapped"), include_train=True).errors
    assert len(wrong) >= 36
    assert {one.thumbnail for one in wrong} == {None}
    assert not (run / "thumbnails").exists()


def test_thumbnails_are_small_pictures_in_the_run(lesson, tmp_path):
    wrong = evaluate(lesson.run, include_train=True).errors
    wrong += evaluate(lesson.run, swapped(lesson.data, tmp_path / "swapped"), include_train=True).errors
    assert len(wrong) >= 36
    for one in wrong:
        with Image.open(lesson.run / one.thumbnail) as small:
            assert max(small.size) <= 96


def test_thumbnails_never_exceed_the_limit_over_all_evaluations(lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("convlens.workbench.judged"), "MAX_THUMBNAILS", 3)
    first = evaluate(lesson.run, include_train=True)
    then = evaluate(lesson.run, swapped(lesson.data, tmp_path / "swapped"), include_train=True)
    shown = [*first.recognised, *first.errors, *then.recognised, *then.errors]
    assert len({one.thumbnail for one in shown} - {None}) == 3
    assert len(list((lesson.run / "thumbnails").iterdir())) == 3


def test_many_errors_leave_room_for_pictures_that_were_recognised(lesson, tmp_path, monkeypatch):
    data = swapped(lesson.data, tmp_path / "swapped")
    num_recognised = len(evaluate(lesson.run, data, include_train=True).recognised)
    shutil.rmtree(lesson.run / "thumbnails")
    monkeypatch.setattr(importlib.import_module("convlens.workbench.judged"), "MAX_OF_ONE", num_recognised + 2)
    result = evaluate(lesson.run, data, include_train=True)
    assert len(result.recognised) == num_recognised > 0 and all(one.thumbnail for one in result.recognised)
    assert [bool(one.thumbnail) for one in result.errors] == [True] * 2 + [False] * (len(result.errors) - 2)
    assert len(result.errors) > 8


def test_errors_begin_with_the_most_confident(lesson):
    confidences = [one.confidence for one in evaluate(lesson.run, include_train=True).errors]
    assert confidences == sorted(confidences, reverse=True)


def test_only_the_most_confident_errors_are_listed_and_all_are_counted(lesson, tmp_path, monkeypatch):
    everything = evaluate(lesson.run, swapped(lesson.data, tmp_path / "swapped"), include_train=True)
    assert everything.num_errors == len(everything.errors) > 3
    monkeypatch.setattr(importlib.import_module("convlens.workbench.judged"), "MAX_ERRORS", 3)
    result = evaluate(lesson.run, tmp_path / "swapped", include_train=True)
    assert result.errors == everything.errors[:3]
    written = json.loads(result.file.read_text())
    assert (written["num_errors"], len(written["errors"])) == (result.num_errors, 3) == (everything.num_errors, 3)


def test_of_each_class_the_surest_and_the_least_sure_that_were_recognised_are_listed(lesson):
    result = evaluate(lesson.run, part="all", include_train=True)
    right = np.diag(result.scores.confusion)
    for name, number in zip((one.name for one in result.scores.per_class), right, strict=True):
        listed = [one for one in result.recognised if one.truth == name]
        assert len(listed) == min(6, number)
        assert {one.predicted for one in listed} <= {name}
        assert [one.confidence for one in listed] == sorted((one.confidence for one in listed), reverse=True)
        assert all((lesson.run / one.thumbnail).is_file() for one in listed)
    written = json.loads(result.file.read_text())["recognised"]
    assert [one["key"] for one in written] == [one.key for one in result.recognised]


def test_the_examples_are_the_ends_of_each_class(monkeypatch):
    judged = importlib.import_module("convlens.workbench.judged")
    truth, confidence = np.array([0] * 9 + [1] * 2), np.array([5, 1, 9, 3, 7, 2, 8, 4, 6, 1, 2]) / 10
    chosen = judged._examples(np.delete(np.arange(11), 2), truth, confidence, 3)
    assert chosen.tolist() == [6, 4, 8, 3, 5, 1, 10, 9]
    monkeypatch.setattr(judged, "MAX_RECOGNISED", 6)
    assert judged._examples(np.arange(11), truth, confidence, 3).tolist() == [2, 1, 10, 9]
    assert judged._examples(np.arange(11), truth, confidence, 4).tolist() == []


def test_the_thumbnails_are_counted_once(lesson, tmp_path, monkeypatch):
    counted = []
    look = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: (counted.append(path.name), look(path))[1])
    evaluate(lesson.run, swapped(lesson.data, tmp_path / "swapped"), include_train=True)
    assert counted.count("thumbnails") <= 1


def test_a_copy_without_loss_of_a_large_jpeg_that_was_trained_on_is_not_scored(tmp_path, make_pictures, quickly):
    data = make_pictures(tmp_path / "data", per_class=3)
    Image.effect_noise((1600, 1100), 60).save(data / "circle" / "large.jpg")
    run = train(data, out=tmp_path / "run", split=(1, 0, 0), **quickly).run
    copy = make_pictures(tmp_path / "copy", per_class=1, first=30_000)
    with Image.open(data / "circle" / "large.jpg") as image:
        image.save(copy / "circle" / "copy.png")
    result = evaluate(run, copy)
    assert (result.scores.num_pictures, result.left_out) == (2, {"trained on": 1})


def test_robustness_is_scored_and_drawn_beside_another_run(copied_run, tmp_path):
    options = {"model": "lenet5", "epochs": 1, "precision": "fp32", "threads": 1}
    other = train("digits", augment=False, out=tmp_path / "p", **options).run
    result = evaluate(copied_run, beside=other)
    stored = json.loads(result.file.read_text())
    assert [curve["corruption"] for curve in stored["robustness"]] == list(CORRUPTIONS)
    assert result.beside is not None and stored["beside"]["name"] == "p" and stored["beside"]["augmented"] is False
    unchanged = next(curve for curve in result.robustness if curve.corruption == "noise").points[0]
    assert (unchanged.level, unchanged.accuracy) == (0, result.scores.accuracy)
    assert result.robustness[0].num_pictures == result.scores.num_pictures
    page = result.report.read_text()
    assert 'id="robustness"' in page and "In grey: p, trained without augmentation." in page
    assert "robustness" not in json.loads(evaluate(copied_run).file.read_text())


def test_another_run_of_other_classes_is_refused_before_anything_is_scored(copied_run, tmp_path):
    strange = create("lenet5", num_classes=3, out=tmp_path / "strange").run
    with pytest.raises(UsageError, match="runs are compared on the same classes"):
        evaluate(copied_run, beside=strange)
    assert not (copied_run / "evaluation").exists()


def test_ten_crops_are_scored_and_say_so(copied_run):
    result = evaluate(copied_run, tta="ten_crop")
    assert result.file.name == "digits-ten-crop.json"
    assert abs(result.scores.accuracy - evaluate(copied_run).scores.accuracy) < 0.5


def test_the_surest_errors_have_a_map_of_what_speaks_for_the_wrong_class(copied_run, monkeypatch):
    monkeypatch.setattr(importlib.import_module("convlens.workbench.judged"), "MAX_OVERLAYS", 3)
    result = evaluate(copied_run, part="all", include_train=True)
    assert len(result.errors) > 3
    maps = [one.overlay for one in result.errors]
    assert all(maps[:3]) and not any(maps[3:])
    with Image.open(copied_run / maps[0]) as drawn:
        assert drawn.mode == "RGB" and max(drawn.size) == 96
    assert len(list((copied_run / "overlays").iterdir())) <= 3


def test_what_the_temperature_changes_is_said(copied_run):
    scores = evaluate(copied_run).scores
    assert scores.temperature != 1
    assert scores.untempered_loss != scores.loss


def test_unreadable_pictures_are_named(copied_run, tmp_path):
    for name in ("3", "7"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(3):
            picture = np.random.default_rng(number + 10 * int(name)).integers(0, 255, (28, 28), np.uint8)
            Image.fromarray(picture).save(tmp_path / "set" / name / f"{number}.png")
    (tmp_path / "set" / "7" / "broken.png").write_bytes(b"no picture")
    told: list[str] = []
    result = evaluate(copied_run, tmp_path / "set", tell=told.append)
    assert [Path(key).name for key in result.unreadable] == ["broken.png"]
    assert json.loads(result.file.read_text())["unreadable"] == list(result.unreadable)
    assert any("not read: " in line and "broken.png" in line for line in told)
    assert "pictures of set" in result.report.read_text()


def test_a_run_beside_itself_is_refused(copied_run):
    with pytest.raises(UsageError, match="the run itself"):
        evaluate(copied_run, beside=copied_run)


def test_a_run_that_is_deleted_meanwhile_is_not_made_again(copied_run):
    def delete(phase, *_):
        if phase == "read" and copied_run.exists():
            shutil.rmtree(copied_run)

    with pytest.raises(StorageError, match="cannot write"):
        evaluate(copied_run, progress=delete)
    assert not copied_run.exists()
