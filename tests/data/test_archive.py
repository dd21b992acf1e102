"""Archives of folders: unpacked once, into the cache, and never outside of it."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.data import archive as archive_module
from convlens.data import open as open_module
from convlens.data.open import open_images
from convlens.errors import DataError, StorageError
from convlens.storage import cache_dir


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (number, 0, 99)).save(file, format="PNG")
    return file.getvalue()


FILES = {"cat/1.png": picture(1), "dog/deep/2.png": picture(2), "dog/notes.txt": b"hello"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix]
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


MAKERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "pets.zip": zipped,
    "pets.tar": tarred,
    "pets.tar.gz": tarred,
    "pets.TGZ": lambda path, files: tarred(path.with_suffix(".tgz"), files).rename(path),
    "pets.tar.xz": tarred,
    "pets.tar.bz2": tarred,
}


def unpacked() -> list[Path]:
    folder = cache_dir() / "archives"
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("wrapping", ["", "pets/", "release-1/pets/"])
def test_an_archive_opens_as_the_folder_it_holds(name: str, wrapping: str, tmp_path: Path) -> None:
    archive = MAKERS[name](tmp_path / name, {wrapping + inner: data for inner, data in FILES.items()})
    images = open_images(archive)
    assert images.name == "pets" and images.source == str(archive) and images.classes == ("cat", "dog")
    assert [images.reader.key(i) for i in range(2)] == ["cat/1.png", "dog/deep/2.png"]
    assert images.reader.read(1)[0, 0].tolist() == [2, 0, 99]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", name]


def test_an_archive_is_unpacked_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "pets.zip", FILES)
    steps: list[tuple[str, int, int, str]] = []
    open_images(archive, progress=lambda *step: steps.append(step))
    assert steps[-1][0] == "unpack" and steps[-1][3] == "pets.zip" and 0 < steps[-1][1] <= steps[-1][2]
    steps.clear()
    open_images(archive, progress=lambda *step: steps.append(step))
    assert steps == [] and len(unpacked()) == 1
    zipped(archive, FILES | {"owl/3.png": picture(3)})
    assert open_images(archive).classes == ("cat", "dog", "owl") and len(unpacked()) == 2


def test_a_lone_train_folder_is_a_part_and_no_wrapping(tmp_path: Path) -> None:
    images = open_images(zipped(tmp_path / "a.zip", {f"train/{name}": data for name, data in FILES.items()}))
    assert images.parts == ("train", "train") and images.classes == ("cat", "dog")


def test_a_readme_beside_the_one_folder_is_no_part_of_it(tmp_path: Path) -> None:
    wrapped = {f"pets/{name}": data for name, data in FILES.items()} | {"README.md": b"pets"}
    assert open_images(zipped(tmp_path / "a.zip", wrapped)).classes == ("cat", "dog")


@pytest.mark.parametrize(
    "name", ["LICENSE", "Thumbs.db", "desktop.ini", ".DS_Store", "meta.json", "labels.csv", "labels.parquet"]
)
def test_what_often_lies_beside_the_one_folder_is_no_part_of_it(name: str, tmp_path: Path) -> None:
    wrapped = {f"pets/{inner}": data for inner, data in FILES.items()} | {name: b"pets"}
    images = open_images(zipped(tmp_path / "a.zip", wrapped))
    assert images.classes == ("cat", "dog")
    told = f"{name} beside the folders: not read; give the table itself, not its folder or archive"
    assert any(note.startswith(told) for note in images.notes) == name.startswith("labels")


@pytest.mark.parametrize("name", ["1.png", "train-images-idx3-ubyte"])
def test_what_is_read_beside_the_one_folder_makes_it_no_wrapping(name: str, tmp_path: Path) -> None:
    files = {f"pets/{inner}": data for inner, data in FILES.items()} | {name: picture(3)}
    folder = open_module._single_folder(archive_module.unpack(zipped(tmp_path / "a.zip", files)))
    assert (folder / name).is_file()


def test_a_lone_class_is_no_wrapping(tmp_path: Path) -> None:
    assert open_images(zipped(tmp_path / "a.zip", {"pets/cat/1.png": picture(1)})).classes == ("cat",)


def test_an_archive_of_idx_or_cifar_files_opens_as_such(tmp_path: Path) -> None:
    record = bytes([1]) + bytes(3072)
    images = open_images(tarred(tmp_path / "c.tar.gz", {"cifar-10-batches-bin/data_batch_1.bin": record * 2}))
    assert images.notes == ("2 pictures (CIFAR-10 binary batches)",)


@pytest.mark.parametrize("make", [zipped, tarred], ids=["zip", "tar"])
@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/evil.png", "C:/evil.png", "..\\evil.png"])
def test_a_name_that_leads_outside_is_refused(
    make: Callable[[Path, dict[str, bytes]], Path], name: str, tmp_path: Path
) -> None:
    archive = make(tmp_path / ("a.zip" if make is zipped else "a.tar"), FILES | {name: picture(6)})
    with pytest.raises(DataError, match="a name that leads out of the folder"):
        open_images(archive)
    assert not list(tmp_path.rglob("evil.png")) and unpacked() == []


@pytest.mark.parametrize("make", [zipped, tarred], ids=["zip", "tar"])
def test_a_name_that_goes_up_within_the_folder_leads_nowhere_else(
    make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    images = open_images(make(tmp_path / f"a.{make.__name__[:3]}", FILES | {"cat/../dog/9.png": picture(9)}))
    assert [images.reader.key(i) for i in range(3)] == ["cat/1.png", "dog/9.png", "dog/deep/2.png"]


def test_links_devices_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    tarred(tmp_path / "a.tar", FILES | {"__MACOSX/cat/._1.png": b"", "cat/.hidden.png": b""})
    with tarfile.open(tmp_path / "a.tar", "a") as file:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(f"cat/odd{number}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
    zipped(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as file:
        link = zipfile.ZipInfo("cat/odd.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    for name in ("a.tar", "a.zip"):
        for _ in range(2):  # told again of what is in the cache
            images = open_images(tmp_path / name)
            assert len(images) == 2 and images.notes[-1] == "1 link to what is no file of the archive: left out"
    found = [path for folder in unpacked() for path in folder.rglob("*") if not path.is_dir()]
    assert {path.name for path in found} == {"1.png", "2.png", "notes.txt"} and not any(map(Path.is_symlink, found))


def linked(
    path: Path, link: str, target: str, *, files: dict[str, bytes] = FILES, kind: bytes = tarfile.LNKTYPE
) -> Path:
    if not path.exists():
        tarred(path, files)
    with tarfile.open(path, "a") as file:
        info = tarfile.TarInfo(link)
        info.type, info.linkname = kind, target
        file.addfile(info)
    return path


def test_a_link_to_a_hidden_file_is_read(tmp_path: Path) -> None:
    hidden = {".dvc/cache/1": picture(1), ".dvc/cache/2": picture(2), "._1": b""}
    linked(tmp_path / "a.tar", "set/cat/1.png", ".dvc/cache/1", files=hidden)
    linked(tmp_path / "a.tar", "set/dog/2.png", "../../.dvc/cache/2", kind=tarfile.SYMTYPE)
    images = open_images(tmp_path / "a.tar")
    assert [images.reader.read(i)[0, 0, 0] for i in range(2)] == [1, 2] and images.classes == ("cat", "dog")
    assert len(images.notes) == 1 and len([file for file in cache_dir().rglob("*") if file.is_file()]) == 2


def test_a_symbolic_link_is_the_file_that_its_chain_leads_to(tmp_path: Path) -> None:
    for link, target in {"cat/8.png": "../dog/9.png", "dog/9.png": "./deep/2.png", "dog/loop.png": "loop.png"}.items():
        linked(tmp_path / "a.tar", link, target, kind=tarfile.SYMTYPE)
    zipped(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as file:
        for name, target in {"cat/8.png": "../dog/9.png", "dog/9.png": "deep/2.png", "dog/far.png": "/x"}.items():
            link = zipfile.ZipInfo(name)
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            file.writestr(link, target)
    for archive in ("a.tar", "a.zip"):
        images = open_images(tmp_path / archive)
        assert [images.reader.key(i) for i in range(4)] == ["cat/1.png", "cat/8.png", "dog/9.png", "dog/deep/2.png"]
        assert [images.reader.read(i)[0, 0, 0] for i in range(4)] == [1, 2, 2, 2]
        assert images.notes[-1] == "1 link to what is no file of the archive: left out"


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize("name", ["cat/1.png", "dog/../cat/1.png"])
def test_a_file_whose_name_comes_again_is_told(suffix: str, name: str, tmp_path: Path) -> None:
    archive = (zipped if suffix == "zip" else tarred)(tmp_path / f"a.{suffix}", FILES)
    if suffix == "zip":
        with zipfile.ZipFile(archive, "a") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of zipfile, about the name
            file.writestr(name, picture(7))
    else:
        again = tarred(tmp_path / "again.tar", {name: picture(7)})
        with tarfile.open(archive, "a") as file, tarfile.open(again) as other:
            file.addfile(other.getmembers()[0], io.BytesIO(picture(7)))
    for _ in range(2):  # told again of what is in the cache
        images = open_images(archive)
        assert len(images) == 2 and images.reader.read(0)[0, 0, 0] == 7
        assert images.notes[-1] == "1 file of a name that comes again in the archive: the last is taken"


def test_a_link_of_a_file_to_itself_leaves_it_as_it_is(tmp_path: Path) -> None:
    images = open_images(linked(tmp_path / "a.tar", "cat/1.png", "./cat/1.png"))
    assert images.reader.read(0)[0, 0].tolist() == [1, 0, 99] and len(images.notes) == 1


@pytest.mark.parametrize("target", ["cat/1.png", "./cat/1.png"])
def test_a_hard_link_is_the_file_that_it_names(target: str, tmp_path: Path) -> None:
    images = open_images(linked(tmp_path / "a.tar", "dog/same.png", target))
    assert [images.reader.key(i) for i in range(3)] == ["cat/1.png", "dog/deep/2.png", "dog/same.png"]
    assert images.reader.read(2)[0, 0].tolist() == [1, 0, 99]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret.png"])
def test_a_hard_link_that_leads_outside_is_refused(target: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a name that leads out of the folder"):
        open_images(linked(tmp_path / "a.tar", "dog/same.png", target))
    assert unpacked() == []


@pytest.mark.parametrize("target", ["cat/none.png", "dog/same.png", "cat/" + "y" * 300])
def test_a_hard_link_to_what_is_not_there_is_left_out(target: str, tmp_path: Path) -> None:
    images = open_images(linked(tmp_path / "a.tar", "dog/same.png", target))
    assert len(images) == 2 and images.notes[-1] == "1 link to what is no file of the archive: left out"


def test_an_archive_of_links_alone_says_that_their_files_are_not_in_it(tmp_path: Path) -> None:
    archive = linked(tmp_path / "a.tar", "cat/1.png", "../../store/1.png", files={}, kind=tarfile.SYMTYPE)
    with pytest.raises(DataError, match=r"holds no pictures; .*; 1 link to files that are not in it"):
        open_images(archive)


@pytest.mark.parametrize("cut", [1024, 1024 + 100, 1024 + 511])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_tar_cut_at_or_in_a_header_is_said(suffix: str, cut: int, tmp_path: Path) -> None:
    data = tarred(tmp_path / "whole.tar", FILES).read_bytes()[:cut]  # the first file has a header and one block
    archive = tmp_path / f"a{suffix}"
    archive.write_bytes(gzip.compress(data) if suffix == ".tar.gz" else data)
    with pytest.raises(DataError, match=r"cannot be unpacked: .* where the next file or the end should stand; copy or"):
        open_images(archive)
    assert unpacked() == []


def test_a_tar_without_an_end_is_said(tmp_path: Path) -> None:
    data = tarred(tmp_path / "a.tar", FILES).read_bytes()
    (tmp_path / "a.tar").write_bytes(data[: 3 * 1024])
    with pytest.raises(DataError, match="the tar has no end: it stops where the next file or the end should stand"):
        open_images(tmp_path / "a.tar")


def test_a_tar_with_a_damaged_header_is_said(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", FILES)
    data = bytearray(archive.read_bytes())
    data[1024 + 3] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="bad checksum where the next file"):
        open_images(archive)


def test_one_block_of_zeros_ends_a_tar(tmp_path: Path) -> None:
    data = tarred(tmp_path / "a.tar", FILES).read_bytes()
    (tmp_path / "a.tar").write_bytes(data[: 3 * 1024 + 512])
    assert len(open_images(tmp_path / "a.tar")) == 2


@pytest.mark.parametrize("lost", ["cat", "dog"])
def test_what_lacks_a_file_in_the_cache_is_unpacked_anew(lost: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", FILES)
    open_images(archive)
    shutil.rmtree(unpacked()[0] / lost)
    assert len(open_images(archive)) == 2 and len(unpacked()) == 1


@pytest.mark.parametrize("make", [zipped, tarred], ids=["zip", "tar"])
@pytest.mark.parametrize("names", [["cat/" + "y" * 300 + ".png"], ["owl", "owl/1.png"], ["owl/1.png", "owl"]])
def test_a_name_that_cannot_be_a_file_is_that_of_the_archive(
    make: Callable[[Path, dict[str, bytes]], Path], names: list[str], tmp_path: Path
) -> None:
    archive = make(tmp_path / ("a.zip" if make is zipped else "a.tar"), FILES | dict.fromkeys(names, picture(3)))
    with pytest.raises(DataError, match=r"a\.(zip|tar) holds '.*', which cannot become a file: .*; rename it"):
        open_images(archive)
    assert unpacked() == []


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz"])
def test_a_bomb_is_stopped(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "SMALL_BYTES", 10_000)
    archive = (zipped if name.endswith("zip") else tarred)(tmp_path / name, FILES | {"cat/9.bmp": bytes(3_000_000)})
    with pytest.raises(DataError, match="over 200 times its size; it looks like a bomb"):
        open_images(archive)
    assert unpacked() == []


def test_a_disk_that_is_too_small_is_said_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", FILES)
    monkeypatch.setattr(archive_module, "SPARE_BYTES", 10**18)
    with pytest.raises(
        StorageError, match=r"the disk of .*cache is nearly full; free some space or set CONVLENS_CACHE"
    ):
        open_images(archive)
    assert unpacked() == []


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.97])
def test_a_damaged_archive_is_said(name: str, keep: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(30_000)
    archive = (zipped if name.endswith("zip") else tarred)(tmp_path / name, {"cat/1.png": noise, "cat/2.png": noise})
    whole = archive.read_bytes()
    size = int(keep * len(whole)) if name != "a.tar" else int(keep * 60_000)  # behind that a tar has only zeros
    archive.write_bytes(whole[:size])
    with pytest.raises(DataError, match=r"cannot be unpacked: .*; copy or download it again"):
        open_images(archive)
    assert unpacked() == []


def test_a_zip_with_a_wrong_byte_is_said(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"cat/1.png": np.random.default_rng(0).bytes(30_000)})
    data = bytearray(archive.read_bytes())
    data[10_000] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be unpacked: Bad CRC-32"):
        open_images(archive)


def test_an_archive_without_class_folders_is_named_itself(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"1.png": picture(1), "2.png": picture(2)})
    with pytest.raises(DataError, match=r"a\.zip, unpacked: .* holds 2 pictures without class folders"):
        open_images(archive)


def test_an_interrupted_unpacking_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", FILES)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_images(archive, progress=stop)
    assert unpacked() == []
    assert len(open_images(archive)) == 2


def test_the_process_that_was_quicker_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", FILES)
    real = archive_module._move_into_place

    def late(temporary: Path, folder: Path) -> None:
        (folder / "cat").mkdir(parents=True)
        (folder / "cat" / "theirs.png").write_bytes(picture(9))
        real(temporary, folder)

    monkeypatch.setattr(archive_module, "_move_into_place", late)
    images = open_images(archive)
    assert images.reader.key(0) == "cat/theirs.png" and len(unpacked()) == 1


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", FILES)
    cache_dir().touch()
    with pytest.raises(StorageError, match="a file stands where a folder is needed; set CONVLENS_CACHE"):
        open_images(archive)
