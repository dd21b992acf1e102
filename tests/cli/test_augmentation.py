"""`convlens train --augmentation NAME=VALUE`."""

from __future__ import annotations

import json

QUICK = ("--model", "perceptron", "--epochs", "1", "--precision", "fp32", "--threads", "1")


def drawn(run) -> dict:
    return json.loads((run / "run.json").read_text())["plan"]["augment"]


def test_what_is_named_is_recorded_beside_the_usual_augmentation(convlens, tmp_path):
    asked = ("--augmentation", "rotate=10", "--augmentation", "mixup=0.2", "--augmentation", "border=reflect")
    assert convlens("train", "digits", *asked, "--out", tmp_path / "run", *QUICK).status == 0
    assert convlens("train", "digits", "--out", tmp_path / "usual", *QUICK).status == 0
    changed = {"rotate": 10, "mixup": 0.2, "border": "reflect"}
    assert drawn(tmp_path / "run") == {**drawn(tmp_path / "usual"), **changed}
    assert drawn(tmp_path / "usual")["shift"] == 1


def test_without_augmentation_nothing_is_drawn(convlens, tmp_path):
    assert convlens("train", "digits", "--no-augment", "--out", tmp_path / "run", *QUICK).status == 0
    assert not any(value for name, value in drawn(tmp_path / "run").items() if name not in ("zoom", "border"))
    assert drawn(tmp_path / "run")["zoom"] == 1


def test_an_unknown_augmentation_names_the_nearest_and_all(convlens, tmp_path):
    outcome = convlens("train", "digits", "--augmentation", "rotation=10", "--out", tmp_path / "run", *QUICK)
    assert outcome.complaint.startswith("no augmentation is called 'rotation' (near: rotate")
    assert outcome.complaint.endswith(
        "they are flip, alternate, shift, border, zoom, rotate, brightness, contrast, "
        "saturation, hue, lighting, cutout, mixup, cutmix"
    )


def test_a_wrong_value_says_what_is_expected(convlens):
    assert convlens("train", "digits", "--augmentation", "rotate").complaint == (
        "--augmentation came as 'rotate'; expected NAME=VALUE, like rotate=10"
    )
    assert convlens("train", "digits", "--no-augment", "--augmentation", "rotate=10").complaint == (
        "--no-augment and --augmentation rotate=10 were both given; leave one of them out"
    )
