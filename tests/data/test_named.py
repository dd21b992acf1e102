"""Sets known by name: found at hand, in the cache, or fetched from a mirror (here: a local server)."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from convlens.data import named as named_module
from convlens.data.named import NAMED, SETS, File, Mirror, at_hand
from convlens.data.open import open_images
from convlens.errors import DataError, DownloadError
from convlens.storage import cache_dir, sha256_file

IDX_NAMES = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a local server shows; the sets' second mirrors and digests are set to its files by `publish`."""
    root = tmp_path / "web"
    root.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(root))  # type: ignore[arg-type, misc]

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        (tmp_path / "port").write_text(str(server.server_port))
        yield root
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = (Mirror("http://127.0.0.1:9/", fetched=False),)  # the discard port: nothing listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(named_module, "SETS", tuple(replace(wanted, mirrors=closed) for wanted in SETS))


def publish(name: str, web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the files in `web` the published ones of a set, on the second of two mirrors."""
    files = tuple(File(path.name, path.stat().st_size, sha256_file(path)) for path in sorted(web.iterdir()))
    port = (web.parent / "port").read_text()
    mirrors = tuple(Mirror(f"http://127.0.0.1:{at}/", fetched=False) for at in (9, port))
    changed = (replace(wanted, files=files, mirrors=mirrors) for wanted in SETS if wanted.name == name)
    others = (wanted for wanted in named_module.SETS if wanted.name != name)
    monkeypatch.setattr(named_module, "SETS", (*changed, *others))


def lay_idx(folder: Path, first_label: int = 0) -> Path:
    """Four small IDX files under the published names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in IDX_NAMES:
        shape = [3, 4, 4] if "images" in name else [3]
        values = np.arange(first_label, first_label + int(np.prod(shape)), dtype=np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        (folder / name).write_bytes(gzip.compress(header + values.tobytes(), mtime=0))
    return folder


def lay_cifar10_archive(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in ("data_batch_1.bin", "test_batch.bin"):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = 2 * 3073
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return folder


@pytest.mark.parametrize("place", ["mnist", "MNIST/raw", "."])
def test_a_set_is_found_in_the_data_folder(place: str, tmp_path: Path) -> None:
    lay_idx(tmp_path / "data" / place)
    images = open_images("mnist", data_dir=tmp_path / "data")
    assert images.name == images.source == "mnist" and images.notes == ("3 + 3 pictures (IDX)",)
    assert not (tmp_path / "cache").exists()


def test_mnist_is_found_in_the_shared_data(shared_data: Path) -> None:
    assert open_images("mnist", data_dir=shared_data).notes == ("60,000 + 10,000 pictures (IDX)",)


def test_mnist_files_are_not_taken_for_fashion_mnist(shared_data: Path) -> None:
    with pytest.raises(DownloadError, match="fashion_mnist is not in --data-dir"):
        open_images("fashion_mnist", data_dir=shared_data / "mnist")


def test_the_digests_of_mnist_are_those_of_its_files(shared_data: Path) -> None:
    mnist = next(wanted for wanted in SETS if wanted.name == "mnist")
    for file in mnist.files:
        path = shared_data / "mnist" / file.name
        assert (path.stat().st_size, sha256_file(path)) == (file.size_bytes, file.sha256)


def test_fashion_mnist_has_its_ten_names(tmp_path: Path) -> None:
    lay_idx(tmp_path / "fashion-mnist")
    images = open_images("fashion_mnist", data_dir=tmp_path)
    assert images.classes[0] == "T-shirt/top" and images.classes[9] == "Ankle boot" and len(images.classes) == 10


def test_cifar_batches_are_found_as_files_or_as_the_published_archive(tmp_path: Path) -> None:
    lay_cifar10_archive(tmp_path / "packed" / "cifar10")
    images = open_images("cifar10", data_dir=tmp_path / "packed")
    whole = "5 files data_batch_*.bin and test_batch.bin"
    assert images.notes == (
        "2 + 2 pictures (CIFAR-10 binary batches)", f"not all of CIFAR-10, which is {whole}"
    ) and images.name == "cifar10"  # fmt: skip
    assert [path.name for path in (tmp_path / "packed" / "cifar10").iterdir()] == ["cifar-10-binary.tar.gz"]
    folder = tmp_path / "plain" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "data_batch_1.bin").write_bytes(bytes(3073))
    assert len(open_images("cifar10", data_dir=tmp_path / "plain")) == 1
    for name in ("data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"):
        (folder / name).write_bytes(bytes(3073))
    assert open_images("cifar10", data_dir=tmp_path / "plain").notes == ("5 + 1 pictures (CIFAR-10 binary batches)",)


def test_cifar10_and_cifar100_are_told_apart(tmp_path: Path) -> None:
    for folder, name, size in (("cifar-10-batches-bin", "data_batch_1", 3073), ("cifar-100-binary", "train", 3074)):
        with pytest.raises(DownloadError, match="cifar100 is not in --data-dir"):
            open_images("cifar100", data_dir=tmp_path)
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.bin").write_bytes(bytes(size))
    assert len(open_images("cifar100", data_dir=tmp_path).classes) == 100
    assert len(open_images("cifar10", data_dir=tmp_path).classes) == 10


def test_whether_a_set_is_at_hand_is_known_without_opening_it(tmp_path: Path) -> None:
    assert at_hand("digits") and at_hand(str(tmp_path)) and not at_hand("mnist") and not at_hand("cifar10")
    lay_idx(tmp_path / "data" / "MNIST" / "raw")
    assert at_hand("mnist", data_dir=tmp_path / "data") and not at_hand("fashion_mnist", data_dir=tmp_path / "other")
    (tmp_path / "data" / "MNIST" / "raw" / IDX_NAMES[0]).unlink()
    assert not at_hand("mnist", data_dir=tmp_path / "data")
    lay_cifar10_archive(cache_dir() / "data" / "cifar10")
    assert at_hand("cifar10") and not at_hand("cifar100")
    (tmp_path / "cifar-100-binary").mkdir()
    (tmp_path / "cifar-100-binary" / "train.bin").write_bytes(bytes(3074))
    assert at_hand("cifar100", data_dir=tmp_path)


def test_an_incomplete_folder_is_not_the_set(tmp_path: Path) -> None:
    (lay_idx(tmp_path / "mnist") / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DownloadError, match="mnist is not in --data-dir"):
        open_images("mnist", data_dir=tmp_path)


def test_without_a_network_the_file_and_its_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        open_images("mnist")
    message = str(caught.value)
    assert message.startswith("cannot download train-images-idx3-ubyte.gz (127.0.0.1:9: ")
    assert "put the file (9,912,422 bytes, SHA-256 440fcabf73cc" in message
    assert f"into {cache_dir() / 'data' / 'mnist'} by hand, or name a folder that has it with --data-dir" in message


def test_files_put_by_hand_where_the_error_says_are_found(tmp_path: Path) -> None:
    lay_idx(cache_dir() / "data" / "mnist")
    assert len(open_images("mnist")) == 6
    lay_cifar10_archive(cache_dir() / "data" / "cifar10")
    assert len(open_images("cifar10")) == 4


def test_a_damaged_file_at_hand_is_said(tmp_path: Path) -> None:
    (lay_idx(tmp_path / "mnist") / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz starts with nothing"):
        open_images("mnist", data_dir=tmp_path)


def test_a_set_is_fetched_from_a_mirror_once(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_idx(web)
    publish("mnist", web, monkeypatch)
    steps: list[tuple[str, int, int, str]] = []
    images = open_images("mnist", progress=lambda *step: steps.append(step))
    assert len(images) == 6 and images.classes == ("0", "1", "2")
    assert {step[0] for step in steps} == {"download"} and {step[3] for step in steps} == set(IDX_NAMES)
    shutil.rmtree(web)
    assert len(open_images("mnist")) == 6


def test_a_published_archive_is_fetched_and_unpacked(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_cifar10_archive(web)
    publish("cifar10", web, monkeypatch)
    steps: list[tuple[str, int, int, str]] = []
    assert len(open_images("cifar10", progress=lambda *step: steps.append(step))) == 4
    assert [stage for stage, *_ in steps[:1] + steps[-1:]] == ["download", "unpack"]


def test_what_the_mirrors_changed_is_not_taken(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_idx(web)
    publish("mnist", web, monkeypatch)
    lay_idx(web, first_label=1)
    with pytest.raises(DownloadError, match=r"the file has another SHA-256|bytes there"):
        open_images("mnist")
    assert not list((cache_dir() / "data" / "mnist").glob("*.gz"))


def test_every_set_has_two_mirrors_and_full_digests() -> None:
    assert NAMED == ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100")
    for wanted in SETS:
        assert len({mirror.url for mirror in wanted.mirrors}) >= 2
        assert all(mirror.url.endswith("/") for mirror in wanted.mirrors)
        assert all(len(file.sha256) == 64 and file.size_bytes > 0 for file in wanted.files)
