"""Pictures of every kind and from everywhere are classified alike; what cannot be read is listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convlens.errors import DataError, UsageError
from convlens.runs import Run
from convlens.workbench import predict, train


@pytest.fixture(scope="module")
def grey_run(tmp_path_factory, make_pictures, quickly) -> Path:
    folder = tmp_path_factory.mktemp("grey")
    return train(make_pictures(folder / "data", grey=True), out=folder / "run", **quickly).run


def same(found, expected) -> bool:
    """Predictions, in order; a picture's place in a batch may cost it the last digit."""
    pairs = zip(found, expected, strict=True)
    return all(dict(one.top) == pytest.approx(dict(other.top), abs=1e-5) for one, other in pairs)


def shares(run: Path, *pictures) -> list[dict[str, float]]:
    """Per picture, the probability of each class."""
    return [dict(one.top) for one in predict(run, list(pictures)).predictions]


def test_every_class_gets_a_probability_and_they_sum_to_one(whole_lesson):
    result = predict(whole_lesson.run, whole_lesson.data)
    assert len(result.predictions) == 40
    assert result.unreadable == ()
    for one in result.predictions:
        assert {name for name, _ in one.top} == {"circle", "square"}
        assert sum(share for _, share in one.top) == pytest.approx(1, abs=1e-5)
        assert (one.label, one.probability) == one.top[0]
        assert one.top[0][1] >= one.top[1][1]


def test_files_folders_globs_and_arrays_give_the_same_answers(whole_lesson):
    files = sorted((whole_lesson.data / "circle").iterdir())
    by_file = predict(whole_lesson.run, files).predictions
    assert predict(whole_lesson.run, str(whole_lesson.data / "circle")).predictions == by_file
    globbed = predict(whole_lesson.run, [f"{whole_lesson.data}/circle/*.jpg", f"{whole_lesson.data}/circle/*.png"])
    assert same(sorted(globbed.predictions, key=lambda one: one.picture), by_file)
    pictures = []
    for file in files:
        with Image.open(file) as image:
            pictures.append(np.asarray(image))
    by_array = predict(whole_lesson.run, pictures).predictions
    assert same(by_array, by_file)
    assert [one.picture for one in by_array][:2] == ["picture 0", "picture 1"]


def test_a_loaded_run_serves_as_well_as_its_folder(whole_lesson):
    file = next(whole_lesson.data.rglob("*.png"))
    assert predict(Run.load(whole_lesson.run), file) == predict(whole_lesson.run, file)


def test_more_pictures_than_one_chunk_keep_their_order(whole_lesson, picture):
    pictures = [picture(seed) for seed in range(600)]
    together = [one.top for one in predict(whole_lesson.run, pictures).predictions]
    assert len(together) == 600
    for place in (0, 255, 256, 599):
        alone = predict(whole_lesson.run, pictures[place]).predictions[0].top
        assert dict(alone) == pytest.approx(dict(together[place]), abs=1e-5)


def test_a_grey_picture_fits_a_colour_run_and_a_colour_picture_a_grey_one(whole_lesson, grey_run, picture):
    grey, colour = picture(1, grey=True), picture(2)
    repeated = np.repeat(grey[:, :, None], 3, axis=2)
    assert shares(whole_lesson.run, grey) == shares(whole_lesson.run, repeated)
    luma = np.asarray(Image.fromarray(colour).convert("L"))
    assert shares(grey_run, colour) == shares(grey_run, luma)


def test_transparency_is_seen_on_white(whole_lesson, picture, tmp_path):
    colour = picture(3)
    height, width = colour.shape[:2]
    opaque = np.dstack([colour, np.full((height, width), 255, np.uint8)])
    clear = np.dstack([colour, np.zeros((height, width), np.uint8)])
    for name, array in {"opaque": opaque, "clear": clear}.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    white = np.full_like(colour, 255)
    expected = shares(whole_lesson.run, colour, white)
    assert shares(whole_lesson.run, tmp_path / "opaque.png", tmp_path / "clear.png") == expected


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 3), (8, 1)])
def test_a_photograph_that_exif_turns_is_predicted_as_the_upright_one(
    whole_lesson, picture, tmp_path, orientation, turns
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture(4)).save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as image:
        stored = np.asarray(image)
    upright = np.ascontiguousarray(np.rot90(stored, turns))
    assert shares(whole_lesson.run, tmp_path / "turned.jpg") == shares(whole_lesson.run, upright)
    assert shares(whole_lesson.run, upright) != shares(whole_lesson.run, stored)


def test_what_cannot_be_read_is_listed_beside_the_good_ones(whole_lesson, tmp_path):
    good = next(whole_lesson.data.rglob("*.png"))
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").touch()
    asked = [tmp_path / "text.jpg", good, tmp_path / "empty.png", tmp_path / "absent.png", tmp_path / "none*.png"]
    result = predict(whole_lesson.run, asked)
    assert [one.picture for one in result.predictions] == [str(good)]
    assert [one.picture for one in result.unreadable] == [str(path) for path in asked if path != good]
    assert all(one.reason for one in result.unreadable)


@pytest.mark.parametrize("nothing", [[], ["absent.jpg"], ["none/*.jpg", "absent.jpg"]])
def test_without_any_picture_it_is_a_wrong_call(whole_lesson, nothing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no pictures"):
        predict(whole_lesson.run, nothing)


def test_as_many_classes_are_named_as_asked_for_and_never_more_than_there_are(whole_lesson, picture):
    assert [len(predict(whole_lesson.run, picture(5), top=top).predictions[0].top) for top in (1, 2, 100)] == [1, 2, 2]
    with pytest.raises(UsageError, match="--top came as 0"):
        predict(whole_lesson.run, picture(5), top=0)


@pytest.mark.parametrize("array", [np.zeros((20, 20), np.float32), np.zeros((2, 20, 20, 3), np.uint8)])
def test_an_array_that_is_no_picture_is_refused(whole_lesson, array):
    with pytest.raises(UsageError, match="uint8"):
        predict(whole_lesson.run, array)


@pytest.mark.parametrize("tensor", [torch.zeros(3, 20, 20), torch.zeros(20, 20, dtype=torch.uint8)])
def test_a_tensor_is_no_picture(whole_lesson, tensor):
    for given in (tensor, [tensor]):
        with pytest.raises(UsageError, match=r"pictures came as .*; expected text, a path, an array"):
            predict(whole_lesson.run, given)


def test_what_diverged_answers_nothing(lesson, picture):
    run = Run.load(lesson.run)
    with torch.no_grad():
        next(run.model.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match="1 of 1 rows of logits hold NaN or infinity: the network diverged"):
        predict(run, picture(1))


def test_real_odd_and_broken_pictures_are_read_or_listed(shared_data, whole_lesson):
    result = predict(whole_lesson.run, shared_data / "bad-inputs")
    assert len(result.predictions) > 100
    listed = {Path(one.picture).name for one in result.unreadable}
    assert {"decompression_bomb.gif", "truncated_image.png", "libtiff_segfault.tif", "seek_too_large.tif"} <= listed
    assert not listed & {"hopper.png", "hopper_16bit.pgm", "hopper.Lab.tif", "transparent.gif", "Landscape_6.jpg"}
