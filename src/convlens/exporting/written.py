"""Write files that are proved before anybody sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from convlens.errors import UsageError
from convlens.exporting.formats import Format
from convlens.exporting.metadata import Facts
from convlens.exporting.proof import Agreement, prove, reference_logits
from convlens.storage import replacing


@dataclass(frozen=True)
class Exported:
    """The files and their proof."""

    files: tuple[Path, ...]
    agreement: Agreement


def export_network(
    network: nn.Module,
    path: Path,
    *,
    format: Format,
    facts: Facts,
    pixels: np.ndarray,
    calibration: np.ndarray | None = None,
) -> Exported:
    """Any network -> proved files; `path` is the first, up to its ending, `pixels` are uint8 (N, C, H, W).

    Where the facts have no preprocessing, because the network reads no pictures, they are what it takes: the numbers
    of words, int64 (N, T). `calibration` are such pictures of the training part, for a format that is calibrated; by
    default it is the others. The files are written under other names, read back and compared, and renamed when they
    agree. Whatever is raised (UsageError, MissingExtra, ExportError, StorageError), no new file is left and an old one
    is as before; of two files the second is renamed first.
    """
    format.check()
    if format.calibrated and facts.preprocess is None:
        raise UsageError(f"{format.name} is calibrated on pictures, and facts without a preprocessing came; take onnx")
    if not len(pixels):
        raise UsageError("no picture came to prove the file on; give at least one")
    expected = reference_logits(network, pixels, facts)
    files = tuple(path.with_suffix(ending) for ending in format.endings)
    for file in files:
        if file.is_dir():
            raise UsageError(f"{file} is a folder; give the name of a file, or of the folder above it")
    with _folder_for(path), ExitStack() as held:
        unfinished = [held.enter_context(replacing(file)) for file in files]
        for file in unfinished:
            file.touch()  # a folder that takes no file says so before anything is computed
        contents = format.encode(network, facts, pixels if calibration is None else calibration)
        for file, data in zip(unfinished, contents, strict=True):
            file.write_bytes(data)
        opened = format.open(unfinished, network)
        agreement = prove(expected, opened, pixels, facts=facts, bound=format.bound, remedy=format.remedy)
    return Exported(files, agreement)


@contextmanager
def _folder_for(path: Path) -> Iterator[None]:
    """Folders that were made for a file which did not come to be go with it."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise
