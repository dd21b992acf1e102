"""Atomic writes: whatever fails, the old file survives and nothing half-written stays."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convlens.errors import StorageError
from convlens.storage import check_writable, guard, remove_leftovers, replacing, write_bytes, write_json, write_text

FAILURES = [
    (errno.ENOSPC, "the disk is full; free some space"),
    (errno.EDQUOT, "quota is used up; free some space"),
    (errno.EROFS, "read-only; choose another place with --out"),
    (errno.EACCES, "permission denied; choose another place with --out"),
    (errno.EIO, "the device reports an error"),
    (errno.EBUSY, "Device or resource busy; choose another place"),
]


def test_a_written_file_has_the_bytes_and_the_folders_above_it(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "demo" / "run.json"
    write_bytes(target, b"old")
    write_bytes(target, bytearray(b"new and longer"))
    assert target.read_bytes() == b"new and longer"
    assert list(target.parent.iterdir()) == [target]


def test_text_and_json_are_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "größe\n")
    assert (tmp_path / "a.txt").read_bytes() == "größe\n".encode()
    write_json(tmp_path / "a.json", {"class": "Äpfel", "accuracy": 0.5})
    assert "Äpfel" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"class": "Äpfel", "accuracy": 0.5}


def test_json_refuses_what_is_not_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "a.json", float("nan"))
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_a_new_file_has_the_permissions_of_any_other_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "theirs").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_what_need_not_last_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for lasting in (False, True):
        with replacing(tmp_path / "entry", lasting=lasting) as temporary:
            temporary.write_bytes(b"whole")
        assert (tmp_path / "entry").read_bytes() == b"whole"
        assert bool(synced) is lasting


@pytest.mark.parametrize("failing", ["open", "write", "fsync"])
@pytest.mark.parametrize(("number", "message"), FAILURES)
def test_a_refusing_disk_gives_one_line_and_leaves_the_old_file(
    failing: str, number: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "weights.bin"
    write_bytes(target, b"old")

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, failing, refuse)
    with pytest.raises(StorageError, match=message) as caught:
        write_bytes(target, b"new")
    monkeypatch.undo()
    assert str(target) in str(caught.value) and "\n" not in str(caught.value)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_fills_half_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "weights.bin"
    write_bytes(target, b"old")
    real_write, room = os.write, [3000]

    def nearly_full(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real_write(descriptor, data[: min(1000, room[0])])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(StorageError, match="the disk is full"):
        write_bytes(target, bytes(5000))
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]
    room[0] = 9000
    write_bytes(target, bytes(5000))  # short writes are continued
    assert target.stat().st_size == 5000


def test_a_file_where_a_folder_is_needed_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        write_text(tmp_path / "file" / "run.json", "")


def test_a_folder_where_the_file_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(StorageError, match="a folder stands where the file should be"):
        write_text(tmp_path / "run.json", "")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("from the writer")])
def test_an_interrupted_writer_leaves_the_old_file(error: BaseException, tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(type(error)), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise error
    assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_whether_a_file_can_be_written_is_asked_without_leaving_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "new" / "deep" / "plot.svg")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/a/plot\.svg: a file stands where a folder .* place with --plot$"):
        check_writable(tmp_path / "file" / "a" / "plot.svg", option="--plot")

    def refuse(self: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(StorageError, match=r"plot\.svg: permission denied; choose another place with --out"):
        check_writable(tmp_path / "plot.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_guard_names_what_other_writers_could_not_write(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*plot\.png: .*"), guard(tmp_path / "plot.png"):
        (tmp_path / "absent" / "plot.png").write_bytes(b"")


def test_in_the_cache_another_cache_is_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").touch()
    with pytest.raises(StorageError, match="a file stands where a folder is needed; set CONVLENS_CACHE to another"):
        write_text(tmp_path / "cache" / "weights" / "a", "")


def test_a_killed_writer_leaves_the_old_file_and_its_leftovers_can_be_removed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from convlens.storage import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    write_text(tmp_path / "checkpoints" / "last", "old")
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "checkpoints" / "last")])
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    remove_leftovers(tmp_path)  # looks at the folder itself, not below it
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    remove_leftovers(tmp_path / "checkpoints")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last"]
    assert (tmp_path / "checkpoints" / "last").read_text() == "old"
