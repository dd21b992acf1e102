"""`convlens predict`: from files, folders, globs and stdin, to a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest


def table_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_row_a_picture(convlens, trained_run, pictures):
    outcome = convlens("predict", trained_run, pictures, "--csv")
    rows = table_rows(outcome.stdout)
    assert outcome.status == 0
    assert [Path(row["picture"]).name for row in rows] == ["a.png", "b.jpg"]
    assert all(row["label"] in "0123456789" and 0 < float(row["probability"]) <= 1 for row in rows)


def test_file_folder_glob_and_stdin_say_the_same(convlens, trained_run, pictures):
    whole = convlens("predict", trained_run, pictures, "--csv").stdout
    files = [str(file) for file in sorted(pictures.iterdir())]
    assert convlens("predict", trained_run, *files, "--csv").stdout == whole
    assert convlens("predict", trained_run, f"{pictures}/*", "--csv").stdout == whole
    assert convlens("predict", trained_run, "-", "--csv", stdin="\n".join([*files, "", ""])).stdout == whole
    assert convlens("predict", trained_run, "-", "--csv", stdin="\r\n".join([*files, "", ""])).stdout == whole
    mixed = convlens("predict", trained_run, files[0], "-", "--csv", stdin=files[1] + "\n").stdout
    assert mixed == whole


def test_an_engine_says_the_same_and_auto_says_which_it_took(convlens, copied_run, pictures):
    plain = table_rows(convlens("predict", copied_run, pictures, "--csv").stdout)
    for engine in ("torch", "onnxruntime", "openvino", "auto"):
        outcome = convlens("predict", copied_run, pictures, "--csv", "--engine", engine)
        for one, other in zip(table_rows(outcome.stdout), plain, strict=True):
            assert (one["picture"], one["label"]) == (other["picture"], other["label"])
            assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=1e-4)
        lines = [line for line in outcome.stderr.splitlines() if line.startswith("engine: ")]
        assert len(lines) == (engine == "auto")
    outcome = convlens("predict", copied_run, pictures, "--engine", "tensorrt")
    assert outcome.status == 2 and "no engine is called 'tensorrt'" in outcome.complaint


def test_an_unreadable_picture_is_named_on_stderr_and_the_good_ones_are_predicted(convlens, trained_run, pictures):
    (pictures / "aa.png").write_text("no picture")
    for form in ((), ("--csv",), ("--json",)):
        outcome = convlens("predict", trained_run, pictures, *form)
        assert outcome.status == 1
        (line,) = outcome.stderr.splitlines()
        assert line.startswith(f"not read: {pictures / 'aa.png'}: ")
        assert "a.png" in outcome.stdout and "b.jpg" in outcome.stdout
    assert [Path(one["picture"]).name for one in outcome.json["unreadable"]] == ["aa.png"]


def test_a_missing_file_among_good_ones_is_named_too(convlens, trained_run, pictures):
    outcome = convlens("predict", trained_run, pictures / "absent.png", pictures / "a.png", "--csv")
    assert (outcome.status, len(table_rows(outcome.stdout))) == (1, 1)
    assert "absent.png: there is no such picture" in outcome.stderr


@pytest.mark.parametrize("arguments", [("absent.png",), ("none/*.png",), ("-",)])
def test_without_any_picture_it_is_a_wrong_call(convlens, trained_run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = convlens("predict", trained_run, *arguments, stdin="")
    assert outcome.status == 2
    assert "no pictures" in outcome.complaint


def test_as_many_classes_as_asked_for_and_no_more_than_there_are(convlens, trained_run, pictures):
    for top, shown in ((1, 1), (4, 4), (99, 10)):
        outcome = convlens("predict", trained_run, pictures / "a.png", "--top", top, "--json")
        assert len(outcome.json["predictions"][0]["top"]) == shown


@pytest.mark.parametrize("name", ["[red] x.png", "[not closed.png", ":smile:.png", "a,b.png", "[link=x]y.png"])
def test_names_are_printed_as_they_are(convlens, trained_run, pictures, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = shutil.copytree(trained_run, tmp_path / "[bold]run[")
    shutil.copy(pictures / "a.png", tmp_path / name)
    assert name in convlens("predict", run, tmp_path / name).stdout
    assert table_rows(convlens("predict", run, tmp_path / name, "--csv").stdout)[0]["picture"].endswith(name)
    assert "[bold]run[" in convlens("evaluate", run).stdout


def test_a_name_that_is_no_text_is_predicted_too(process, trained_run, pictures):
    odd = bytes(pictures) + b"/\xff.png"
    Path(pictures / "a.png").rename(odd.decode("utf-8", "surrogateescape"))
    child = process("predict", trained_run, pictures, "--json")
    stdout, stderr = child.communicate()
    assert (child.returncode, stderr) == (0, "")
    assert len(json.loads(stdout)["predictions"]) == 2


def test_a_terminal_without_unicode_gets_what_it_can_show(process):
    child = process("zoo", "lenet*", PYTHONIOENCODING="ascii")
    stdout, stderr = child.communicate()
    assert (child.returncode, stderr) == (0, "")
    assert "lenet5" in stdout
