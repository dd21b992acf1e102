"""Tables of path and label: CSV and Parquet."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens.data.images import Images
from convlens.data.open import open_images
from convlens.errors import DataError, MissingExtra, PictureError


def csv(folder: Path, text: str | bytes, name: str = "set.csv") -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


def rows(images: Images) -> list[tuple[str, str]]:
    return [(images.reader.key(i), images.classes[images.labels[i]]) for i in range(len(images))]


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na/1.png,cat\nb 2.png,dog\n",
        "label,path\ncat,a/1.png\ndog,b 2.png\n",
        "\ufeffpath,label\r\na/1.png,cat\r\nb 2.png,dog\r\n",
        "path;label\na/1.png;cat\nb 2.png;dog",
        "path\tlabel\na/1.png\tcat\nb 2.png\tdog\n",
        ' Filename , Class ,width\n"a/1.png", cat ,5\n\n"b 2.png",dog,6\n',
        "id,image,class\n1,a/1.png,cat\n2,b 2.png,dog\n",
        "path;label;a,b,c,d\na/1.png;cat;1\nb 2.png;dog;2\n",
        'path, label\na/1.png, "cat"\n"b 2.png",  "dog"\n',
        'path;label\n "a/1.png" ; "cat"\nb 2.png;dog\n',
        "\n \r\npath;label\na/1.png;cat\nb 2.png;dog\n",
        '"File_Path";"Target";"note, with, many, commas"\n"a/1.png";"cat";""\n"b 2.png" ;dog;\n',
    ],
)
def test_columns_delimiters_and_quotes_are_free(text: str, tmp_path: Path) -> None:
    images = open_images(csv(tmp_path, text))
    assert rows(images) == [("a/1.png", "cat"), ("b 2.png", "dog")]
    assert images.name == "set" and images.parts is None
    assert images.notes[0] == "2 pictures in 2 classes (set.csv)"
    assert images.reader.path(0) == tmp_path / "a" / "1.png"


def test_a_column_of_parts_divides_the_pictures(tmp_path: Path) -> None:
    images = open_images(csv(tmp_path, "path,label,split\n1.png,a,train\n2.png,a,Validation\n3.png,a,TEST\n"))
    assert images.parts == ("train", "val", "test")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "2", "-1"], ("-1", "2", "10")),
        (["7", "007", "1"], ("1", "007", "7")),
        (["10", "2", "b"], ("10", "2", "b")),
        (["1.5", "10", "2"], ("1.5", "10", "2")),
        (["2", "1" * 5000], ("1" * 5000, "2")),
    ],
)
def test_whole_numbers_are_in_their_own_order(labels: list[str], classes: tuple[str, ...], tmp_path: Path) -> None:
    text = "path,label\n" + "".join(f"{index}.png,{label}\n" for index, label in enumerate(labels))
    assert open_images(csv(tmp_path, text)).classes == classes


def test_paths_are_relative_to_the_table_or_absolute_and_may_come_from_windows(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    colour = Image.new("RGB", (2, 3), (9, 8, 7))
    colour.save(tmp_path / "sub" / "1.png")
    text = f"path,label\nsub/1.png,a\n{tmp_path / 'sub' / '1.png'},a\nsub\\1.png,a\n"
    images = open_images(csv(tmp_path, text))
    assert [images.reader.read(i).tolist() for i in range(3)] == [np.asarray(colour).tolist()] * 3


@pytest.mark.parametrize("name", ["nowhere.png", "nowhere\\a.png", "x\\" + "nowhere" * 50 + ".png"])
def test_a_missing_file_is_kept_for_the_scan_to_find(name: str, tmp_path: Path) -> None:
    images = open_images(csv(tmp_path, f"path,label\n{name},a\n"))
    with pytest.raises(PictureError, match="nowhere"):
        images.reader.read(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns nothing; expected a header with `path` and `label`"),
        ("a/1.png,cat\na/2.png,dog\n", r"has the columns 'a/1.png', 'cat'; expected a header"),
        ("path,species\n1.png,cat\n", r"has the columns 'path', 'species'; expected a header"),
        ("path,label\n", "has a header and no rows"),
        ("path,label\n1.png,cat\n2.png\n", r"set\.csv, row 3: there is no label"),
        ("path,label\n1.png,cat\n,dog\n", r"set\.csv, row 3: there is no path"),
        ("path,label\n\n1.png,\n", r"set\.csv, row 3: there is no label"),
        (
            "path,label,part\n1.png,cat,train\n2.png,dog,fold\n",
            r"row 3: the part is 'fold'; expected train, val or test",
        ),
        ("path,label,part\n1.png,cat,\n", r"row 2: the part is ''; expected train, val or test"),
        (b"path,label\n1.png,caf\xe9\n", r"set\.csv, row 2: the text is not UTF-8"),
        ("path,label\n" + "x" * 200_000 + ",a\n", r"set\.csv, row 2: field larger than field limit"),
        ("path,label\n1\0.png,a\n", r"set\.csv, row 2: the path holds a zero byte|row 2: line contains NUL"),
    ],
)
def test_what_does_not_fit_is_said_with_its_row(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_images(csv(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('path,label\n1.png,"cat\n2.png,dog\n3.png,rose"\n4.png,dog\n', r"row 4: the label goes over several lines"),
        ('path,label,note\n1.png,cat,"a\n2.png,dog,b\n', "ends within quotes, so that rows are lost"),
        ('path,label\nx.png, "daisy\ny.png, rose\n', "ends within quotes, so that rows are lost"),
        ("path,label\nx.png,daisy, red\ny.png,daisy, white\n", r"row 2 has 3 cells, and the header 2 columns; put"),
    ],
)
def test_a_stray_quote_or_delimiter_loses_no_rows(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_images(csv(tmp_path, text))


def test_empty_cells_beyond_the_header_are_nothing(tmp_path: Path) -> None:
    assert len(open_images(csv(tmp_path, "path,label\n1.png,cat,,\n2.png,dog\n"))) == 2


def test_columns_that_are_not_read_are_told(tmp_path: Path) -> None:
    images = open_images(csv(tmp_path, "path,label,subset,width\n1.png,a,train,5\n2.png,b,test,6\n"))
    assert images.notes[1] == "columns not read: subset, width; one named `part` would divide the pictures"
    divided = open_images(parquet(tmp_path, path=["1.png"], label=["a"], split=["train"], width=[3]))
    assert divided.notes[1] == "columns not read: width"


def test_accents_count_as_the_same_however_they_are_stored(tmp_path: Path) -> None:
    images = open_images(csv(tmp_path, "path,label\n1.png,\u00e9pi\n2.png,e\u0301pi\n"))
    assert images.classes == ("\u00e9pi",)  # as folders are named


def parquet(folder: Path, **columns: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), folder / "set.parquet")
    return folder / "set.parquet"


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    table = parquet(tmp_path, label=[10, 2], width=[1, 2], Path=["a/1.png", "b.png"], part=["train", "test"])
    images = open_images(table)
    assert rows(images) == [("a/1.png", "10"), ("b.png", "2")] and images.classes == ("2", "10")
    assert images.parts == ("train", "test") and images.reader.path(0) == tmp_path / "a" / "1.png"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"file": ["1.png"], "species": ["a"]}, "has the columns 'file', 'species'; expected a header"),
        ({"path": ["1.png", None], "label": ["a", "b"]}, r"set\.parquet, row 2: there is no path"),
        ({"path": ["1.png", "2.png"], "label": [0.0, float("nan")]}, r"set\.parquet, row 2: there is no label"),
        ({"image": [{"bytes": b"", "path": "1.png"}], "label": [0]}, "row 1 holds a dict value; expected text"),
        ({"path": ["1.png"], "label": ["a"], "split": ["fold"]}, "row 1: the part is 'fold'"),
    ],
)
def test_what_does_not_fit_in_parquet_is_said(columns: dict[str, list[Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_images(parquet(tmp_path, **columns))


def test_a_damaged_parquet_file_is_said(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match=r"set\.parquet cannot be read as Parquet: .*; write it again"):
        open_images(csv(tmp_path, "path,label", name="set.parquet"))


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"pip install 'convlens\[parquet\]'"):
        open_images(csv(tmp_path, b"PAR1", name="set.parquet"))


@pytest.mark.parametrize("column", ["group", "Patient", "subject_id"])
def test_a_column_of_groups_is_read(column: str, tmp_path: Path) -> None:
    rows = [f"{place}.png,{'ab'[place % 2]},p{place // 3},5" for place in range(30)]
    images = open_images(csv(tmp_path, "\n".join([f"path,label,{column},width", *rows, "x.png,a, ,6", ""])))
    assert images.groups == (*(f"p{place // 3}" for place in range(30)), "")
    assert images.notes[1:] == (
        f"10 groups by the column `{column}`, each kept in one part; 1 picture of none",
        "columns not read: width; one named `part` would divide the pictures",
    )
    assert images.subset([3, 30]).groups == ("p1", "")


def test_parquet_may_have_groups_and_no_parts_or_both(tmp_path: Path) -> None:
    paths, labels = [f"{place}.png" for place in range(24)], ["a", "b"] * 12
    days = [date(2026, 1, 1 + place // 2) for place in range(24)]
    images = open_images(parquet(tmp_path, group=days, path=paths, label=labels))
    assert images.groups is not None and (images.groups[:3], images.parts) == (
        ("2026-01-01", "2026-01-01", "2026-01-02"), None,
    )  # fmt: skip
    both = open_images(parquet(tmp_path, group=[*range(12), *range(12)], path=paths, label=labels, part=["train"] * 24))
    assert both.groups == (*(str(place % 12) for place in range(24)),) and both.parts == ("train",) * 24
    assert both.notes[1] == "12 groups by the column `group`"


def test_names_of_groups_are_the_same_however_they_are_stored(tmp_path: Path) -> None:
    rows = [f"{place}.png,{'ab'[place % 2]},p{place}" for place in range(10)]
    odd = ["x.png,a,\u00c9lodie  B", "y.png,b,E\u0301lodie B"]
    images = open_images(csv(tmp_path, "\n".join(["path,label,patient", *rows, *odd, ""])))
    assert images.groups is not None and images.groups[-2] == images.groups[-1] == "\u00c9lodie B"


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ([str(place % 9) for place in range(40)], "it names 9 groups, and 10 are needed"),
        (["train"] * 32 + ["test"] * 8, "it names 2 groups, and 10 are needed"),
        ([f"class {place // 4}" for place in range(40)], "each class is one group"),
    ],
)
def test_a_column_that_names_kinds_of_pictures_keeps_none_together(groups: list[str], why: str, tmp_path: Path) -> None:
    rows = [f"{place}.png,{place // 4},{group}" for place, group in enumerate(groups)]
    images = open_images(csv(tmp_path, "\n".join(["path,label,group", *rows, ""])))
    assert images.groups is None
    assert images.notes[1] == f"the column `group` keeps no pictures together: {why}"


def test_a_table_without_groups_has_none(tmp_path: Path) -> None:
    for text in ("path,label\n1.png,a\n", "path,label,group\n1.png,a,\n2.png,b,\n"):
        images = open_images(csv(tmp_path, text))
        assert images.groups is None and not any("keeps" in note or "kept" in note for note in images.notes)
