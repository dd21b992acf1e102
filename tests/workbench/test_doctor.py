"""The doctor looks at the machine and at pictures, and touches neither."""

from __future__ import annotations

import csv
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from convlens.errors import UsageError
from convlens.workbench import doctor, plain


@pytest.fixture
def ward(tmp_path, make_pictures):
    """Sixteen good pictures, and one or two of each complaint."""
    data = make_pictures(tmp_path / "ward", per_class=8)
    circle, square = data / "circle", data / "square"
    (circle / "text.jpg").write_text("no picture")
    (circle / "empty.png").touch()
    whole = (circle / "001.png").read_bytes()
    (circle / "half.png").write_bytes(whole[: len(whole) // 2])
    (square / "twin.png").write_bytes((square / "001.png").read_bytes())
    (square / "other-label.png").write_bytes((circle / "003.png").read_bytes())
    Image.fromarray(np.random.default_rng(5).integers(0, 65536, (30, 30), dtype=np.uint16)).save(circle / "deep.png")
    (square / "really.png").write_bytes((square / "004.jpg").read_bytes()[:-2] + b"\0\xff\xd9")
    return data


def findings(result) -> dict[str, set[str]]:
    return {finding.kind: set(finding.keys) for finding in result.scan.findings}


def test_without_pictures_only_the_machine_is_looked_at():
    result = doctor()
    assert (result.data, result.scan, result.classes) == (None, None, ())
    checks = {check.name: check for check in result.machine}
    assert {"Python", "torch", "processor", "threads", "disk for runs"} <= checks.keys()
    assert all(check.status in ("ok", "note", "warning", "error") for check in result.machine)
    assert all(check.found for check in result.machine)


def test_each_complaint_is_found_by_path(ward):
    found = findings(doctor(ward))
    assert found["unreadable"] == {"circle/text.jpg"}
    assert found["zero_byte"] == {"circle/empty.png"}
    assert found["truncated"] == {"circle/half.png"}
    assert found["exact_duplicate"] >= {"square/001.png", "square/twin.png"}
    assert found["label_conflict"] == {"circle/003.png", "square/other-label.png"}
    assert found["sixteen_bit"] == {"circle/deep.png"}
    assert found["wrong_extension"] == {"square/really.png"}


def test_nothing_is_written_into_the_folder(ward, fingerprint):
    before = fingerprint(ward.parent)
    doctor(ward)
    assert fingerprint(ward.parent) == before


def test_bad_pictures_are_not_well_and_good_ones_are(ward, tmp_path, make_pictures):
    assert not doctor(ward).well
    assert doctor(make_pictures(tmp_path / "good", first=500)).well


def test_a_broken_package_is_reported_and_does_not_break_the_doctor(monkeypatch, tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise RuntimeError('operator missing')")
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("onnxruntime", "torchvision"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    result = doctor()
    checks = {check.name: check for check in result.machine}
    assert (checks["onnxruntime"].status, checks["torchvision"].status) == ("warning", "error")
    assert "operator missing" in checks["onnxruntime"].found
    assert checks["torchvision"].remedy.startswith("pip uninstall torchvision")
    assert not result.well


def test_as_plain_values_every_picture_is_named_where_a_manifest_has_examples_only(tmp_path, make_pictures):
    data = make_pictures(tmp_path / "data", per_class=30)
    for file in (data / "circle").iterdir():
        file.write_bytes(b"")
    told = plain(doctor(data))
    (finding,) = [one for one in told["scan"]["findings"] if one["kind"] == "zero_byte"]
    assert (finding["count"], len(finding["keys"])) == (30, 30)
    assert told["well"] is False


def test_a_source_that_is_not_there_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError, match="there is no file or folder"):
        doctor(tmp_path / "absent")


def test_real_broken_and_odd_pictures_are_told_apart(shared_data, tmp_path):
    shutil.copytree(shared_data / "bad-inputs", tmp_path / "bad")
    with (shared_data / "bad-inputs" / "MANIFEST.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    result = doctor(tmp_path / "bad")
    found = findings(result)
    failed = set().union(*(found.get(kind, set()) for kind in ("unreadable", "truncated", "zero_byte", "bomb")))
    readable = {key for key, row in rows.items() if row["result"] == "ok"}
    looked_at = result.scan.num_pictures
    assert looked_at > 140
    assert len(failed) == result.scan.num_unreadable
    assert {"broken/decompression_bomb.gif", "broken/bmp/b/reallybig.bmp"} <= found["bomb"]
    assert "broken/truncated_image.png" in found["truncated"]
    assert {key for key, row in rows.items() if row["exif_orientation"] == "6"} & readable <= found["rotated"] | failed
    assert not result.well


def test_a_named_set_can_be_examined():
    result = doctor("digits")
    assert result.scan.num_pictures == 1797
    assert result.well


def test_what_no_training_can_do_without_is_told(tmp_path, make_pictures):
    make_pictures(tmp_path / "data" / "test")
    assert "no training part: a training needs a folder train, or no parts at all" in doctor(tmp_path / "data").notes


def test_a_class_that_train_lacks_is_told_so(tmp_path, make_pictures):
    make_pictures(tmp_path / "data" / "train")
    make_pictures(tmp_path / "data" / "test")
    shutil.rmtree(tmp_path / "data" / "train" / "circle")
    found = [one.message for one in doctor(tmp_path / "data").scan.findings if one.kind == "missing_class_in_part"]
    assert found and found[0].endswith("and what train lacks cannot be learnt")
