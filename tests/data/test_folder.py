"""Folders of pictures: a class per subfolder, with or without parts above them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.data.folder import list_pictures, picture_suffixes
from convlens.data.images import Images
from convlens.data.open import open_images
from convlens.errors import DataError, PictureError, UsageError


def picture(number: int) -> Image.Image:
    return Image.new("RGB", (6, 4), (200, number, 0))


def plant(root: Path, *names: str) -> Path:
    """Write a small picture at each name; an empty folder where the name ends with a slash."""
    for number, name in enumerate(names):
        target = root / name
        (target if name.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            picture(number).save(target, format="PNG")
    return root


def contents(images: Images) -> list[tuple[str, str]]:
    return [(images.reader.key(i), images.classes[images.labels[i]]) for i in range(len(images))]


def test_each_subfolder_is_a_class_and_the_order_is_by_name(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path / "flowers", "rose/2.png", "rose/10.png", "daisy/a.png", "Iris/x.png"))
    assert images.name == "flowers" and images.source == str(tmp_path / "flowers")
    assert images.classes == ("Iris", "daisy", "rose") and images.labels.tolist() == [0, 1, 2, 2]
    assert [key for key, _ in contents(images)] == ["Iris/x.png", "daisy/a.png", "rose/10.png", "rose/2.png"]
    assert images.parts is None and images.notes == ("4 pictures in 3 classes (folders)",)
    assert images.reader.path(1) == tmp_path / "flowers" / "daisy" / "a.png"
    assert images.reader.read(1).tolist() == np.asarray(picture(2)).tolist()


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train", "val", "test"), ["train", "val", "test"]),
        (("train", "valid"), ["train", "val"]),
        (("Training", "Validation", "Testing"), ["train", "val", "test"]),
        (("train", "test"), ["train", "test"]),
        (("training_set", "dev_set", "Test-Set"), ["train", "val", "test"]),
        (("trainset", "dev"), ["train", "val"]),
        (("train",), ["train"]),
        (("test",), ["test"]),
    ],
)
def test_parts_at_the_first_level_are_kept(folders: tuple[str, ...], parts: list[str], tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, *(f"{folder}/cat/1.png" for folder in folders)))
    assert images.parts == tuple(parts) and images.classes == ("cat",)


def test_the_classes_of_all_parts_count_and_a_part_may_miss_some(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/dog/2.png", "test/owl/3.png"))
    assert images.classes == ("cat", "dog", "owl") and images.labels.tolist() == [0, 1, 1, 2]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, "bus/1.png", "car/1.png", "train/1.png"))
    assert images.classes == ("bus", "car", "train") and images.parts is None


def test_what_lies_beside_the_parts_is_ignored_and_said(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, "train/cat/1.png", "test/cat/2.png", "test/3.png", "spare/cat/4.png"))
    assert len(images) == 2
    assert "ignored beside train, val and test: spare" in images.notes
    assert "1 picture directly in test, in no class folder: ignored" in images.notes


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, "cat/2023/indoor/1.png", "cat/2.png", "dog/1.png"))
    assert contents(images) == [("cat/2.png", "cat"), ("cat/2023/indoor/1.png", "cat"), ("dog/1.png", "dog")]


def test_empty_class_folders_are_no_classes_but_are_known(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, "cat/1.png", "dog/sub/", "owl/"))
    assert images.classes == ("cat",) and images.empty_classes == ("dog", "owl")
    divided = open_images(plant(tmp_path / "divided", "train/cat/1.png", "val/cat/", "val/owl/"))
    assert divided.empty_classes == ("owl",)


def test_hidden_files_and_companions_are_ignored_and_other_files_counted(tmp_path: Path) -> None:
    plant(tmp_path, "cat/1.png", "cat/.hidden.png", ".git/2.png", "__MACOSX/3.png", "cat/@eaDir/4.png")
    for name in ("cat/labels.txt", "cat/.DS_Store", "cat/Thumbs.db", "cat/a.json", "cat/b.csv"):
        (tmp_path / name).write_bytes(b"")
    for name in ("cat/film.mov", "cat/a.heic", "cat/b.heic", "cat/noext"):
        (tmp_path / name).write_bytes(b"")
    images = open_images(tmp_path)
    assert len(images) == 1
    assert images.notes[1] == "4 files without a picture's suffix: ignored (.heic 2, .mov 1, no suffix 1)"


def test_a_broken_picture_is_kept_for_the_scan_to_find(tmp_path: Path) -> None:
    plant(tmp_path, "cat/1.png")
    (tmp_path / "cat" / "2.JPG").write_bytes(b"")
    images = open_images(tmp_path)
    assert len(images) == 2
    with pytest.raises(PictureError, match=r"2\.JPG"):
        images.reader.read(1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no pictures; expected a folder per class"),
        (("1.png", "2.png"), "holds 2 pictures without class folders; expected a folder per class"),
        (("train/1.png",), "holds 1 picture without class folders"),
        (("cat/", "dog/"), r"the folders of .* \(cat, dog\) hold no pictures"),
    ],
)
def test_a_folder_without_labelled_pictures_is_refused(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_images(plant(tmp_path, *names))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    plant(tmp_path, "data/cat/1.png", "elsewhere/2.png")
    (tmp_path / "data" / "cat" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "cat" / "self").symlink_to(tmp_path / "data" / "cat" / "self")
    (tmp_path / "data" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "elsewhere")
    images = open_images(tmp_path / "data")
    assert contents(images) == [
        ("cat/1.png", "cat"),
        ("cat/gone.png", "cat"),
        ("cat/more/2.png", "cat"),
        ("dog/2.png", "dog"),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_named_like_a_picture_does_not_block(tmp_path: Path) -> None:
    plant(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat" / "2.png")
    assert [key for key, _ in contents(open_images(tmp_path))] == ["cat/1.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    plant(tmp_path, "cat/1.png")
    (tmp_path / "cat" / "1.png").rename(tmp_path / "cat" / os.fsdecode(b"\xff.png"))
    images = open_images(tmp_path)
    assert images.reader.key(0) == "cat/\\xff.png"
    assert images.reader.read(0).shape == (4, 6, 3)


def test_one_class_name_in_two_encodings_is_one_class(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    images = open_images(plant(tmp_path, f"train/{composed}/1.png", f"val/{decomposed}/2.png"))
    assert images.classes == (composed,) and images.labels.tolist() == [0, 0]


def test_nothing_is_written_beside_the_pictures(tmp_path: Path) -> None:
    plant(tmp_path, "cat/1.png", "dog/1.png")
    before = sorted(path for path in tmp_path.rglob("*"))
    open_images(tmp_path).reader.read(0)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_subset_keeps_classes_order_and_parts(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/dog/2.png"))
    some = images.subset([2, 0])
    assert some.classes == images.classes and some.labels.tolist() == [1, 0] and some.parts == ("val", "train")
    assert contents(some) == [("val/dog/2.png", "dog"), ("train/cat/1.png", "cat")]
    assert some.subset(np.array([1])).reader.read(0).tolist() == images.reader.read(0).tolist()
    assert some.reader.path(0) == tmp_path / "val" / "dog" / "2.png" and len(images.subset([])) == 0


def test_the_flowers_have_five_classes_of_300(shared_data: Path) -> None:
    images = open_images(shared_data / "flowers")
    assert images.classes == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert np.bincount(images.labels).tolist() == [300] * 5


def test_pictures_are_listed_from_a_file_a_folder_or_a_pattern(tmp_path: Path) -> None:
    plant(tmp_path, "b.png", "a.png", "sub/c.png", "[1].png")
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in list_pictures(tmp_path)] == ["[1].png", "a.png", "b.png", "c.png"]
    assert [path.name for path in list_pictures(tmp_path / "?.png")] == ["a.png", "b.png"]
    assert [path.name for path in list_pictures(f"{tmp_path}/**/c*")] == ["c.png"]
    assert list_pictures(tmp_path / "[1].png") == (tmp_path / "[1].png",)
    assert list_pictures(tmp_path / "notes.txt") == (tmp_path / "notes.txt",)


@pytest.mark.parametrize("where", ["empty", "nowhere", "*.jpg"])
def test_where_no_pictures_are_is_said(where: str, tmp_path: Path) -> None:
    plant(tmp_path, "empty/")
    with pytest.raises(UsageError, match="no pictures in"):
        list_pictures(tmp_path / where)


def test_picture_suffixes_are_those_that_pillow_reads() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".gif", ".bmp"} <= picture_suffixes()
    assert not {".pdf", ".mpg", ".h5", ".txt", ""} & picture_suffixes()


def test_what_was_perhaps_meant_otherwise_is_told(tmp_path: Path) -> None:
    upper = plant(
        tmp_path / "a", *(f"{part}/{name}/1.png" for part in ("images_1", "images_2") for name in ("cat", "dog"))
    )
    (upper / "labels.csv").write_text("path,label\n")
    images = open_images(upper)
    assert images.classes == ("images_1", "images_2")
    assert images.notes[1:] == (
        "images_1, images_2 are taken as classes, and all hold the folders cat, dog; if those are the classes, "
        "name what is above them train, val or test, or give one of it: SOURCE/images_1",
        "labels.csv beside the folders: not read; give the table itself, not its folder or archive, if it names the "
        "classes",
    )
    lower = plant(tmp_path / "b", *(f"{name}/{part}/1.png" for part in ("train", "test") for name in ("cat", "dog")))
    assert open_images(lower).notes[1:] == (
        "test, train below the classes are not taken as parts; put them above: SOURCE/train/cat",
    )


def test_folders_that_do_not_share_names_are_told_of_nothing(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path, "cat/2019/1.png", "cat/2020/1.png", "dog/2020/1.png", "dog/small/2.png"))
    assert images.notes == ("4 pictures in 2 classes (folders)",)
    images = open_images(plant(tmp_path / "c", "cat/a/1.png", "cat/b/1.png", "dog/a/1.png", "dog/b/1.png", "dog/2.png"))
    assert images.notes == ("5 pictures in 2 classes (folders)",)


def test_a_picture_beside_the_parts_is_counted(tmp_path: Path) -> None:
    images = open_images(plant(tmp_path / "a", "train/cat/1.png", "test/cat/1.png", "2.png"))
    assert images.notes[1] == "1 picture directly in a, in no class folder: ignored"
