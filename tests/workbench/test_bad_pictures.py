"""Training goes on without what cannot be read, says which and how many, and stops beyond a bound."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from convlens.errors import DataError, UsageError
from convlens.runs import Run
from convlens.workbench import train
from convlens.workbench.gather import gather


@pytest.fixture
def spoiled(tmp_path, make_pictures):
    """spoiled(number) -> 40 pictures, of which so many cannot be read."""

    def make(number: int) -> Path:
        data = make_pictures(tmp_path / f"spoiled-{number}")
        for place, file in enumerate(sorted((data / "circle").iterdir())[:number]):
            whole = file.read_bytes()
            file.write_bytes((b"", b"no picture", whole[: len(whole) // 2])[place % 3])
        return data

    return make


def test_training_goes_on_without_the_unreadable_ones_names_and_counts_them(spoiled, tmp_path, quickly):
    said: list[str] = []
    result = train(spoiled(3), out=tmp_path / "run", tell=said.append, **quickly)
    assert (result.num_pictures, result.num_excluded) == (40, 3)
    told = "\n".join(said)
    for name, words in {"000.jpg": "zero bytes", "001.png": "unreadable", "002.jpg": "truncated"}.items():
        assert any(f"circle/{name}" in line and words in line and "left out" in line for line in said), told
    splits = Run.load(result.run).splits
    assert [splits.keys[index] for index in splits.indices("excluded")] == [
        "circle/000.jpg",
        "circle/001.png",
        "circle/002.jpg",
    ]
    assert sum(splits.counts().values()) == 40


def test_nothing_is_put_in_the_place_of_an_unreadable_picture(spoiled, tmp_path, quickly):
    run = Run.load(train(spoiled(3), out=tmp_path / "run", **quickly).run)
    assert run.manifest.data["scan"]["num_unreadable"] == 3
    assert run.manifest.data["parts"]["excluded"] == 3
    assert len(run.splits.hashes_of("train", "val", "test")) == 37


def test_as_many_as_the_bound_are_borne_and_one_more_is_refused(spoiled, tmp_path, quickly):
    assert train(spoiled(4), out=tmp_path / "run", **quickly).num_excluded == 4
    with pytest.raises(DataError, match=r"5 of 40 pictures cannot be read, more than the bound of 10%.*--max-bad"):
        train(spoiled(5), out=tmp_path / "refused", **quickly)
    assert not (tmp_path / "refused" / "run.json").exists()


def test_the_bound_can_be_moved_both_ways(spoiled, tmp_path, quickly):
    data = spoiled(5)
    assert train(data, max_bad=0.2, out=tmp_path / "run", **quickly).num_excluded == 5
    with pytest.raises(DataError, match="bound of 5%"):
        train(data, max_bad=0.05, out=tmp_path / "refused", **quickly)


@pytest.mark.parametrize("bound", [-0.1, 1.5, float("nan")])
def test_a_bound_that_is_no_share_is_refused(bound, tmp_path, quickly):
    with pytest.raises(UsageError, match=r"--max-bad came as .*; expected a share from 0 to 1"):
        train("digits", max_bad=bound, out=tmp_path / "run", **quickly)


def test_nothing_is_written_beside_the_pictures(spoiled, tmp_path, quickly, fingerprint):
    data = spoiled(3)
    before = fingerprint(data)
    train(data, out=tmp_path / "run", **quickly)
    assert fingerprint(data) == before


@pytest.mark.parametrize("num_classes", [0, 1])
def test_two_classes_at_least_are_needed(num_classes, tmp_path, make_pictures, quickly):
    (tmp_path / "data").mkdir()
    data = make_pictures(tmp_path / "data" / "inside", ("circle",)[:num_classes]) if num_classes else tmp_path / "data"
    with pytest.raises(DataError, match=r"expected a folder (for each of at least two classes|per class)"):
        train(data, out=tmp_path / "run", **quickly)


def test_two_classes_must_be_readable(tmp_path, make_pictures):
    data = make_pictures(tmp_path / "data", per_class=30)
    for place, file in enumerate(sorted((data / "square").iterdir())):
        file.write_bytes(file.read_bytes()[:100]) if place < 3 else file.unlink()
    with pytest.raises(DataError, match=r"only pictures of one class of .* can be read \(circle\); expected two"):
        gather(data, tell=lambda line: None)


def test_a_class_too_small_to_be_scored_is_told(tmp_path, make_pictures):
    data, told = make_pictures(tmp_path / "data"), []
    gather(data, tell=told.append)
    assert not [line for line in told if "too few pictures" in line]
    make_pictures(data, ("rare",), per_class=1, first=5000)
    gather(data, tell=told.append)
    assert [line for line in told if "too few pictures" in line] == [
        f"1 class with too few pictures for {part}: rare; no score there can speak about them"
        for part in ("val", "test")
    ]


def test_a_class_too_small_for_a_part_that_is_made_is_told(tmp_path, make_pictures):
    data, told = tmp_path / "data", []
    for number, part in enumerate(("train", "test")):
        make_pictures(data / part, first=1000 * number)
        make_pictures(data / part, ("rare",), per_class=1, first=5000 + number)
    gather(data, tell=told.append)
    unscored = "1 class with too few pictures for val: rare; no score there can speak about them"
    assert [line for line in told if "too few pictures" in line] == [unscored]
    make_pictures(data / "val", first=7000)
    shutil.copytree(data / "train" / "rare", data / "val" / "rare")  # left out, being learnt
    gather(data, tell=told.append)
    assert [line for line in told if "too few pictures" in line] == [unscored] * 2
    shutil.rmtree(data / "val" / "rare")
    gather(data, tell=told.append)
    assert [line for line in told if "too few pictures" in line] == [unscored] * 2
    assert any("missing in a part: val/rare" in line for line in told)


def test_a_folder_too_high_is_told_where_the_classes_are(tmp_path, make_pictures, quickly):
    make_pictures(tmp_path / "data" / "shapes")
    with pytest.raises(DataError, match=r"holds 1 class \(shapes\);.* if they are in there, give .*data/shapes$"):
        train(tmp_path / "data", out=tmp_path / "run", **quickly)


def test_where_nothing_can_be_read_that_is_said(tmp_path, make_pictures, quickly):
    data = make_pictures(tmp_path / "data", per_class=2)
    for file in data.rglob("*.*"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="none of the pictures can be read; `convlens doctor`"):
        train(data, max_bad=1.0, out=tmp_path / "run", **quickly)
