"""Well-known sets by name: looked for at hand, then in the cache, then downloaded from several mirrors.

The table below is data. Nobody has fetched a URL with `fetched=False` through convlens yet; `source` says where the
SHA-256 digests come from. `digits` (scikit-learn's 1,797 real handwritten digits) needs no download.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convlens.data.archive import unpack
from convlens.data.cifar import LAYOUTS, Batches, Layout, find_cifar, open_cifar
from convlens.data.idx import Files, find_idx, open_idx
from convlens.data.images import Images, images_of_arrays
from convlens.errors import DownloadError, counted
from convlens.storage import cache_dir, download, make_room, sha256_file, touch

Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Mirror:
    """A folder on the web that holds all files of a set under their own names."""

    url: str
    fetched: bool


@dataclass(frozen=True)
class File:
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class NamedSet:
    """A set, the names that its folder has elsewhere, its mirrors in the order of trying, its files."""

    name: str
    folders: tuple[str, ...]
    mirrors: tuple[Mirror, ...]
    files: tuple[File, ...]
    source: str


TFDS = "the checksums that TensorFlow Datasets publishes (url_checksums)"
MINDSPORE = Mirror("https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/", fetched=False)
TORONTO = Mirror("https://www.cs.toronto.edu/~kriz/", fetched=False)  # about 60 kB/s since June 2026: comes last

# fmt: off
MNIST_FILES = (
    File("train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    File("train-labels-idx1-ubyte.gz",   28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    File("t10k-images-idx3-ubyte.gz",  1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    File("t10k-labels-idx1-ubyte.gz",     4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)
FASHION_FILES = (
    File("train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    File("train-labels-idx1-ubyte.gz",    29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    File("t10k-images-idx3-ubyte.gz",   4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    File("t10k-labels-idx1-ubyte.gz",      5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
CIFAR10_FILES = (
    File("cifar-10-binary.tar.gz",   170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
)
CIFAR100_FILES = (
    File("cifar-100-binary.tar.gz",  168513733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
)
# fmt: on
SETS = (
    NamedSet(
        name="mnist",
        folders=("mnist", "MNIST/raw", "MNIST"),
        mirrors=(
            Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/", fetched=False),
            Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/", fetched=False),
        ),
        files=MNIST_FILES,
        source="computed from the published files",
    ),
    NamedSet(
        name="fashion_mnist",
        folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "FashionMNIST"),
        mirrors=(
            Mirror("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", fetched=False),
            Mirror(
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/", fetched=False
            ),
        ),
        files=FASHION_FILES,
        source=TFDS,
    ),
    NamedSet(
        name="cifar10",
        folders=("cifar10", "cifar-10", "CIFAR10"),
        mirrors=(
            Mirror("https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/", fetched=False),
            MINDSPORE,
            TORONTO,
        ),
        files=CIFAR10_FILES,
        source=TFDS,
    ),
    NamedSet(
        name="cifar100",
        folders=("cifar100", "cifar-100", "CIFAR100"),
        mirrors=(MINDSPORE, TORONTO),
        files=CIFAR100_FILES,
        source=TFDS,
    ),
)
NAMED = ("digits", *(wanted.name for wanted in SETS))


def open_named(name: str, *, data_dir: str | Path | None = None, progress: Progress | None = None) -> Images:
    """A name of NAMED -> Images; raises DownloadError where it is nowhere at hand and no mirror gives it."""
    if name == "digits":
        return _digits()
    wanted = next(wanted for wanted in SETS if wanted.name == name)
    for folder in _places(wanted, data_dir):
        if images := _open_at(wanted, folder, progress):
            return images
    folder = _fetch(wanted, data_dir, progress)
    images = _open_at(wanted, folder, progress)
    assert images is not None, f"the downloaded files of {name} are in {folder}"
    return images


def at_hand(name: str, *, data_dir: str | Path | None = None) -> bool:
    """Whether a source needs no download, as far as the names of its files tell; only names of NAMED may need one."""
    wanted = next((wanted for wanted in SETS if wanted.name == name), None)
    if wanted is None:
        return True
    return any(folder.is_dir() and _seems_whole(wanted, folder) for folder in _places(wanted, data_dir))


def _seems_whole(wanted: NamedSet, folder: Path) -> bool:
    if all((folder / file.name).is_file() for file in wanted.files):
        return True
    if not wanted.name.startswith("cifar"):
        return sum({"images", "labels"} <= part.keys() for part in find_idx(folder).values()) == 2
    return find_cifar(folder, _layouts(wanted)) is not None


def _layouts(wanted: NamedSet) -> list[Layout]:
    return [layout for layout in LAYOUTS if layout.title.replace("-", "").lower() == wanted.name]


def _places(wanted: NamedSet, data_dir: str | Path | None) -> Iterator[Path]:
    """Folders that may hold the set: below the data folder, that folder itself, the cache."""
    if data_dir is not None:
        root = Path(data_dir).expanduser()
        yield from (root / folder for folder in (*wanted.folders, "."))
    yield cache_dir() / "data" / wanted.name


def _open_at(wanted: NamedSet, folder: Path, progress: Progress | None) -> Images | None:
    """The set as this folder has it; None where it has not all of it."""
    if not folder.is_dir():
        return None
    touch(folder)
    if not wanted.name.startswith("cifar"):
        files = find_idx(folder)
        whole = [part for part in files.values() if {"images", "labels"} <= part.keys()]
        ours = len(whole) == 2 and not _belongs_to_another(wanted, files)
        return open_idx(files, name=wanted.name, source=wanted.name) if ours else None
    batches = _cifar_batches(wanted, folder, progress)
    if batches is None:
        return None
    images, (layout, place) = open_cifar(batches, name=wanted.name, source=wanted.name), batches
    if layout.is_whole(place):
        return images
    note = f"not all of {layout.title}, which is {counted(layout.num_batches, 'file')} {layout.train} and {layout.test}"
    return replace(images, notes=(*images.notes, note))


def _belongs_to_another(wanted: NamedSet, files: Files) -> bool:
    """MNIST and Fashion-MNIST have the same file names; the published label files tell them apart."""
    digest = sha256_file(files["train"]["labels"])
    return any(digest == file.sha256 for other in SETS if other is not wanted for file in other.files)


def _cifar_batches(wanted: NamedSet, folder: Path, progress: Progress | None) -> Batches | None:
    """The batches in a folder, or those in the archive that lies there."""
    archive = folder / wanted.files[0].name
    layouts = _layouts(wanted)
    if batches := find_cifar(folder, layouts):
        return batches
    return find_cifar(unpack(archive, progress=progress), layouts) if archive.is_file() else None


def _fetch(wanted: NamedSet, data_dir: str | Path | None, progress: Progress | None) -> Path:
    """Download what is missing into the cache and say where it lies."""
    folder = cache_dir() / "data" / wanted.name
    missing = [file for file in wanted.files if not (folder / file.name).exists()]
    make_room(sum(file.size_bytes for file in missing) * (2 if wanted.name.startswith("cifar") else 1))
    for file in wanted.files:
        urls = [mirror.url + file.name for mirror in wanted.mirrors]
        try:
            download(urls, folder / file.name, sha256=file.sha256, size_bytes=file.size_bytes, progress=progress)
        except DownloadError as error:
            tried = "" if data_dir is None else f"; {wanted.name} is not in --data-dir {data_dir} either"
            raise DownloadError(f"{error}, or name a folder that has it with --data-dir{tried}") from error
    return folder


def _digits() -> Images:
    """8 x 8 pictures of 17 grey levels; 0..16 becomes 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    classes = tuple(map(str, range(10)))
    notes = [f"{len(pictures):,} pictures (scikit-learn's digits), 8 x 8, grey levels 0..16 scaled to 0..255"]
    labels = {"": digits.target.astype(np.int64)}
    return images_of_arrays({"": pictures}, labels, classes, name="digits", source="digits", notes=notes)
