"""Real ImageNet weights as plain arrays classify real pictures, as `convlens create` and `evaluate` load them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from convlens.workbench import create, evaluate, predict
from convlens.zoo import imagenet_names

# fmt: off
#          network          file                        side  options                       least top-1, top-5
FILES = [("mobilenet_v2",  "mobilenet_v2_1.0_224.npz",  224, {"padding": "same"},                   0.78,  0.95),
         ("mobilenet_v1",  "mobilenet_v1_0.5_160.npz",  160, {"padding": "same", "width": 0.5},     0.55,  0.85)]
# fmt: on


@pytest.fixture
def labelled(shared_data: Path, tmp_path: Path) -> Path:
    """A table of the sample pictures with the synsets that their names begin with."""
    table = tmp_path / "samples.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        for picture in sorted((shared_data / "imagenet-samples").glob("*.JPEG")):
            rows.writerow([picture, picture.name.split("_")[0]])
    return table


@pytest.mark.parametrize(("name", "file", "side", "options", "top1", "top5"), FILES)
def test_real_weights_classify_real_pictures(
    shared_data, labelled, tmp_path, name, file, side, options, top1, top5
) -> None:
    """120 pictures: 0.82 and 0.98, 0.60 and 0.89; on 1,000 like them 0.89 and 0.98, 0.68 and 0.88 were measured."""
    told: list[str] = []
    made = create(name, weights=shared_data / "weights" / file, out=tmp_path / "run", tell=told.append)
    assert (made.image_size, made.options, made.num_classes) == ((side, side), options, 1001)
    assert any("1,001 classes" in line for line in told)
    scores = evaluate(made.run, labelled).scores
    assert scores.num_pictures == 120
    assert scores.accuracy >= top1
    assert scores.top5_accuracy >= top5


def test_a_picture_of_a_cat_is_a_cat(shared_data, tmp_path) -> None:
    weights = shared_data / "weights"
    run = create("mobilenet_v2", weights=weights / "mobilenet_v2_1.0_224.npz", out=tmp_path / "run").run
    (cat,) = predict(run, weights / "cat.bmp").predictions
    assert cat.label == "Egyptian cat"


def test_a_class_list_and_the_statistics_can_be_given(shared_data, tmp_path) -> None:
    (tmp_path / "synsets.txt").write_text("\n".join(imagenet_names()))
    made = create(
        "mobilenet_v2",
        weights=shared_data / "weights" / "mobilenet_v2_1.0_224.npz",
        out=tmp_path / "run",
        classes=tmp_path / "synsets.txt",
        mean=(0.4, 0.4, 0.4),
        std=(0.2, 0.2, 0.2),
    )
    assert made.num_classes == 1001
    assert (made.preprocess["mean"], made.preprocess["crop_ratio"]) == ([0.4, 0.4, 0.4], 0.875)
