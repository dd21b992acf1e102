"""`splits.csv`: which picture went where, by content; a run that has lost it is not guessed at."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.errors import RunError
from convlens.runs import Run, Splits, make_splits, read_splits

SPLITS = make_splits(
    ["aa", None, "bb", "aa"], np.array(["train", "excluded", "test", "train"]), np.array([0, -1, 1, 0]), list("wxyz")
)


def test_what_was_written_is_read(tmp_path):
    SPLITS.write(tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == SPLITS


def test_names_with_commas_quotes_and_line_ends_survive(tmp_path):
    odd = Splits(("aa",), ("train",), (0,), ('a,"b"\nü.jpg',))
    odd.write(tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == odd


def test_no_picture_at_all_is_a_table_too(tmp_path):
    Splits((), (), (), ()).write(tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == Splits((), (), (), ())


def test_parts_are_counted_and_found():
    assert SPLITS.counts() == {"train": 2, "test": 1, "excluded": 1}
    assert SPLITS.indices("train").tolist() == [0, 3]
    assert SPLITS.indices("val").tolist() == []


def test_an_unreadable_picture_has_no_hash_and_matches_none():
    assert SPLITS.hashes_of("train", "excluded") == {"aa"}
    assert SPLITS.hashes_of("test") == {"bb"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"path,label\na,0\n",
        b"hash,part,label,key\naa,train\n",
        b"hash,part,label,key\naa,train,zero,w\n",
        b"hash,part,label,key\n\xff\xfe,train,0,w\n",
    ],
)
def test_a_damaged_table_is_refused(content, tmp_path):
    (tmp_path / "splits.csv").write_bytes(content)
    with pytest.raises(RunError, match=r"splits\.csv (is damaged|cannot be read)"):
        read_splits(tmp_path / "splits.csv")


def test_every_picture_of_a_run_is_in_it(trained_run):
    splits = Run.load(trained_run).splits
    assert sum(splits.counts().values()) == 1797
    assert len(set(splits.keys)) == 1797
    assert not splits.hashes_of("train") & splits.hashes_of("val", "test")


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_trained_run_does_not_go_without_it(copied_run, damage):
    file = copied_run / "splits.csv"
    if damage == "missing":
        file.unlink()
    else:
        file.write_text(file.read_text().replace(",train,", ",test,", 1))
    with pytest.raises(RunError, match=r"splits\.csv .*restore it"):
        assert Run.load(copied_run).splits
