"""`convlens train --teacher RUN`: which teachers are taken, what is recorded, and that resuming wants the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from convlens.errors import RunError, UsageError
from convlens.runs import Run
from convlens.workbench import train
from convlens.workbench.teacher import same_teacher
from tests.workbench.test_resume import stop_after


@pytest.fixture
def teacher(whole_lesson) -> Path:
    return whole_lesson.run


def test_the_plan_records_the_teacher_and_its_weights(tmp_path, whole_lesson, teacher, quickly):
    run = Run.load(train(whole_lesson.data, out=tmp_path / "run", teacher=teacher, **quickly).run)
    plan = run.manifest.plan or {}
    assert plan["teacher"] == {"run": str(teacher), "sha256": Run.load(teacher).manifest.weights["sha256"]}


def test_what_a_teacher_says_changes_what_is_learnt(tmp_path, whole_lesson, teacher, quickly):
    alone = train(whole_lesson.data, out=tmp_path / "alone", **quickly)
    taught = train(whole_lesson.data, out=tmp_path / "taught", teacher=teacher, **quickly)
    digests = {Run.load(each.run).manifest.weights["sha256"] for each in (alone, taught)}
    assert len(digests) == 2


def test_a_teacher_of_other_classes_is_refused(tmp_path, make_pictures, teacher, quickly):
    data = make_pictures(tmp_path / "others", classes=("circle", "star"))
    with pytest.raises(UsageError, match=r"--teacher .* knows circle, square, and not star"):
        train(data, out=tmp_path / "run", teacher=teacher, **quickly)


def test_what_is_no_run_is_refused_before_a_picture_is_read(tmp_path, whole_lesson, quickly):
    def progress(*_: object) -> None:
        raise AssertionError("a picture was read")

    with pytest.raises(RunError, match="does not exist"):
        train(whole_lesson.data, out=tmp_path / "run", teacher=tmp_path / "nothing", progress=progress, **quickly)


def test_a_teacher_and_shuffled_labels_do_not_go_together(tmp_path, whole_lesson, teacher, quickly):
    with pytest.raises(UsageError, match="--shuffle-labels"):
        train(whole_lesson.data, out=tmp_path / "run", teacher=teacher, shuffle_labels=True, **quickly)


def test_a_teacher_and_a_published_recipe_do_not_go_together(tmp_path, whole_lesson, teacher):
    with pytest.raises(UsageError, match="--teacher was given too"):
        train(whole_lesson.data, out=tmp_path / "run", teacher=teacher, recipe="mnist")


def test_it_goes_on_with_its_teacher_to_the_same_weights(tmp_path, whole_lesson, teacher, quickly):
    options = {**quickly, "epochs": 2, "teacher": teacher}
    stop_after(1, whole_lesson.data, out=tmp_path / "run", **options, checkpoint_seconds=1e-6)
    train(resume=tmp_path / "run")
    whole = train(whole_lesson.data, out=tmp_path / "whole", **options).run
    assert Run.load(tmp_path / "run").manifest.weights["sha256"] == Run.load(whole).manifest.weights["sha256"]


def test_it_does_not_go_on_with_another_teacher(tmp_path, whole_lesson, teacher, quickly):
    own = Path(shutil.copytree(teacher, tmp_path / "teacher"))
    options = {**quickly, "epochs": 2, "teacher": own}
    stop_after(1, whole_lesson.data, out=tmp_path / "run", **options, checkpoint_seconds=1e-6)
    with pytest.raises(UsageError, match=r"--teacher came as .*, and this training began with"):
        train(resume=tmp_path / "run", teacher=teacher)
    shutil.rmtree(own)
    train(whole_lesson.data, out=own, **{**quickly, "seed": 1})
    with pytest.raises(RunError, match="has other weights than when this training began"):
        train(resume=tmp_path / "run")


def test_it_goes_on_from_another_folder_though_its_teacher_was_named_from_here(
    tmp_path, whole_lesson, teacher, quickly, monkeypatch
):
    monkeypatch.chdir(teacher.parent)
    options = {**quickly, "epochs": 2, "teacher": teacher.name}
    stop_after(1, whole_lesson.data, out=tmp_path / "run", **options, checkpoint_seconds=1e-6)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"--teacher came as .*elsewhere, and this training began with"):
        train(resume=tmp_path / "run", teacher="elsewhere")
    assert train(resume=tmp_path / "run").steps == 4


OWN = """
from torch import nn

class Own(nn.Sequential):
    def __init__(self, num_classes, in_channels):
        super().__init__(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * in_channels, num_classes))

class Twin(nn.Sequential):
    def __init__(self, num_classes, in_channels):
        super().__init__(nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Linear(16 * in_channels, num_classes))
"""


def test_a_network_of_ones_own_teaches_and_goes_on_teaching(tmp_path, whole_lesson, quickly):
    (tmp_path / "net.py").write_text(OWN)
    network = f"{tmp_path / 'net.py'}:Own"
    quick = {**quickly, "model": "auto", "network": network}
    own = train(whole_lesson.data, out=tmp_path / "own", **quick).run
    for student in (quickly, {**quick, "network": f"{tmp_path / 'net.py'}:Twin"}):
        with pytest.raises(UsageError, match=r"is a network of your own .* with --teacher-network net\.py:Own"):
            train(whole_lesson.data, out=tmp_path / "run", teacher=own, **student)
    train(whole_lesson.data, out=tmp_path / "taught", teacher=own, teacher_network=network, **quickly)
    longer = {**quick, "epochs": 2, "teacher": own, "checkpoint_seconds": 1e-6}
    stop_after(1, whole_lesson.data, out=tmp_path / "run", **longer)
    assert train(resume=tmp_path / "run", network=network).steps == 4
    shutil.rmtree(own)
    with pytest.raises(RunError, match=r"the teacher of this training, .*, is not there .*; put it back to go on"):
        same_teacher(Run.load(tmp_path / "run").manifest.plan["teacher"], ["circle", "square"])


def test_a_teachers_network_without_such_a_teacher_is_refused(tmp_path, whole_lesson, teacher, quickly):
    asked = {**quickly, "teacher_network": "net.py:Own", "out": tmp_path / "run"}
    with pytest.raises(UsageError, match="came without --teacher"):
        train(whole_lesson.data, **asked)
    with pytest.raises(UsageError, match=r"the teacher .* needs none; leave it out"):
        train(whole_lesson.data, teacher=teacher, **asked)
    with pytest.raises(UsageError, match="this training has no teacher; leave it out"):
        same_teacher(None, ["circle", "square"], "net.py:Own")


def test_a_run_without_a_teacher_says_so(whole_lesson):
    assert json.loads((whole_lesson.run / "run.json").read_text())["plan"]["teacher"] is None
