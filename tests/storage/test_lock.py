"""A folder has one writer; a killed one no longer counts."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convlens.errors import StorageError
from convlens.storage import FolderLock
from convlens.storage import lock as lock_module

HOLD = (
    "import sys, time; from convlens.storage import FolderLock\n"
    "with FolderLock(sys.argv[1]):\n"
    "    print('held', flush=True); time.sleep(60)"
)


def test_a_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with FolderLock(tmp_path / "run"):
            assert (tmp_path / "run" / ".lock").exists()


def test_a_folder_in_use_names_the_process_and_a_killed_process_frees_it(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout and child.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=rf"{tmp_path} is in use by process {child.pid}; wait"):
            FolderLock(tmp_path).__enter__()
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    with FolderLock(tmp_path):
        pass


def test_two_locks_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(StorageError, match="in use by process"), FolderLock(tmp_path):
        pass


def test_locks_of_other_names_and_folders_do_not_meet(tmp_path: Path) -> None:
    with FolderLock(tmp_path), FolderLock(tmp_path, name=".download.lock"), FolderLock(tmp_path / "other"):
        pass


def test_a_patient_lock_waits_for_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = FolderLock(tmp_path).__enter__()
    monkeypatch.setattr(lock_module.time, "sleep", lambda _: holder.__exit__(None, None, None))
    with FolderLock(tmp_path, wait_s=30):
        pass


def test_a_file_system_without_locks_gives_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module, "_try_lock", refuse)
    with FolderLock(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file stands where a folder is needed"), FolderLock(tmp_path / "file"):
        pass
