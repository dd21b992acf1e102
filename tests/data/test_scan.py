"""The data doctor finds, by path, all that is wrong or odd, and changes nothing."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.data.hashing import content_hash
from convlens.data.images import ArrayReader, FileReader, Images
from convlens.data.scan import Finding, Scan, scan
from convlens.errors import UsageError


def scene(seed: int, height: int = 40, width: int = 50) -> Image.Image:
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def images_in(folder: Path, parts: tuple[str, ...] | None = None) -> Images:
    """A class per subfolder, in order of name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    return Images(
        name=folder.name,
        source=str(folder),
        classes=classes,
        labels=np.array([classes.index(path.relative_to(folder).parts[0]) for path in paths], np.int64),
        reader=FileReader(paths, [path.relative_to(folder).as_posix() for path in paths]),
        parts=parts,
    )


def finding(result: Scan, kind: str) -> Finding:
    return next(found for found in result.findings if found.kind == kind)


def kinds(result: Scan) -> set[str]:
    return {found.kind for found in result.findings}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(4):
            scene(number + 10 * len(list(tmp_path.iterdir()))).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_good_pictures_have_no_findings(folder: Path) -> None:
    result = scan(images_in(folder))
    assert result.findings == ()
    assert (result.num_pictures, result.num_unreadable, result.channels) == (8, 0, 3)
    assert result.readable.all()
    assert result.looks.heights.tolist() == [40] * 8 and result.looks.widths.tolist() == [50] * 8
    assert result.hashes[0] == content_hash(np.asarray(Image.open(folder / "cats/0.png")))


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


WAYS: dict[str, Callable[[Path], None]] = {
    "unreadable": lambda path: path.write_text("no picture"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:600]),
    "zero_byte": lambda path: path.write_bytes(b""),
    "bomb": lambda path: path.write_bytes(b"P4 90000 90000\n"),
    "wrong_extension": lambda path: scene(77).save(path, "JPEG"),
    "rotated": lambda path: scene(77).save(path, exif=exif(6)),
    "sixteen_bit": lambda path: Image.fromarray(np.arange(2000, dtype=np.uint16).reshape(40, 50) * 30).save(path),
    "cmyk": lambda path: scene(77).convert("CMYK").save(path.with_suffix(".jpg")),
    "alpha": lambda path: scene(77).convert("RGBA").save(path),
    "palette": lambda path: scene(77).convert("P").save(path),
    "animated": lambda path: scene(77).save(path, save_all=True, append_images=[scene(78)]),
    "one_pixel": lambda path: scene(77, 1, 1).save(path),
    "tiny": lambda path: scene(77, 30, 7).save(path),
}
LEFT_OUT = ("unreadable", "truncated", "zero_byte", "bomb")


@pytest.mark.parametrize("kind", WAYS)
def test_each_kind_is_found_by_path(folder: Path, kind: str) -> None:
    WAYS[kind](folder / "dogs" / "2.png")
    key = "dogs/2.jpg" if kind == "cmyk" else "dogs/2.png"
    result = scan(images_in(folder))
    assert finding(result, kind).keys == (key,)
    assert finding(result, kind).message.startswith("1 picture ")
    assert kinds(result) == {kind}
    assert (finding(result, kind).severity == "error") is (kind in LEFT_OUT)
    assert result.num_unreadable == (kind in LEFT_OUT)
    index = images_in(folder).reader._keys.index(key)  # type: ignore[attr-defined]
    assert result.readable[index] == (kind not in LEFT_OUT)
    assert (result.hashes[index] is None) == (result.looks.heights[index] == 0) == (kind in LEFT_OUT)


def test_a_huge_picture_is_found_and_its_full_upright_size_noted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("L", (7200, 7000), 3).save(tmp_path / "a" / "huge.jpg", exif=exif(8))
    result = scan(images_in(tmp_path))
    assert {"huge", "rotated"} <= kinds(result)
    assert (result.looks.heights[0], result.looks.widths[0]) == (7200, 7000)


def test_groups_that_lie_in_several_parts_are_found(folder: Path) -> None:
    images = replace(images_in(folder), groups=("a", "a", "b", "", "", "b", "c", "c"))
    assert scan(images).findings == ()
    result = scan(images, parts=["train"] * 4 + ["test"] * 4)
    assert finding(result, "group_across_parts").keys == ("cats/2.png", "dogs/1.png")
    said = "2 pictures of 1 group spread over several parts: kept, but the scores may flatter"
    assert finding(result, "group_across_parts").message == said


def test_copies_are_found_within_and_across_parts_and_labels(folder: Path) -> None:
    shutil.copy(folder / "cats/0.png", folder / "cats/9.png")
    shutil.copy(folder / "cats/1.png", folder / "dogs/8.png")
    scene(10 * 1 + 2).save(folder / "dogs/again.jpg", quality=85)
    assert scene(12).tobytes() == Image.open(folder / "cats/2.png").tobytes()
    images = images_in(folder)
    parts = ["val" if images.reader.key(index) in ("dogs/8.png", "dogs/again.jpg") else "train" for index in range(11)]
    result = scan(images, parts=parts)
    assert finding(result, "exact_duplicate").groups == (("cats/0.png", "cats/9.png"), ("cats/1.png", "dogs/8.png"))
    assert finding(result, "exact_duplicate").message.startswith("4 pictures in 2 groups of equal content")
    assert finding(result, "duplicate_across_parts").keys == ("cats/1.png", "dogs/8.png")
    assert finding(result, "label_conflict").keys == ("cats/1.png", "dogs/8.png")
    assert finding(result, "label_conflict").details == ("cats", "dogs")
    assert finding(result, "near_duplicate").keys == ("cats/2.png", "dogs/again.jpg")
    assert finding(result, "near_duplicate_across_parts").keys == ("cats/2.png", "dogs/again.jpg")
    assert finding(result, "missing_class_in_part").keys == ("val/cats",)


def test_parts_of_the_source_are_used_unless_others_are_given(folder: Path) -> None:
    shutil.copy(folder / "cats/1.png", folder / "cats/1b.png")
    parts = ("train", "train", "test", "train", "test", "test", "test", "train", "train")
    images = images_in(folder, parts)
    assert "duplicate_across_parts" in kinds(scan(images))
    assert "duplicate_across_parts" not in kinds(scan(images, parts=["train"] * 9))
    with pytest.raises(UsageError, match="3 parts came for 9 pictures"):
        scan(images, parts=["train"] * 3)


def arrays(labels: list[int], classes: tuple[str, ...], empty: tuple[str, ...] = ()) -> Images:
    pictures = np.random.default_rng(0).integers(0, 255, (len(labels), 8, 8), np.uint8)
    return Images("a", "a", classes, np.array(labels, np.int64), ArrayReader({"": pictures}), None, (), empty)


def test_empty_and_uneven_classes_are_named() -> None:
    result = scan(arrays([0] * 50 + [1] * 5 + [-1] * 70, ("a", "b", "c"), ("d",)))
    assert finding(result, "empty_class").keys == ("d", "c")
    assert finding(result, "imbalance").keys == ("a", "b")
    said = finding(result, "imbalance").message
    assert "10 times as many" in said and said.endswith("counts as much more where --class-weights is left out")
    assert kinds(scan(arrays([0] * 49 + [1] * 5, ("a", "b")))) == set()
    assert kinds(scan(arrays([], ("a",)))) == {"empty_class"}
    assert kinds(scan(arrays([-1, -1], ()))) == set()


def test_a_class_whose_pictures_are_all_unreadable_is_empty(folder: Path) -> None:
    for path in (folder / "cats").iterdir():
        path.write_bytes(b"")
    result = scan(images_in(folder))
    assert finding(result, "empty_class").keys == ("cats",)
    assert finding(result, "zero_byte").message == "4 pictures with zero bytes: left out"
    assert finding(result, "zero_byte").details[0] == "zero bytes: the file is empty"


def test_arrays_in_memory_are_scanned_and_are_grey() -> None:
    result = scan(arrays([0, 1] * 100, ("a", "b")))
    assert result.channels == 1
    assert len(set(result.hashes)) == 200
    assert result.looks.heights.tolist() == [8] * 200


def test_the_result_is_json_with_at_most_twenty_examples() -> None:
    images = arrays([0, 1] * 50, ("a", "b"))
    same = Images("a", "a", ("a", "b"), images.labels, ArrayReader({"": np.zeros((100, 8, 8), np.uint8)}), None)
    told = json.loads(json.dumps(scan(same).to_dict()))
    duplicates = next(found for found in told["findings"] if found["kind"] == "exact_duplicate")
    assert duplicates["count"] == 100 and len(duplicates["examples"]) == 20
    assert len(finding(scan(same), "exact_duplicate").keys) == 100


def test_threads_change_nothing_and_progress_reaches_the_end(folder: Path) -> None:
    (folder / "cats" / "0.png").write_bytes(b"")
    (folder / "dogs" / "0.png").write_text("x")
    calls: list[tuple[str, int, int, str]] = []
    one = scan(images_in(folder), threads=1, progress=lambda *call: calls.append(call))
    five = scan(images_in(folder), threads=5)
    assert one.hashes == five.hashes and one.findings == five.findings
    assert calls[-1] == ("scan", 8, 8, "")


def test_an_interruption_gets_out(folder: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(images_in(folder), progress=stop)


def test_nothing_is_written_beside_the_pictures(folder: Path) -> None:
    (folder / "cats" / "0.png").write_bytes(b"\xff\xd8\xff")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}
    scan(images_in(folder))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))} == before


def test_the_damaged_files_of_others_are_all_judged(shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = shared_data / "bad-inputs"
    with (folder / "MANIFEST.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["path"])
    keys = [row["path"] for row in rows]
    reader = FileReader([folder / key for key in keys], keys)
    result = scan(Images("bad", "bad", (), np.full(len(rows), -1, np.int64), reader, None))
    assert result.readable.tolist() == [row["result"] == "ok" for row in rows]
    assert finding(result, "palette").keys == tuple(
        row["path"] for row in rows if row["mode"] == "P" and row["result"] == "ok"
    )
    assert set(finding(result, "animated").keys) >= {"odd-modes/dispose_bgnd.gif", "odd-modes/sugarshack.mpo"}
    assert "exif-orientation/Landscape_6.jpg" in finding(result, "rotated").keys
    assert "pngsuite/g05n0g16.png" in finding(result, "sixteen_bit").keys
    assert "broken/truncated_image.png" in finding(result, "truncated").keys
    assert ("pngsuite/basi6a16.png", "pngsuite/basn6a16.png") in [
        group[:2] for group in finding(result, "exact_duplicate").groups
    ]
    assert capfd.readouterr().err == ""


def test_the_flower_that_is_a_rose_and_a_tulip_is_found(shared_data: Path) -> None:
    flowers = images_in(shared_data / "flowers")
    chosen = [i for i in range(len(flowers)) if i % 10 == 0 or "15922772266" in flowers.reader.key(i)]
    result = scan(flowers.subset(chosen))
    assert finding(result, "label_conflict").details == ("roses", "tulips")
    assert result.num_unreadable == 0
