"""The cache stays under its cap, oldest out, and what is in use stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from convlens.errors import StorageError
from convlens.storage import cache as cache_module
from convlens.storage import cache_dir, make_room, touch

HOUR_S = 3600


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, float], Path]:
    """A cache of its own with a cap of 1,000 bytes, and a function that puts a file of some age into it."""
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "CAP_BYTES", 1000)

    def put(name: str, size: int, hours: float) -> Path:
        file = cache_dir() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
        entry = cache_dir().joinpath(*Path(name).parts[:2])
        os.utime(entry, (time.time() - hours * HOUR_S,) * 2)
        return file

    return put


def test_the_environment_chooses_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", "~/elsewhere")
    assert cache_dir() == Path.home() / "elsewhere"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/convlens"),
        ("linux", {"XDG_CACHE_HOME": "/var/tmp"}, "/var/tmp/convlens"),
        ("darwin", {}, "Library/Caches/convlens"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/convlens/Cache"),
        ("win32", {}, "AppData/Local/convlens/Cache"),
    ],
)
def test_each_platform_has_its_cache_folder(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONVLENS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cache_module.sys, "platform", platform)
    assert cache_dir() == Path.home() / expected


def test_the_longest_unused_entries_go_first(store: Callable[[str, int, float], Path]) -> None:
    oldest, middle, newest = store("weights/a", 400, 9), store("pixels/b", 300, 5), store("pixels/c", 300, 3)
    make_room(500)
    assert [file.exists() for file in (oldest, middle, newest)] == [False, False, True]


def test_an_entry_that_is_a_folder_goes_as_a_whole(store: Callable[[str, int, float], Path]) -> None:
    store("archives/3f2a/flowers/daisy/1.jpg", 500, 5)
    store("archives/3f2a/flowers/rose/1.jpg", 300, 5)
    kept = store("weights/a", 100, 3)
    make_room(200)
    assert not (cache_dir() / "archives" / "3f2a").exists() and kept.exists()


def test_an_eviction_that_breaks_off_leaves_no_part_of_an_entry(
    store: Callable[[str, int, float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds the folder of an archive takes it for whole."""
    file = store("archives/3f2a/flowers/daisy/1.jpg", 500, 5)
    store("archives/3f2a/flowers/rose/1.jpg", 300, 5)

    def break_off(folder: Path) -> None:
        next(path for path in Path(folder).rglob("*") if path.is_file()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(cache_module.shutil, "rmtree", break_off)
        make_room(500)
    assert not file.parents[2].exists()
    make_room(900)
    assert not list((cache_dir() / "archives").iterdir()), "what is left of it goes next"


def test_nothing_goes_while_there_is_room(store: Callable[[str, int, float], Path]) -> None:
    file = store("weights/a", 400, 900)
    make_room(600)
    assert file.exists()


def test_what_was_touched_here_or_within_the_hour_stays(store: Callable[[str, int, float], Path]) -> None:
    touched, recent = store("archives/one/a.jpg", 600, 9), store("weights/b", 600, 0.5)
    touch(touched)
    os.utime(cache_dir() / "archives" / "one", (0, 0))  # long ago by the clock, yet in use by this process
    make_room(500)
    assert touched.exists() and recent.exists()


def test_touching_makes_an_entry_the_newest(
    store: Callable[[str, int, float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SAFE_AGE_S", -1.0)
    monkeypatch.setattr(cache_module, "_in_use", set())
    first, second = store("weights/a", 400, 9), store("weights/b", 400, 5)
    touch(first)
    cache_module._in_use.clear()  # as another process sees it
    make_room(300)
    assert first.exists() and not second.exists()


def test_touching_a_file_outside_the_cache_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    os.utime(tmp_path / "mine", (5, 5))
    touch(tmp_path / "mine")
    assert (tmp_path / "mine").stat().st_mtime == 5


def test_a_disk_that_is_too_small_is_said(
    store: Callable[[str, int, float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_free_bytes", lambda: 10**9)
    with pytest.raises(StorageError, match=r"needs 3.0 GB and its disk has 1.0 GB free.*CONVLENS_CACHE"):
        make_room(3 * 10**9)


def test_an_absent_cache_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "absent" / "cache"))
    make_room(1000)
    assert not (tmp_path / "absent").exists()
