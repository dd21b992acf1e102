"""What an engine is opened on: a network, or a file that was exported from one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from convlens.errors import ConvlensError, ExportError, UsageError, check_count
from convlens.exporting import onnx_bytes
from convlens.graph import bare_network, check_values
from convlens.layers.computed_weights import check_copyable
from convlens.storage import make_room, sha256_bytes, touch, write_bytes

DIGEST = 64  # hexadecimal digits


class Model:
    """A network, or the bytes or path of an ONNX file, with the shape of one picture (C, H, W).

    The network is exported once for all engines that want ONNX, and once for all time where the file is `kept` at a
    path of the cache that names the network's weights.
    """

    def __init__(
        self, source: nn.Module | bytes | str | Path, input_shape: Sequence[int], *, kept: Path | None = None
    ) -> None:
        if not isinstance(source, nn.Module | bytes | str | Path):
            raise UsageError(f"a {type(source).__name__} came; expected an nn.Module or an ONNX file")
        self.source = _checked_weights(bare_network(source)) if isinstance(source, nn.Module) else source
        self.input_shape = tuple(check_count("a size of the input shape", size) for size in input_shape)
        self.kept = kept
        self._failed: ConvlensError | None = None

    @property
    def network(self) -> nn.Module:
        if not isinstance(self.source, nn.Module):
            raise UsageError("torch runs networks, and an ONNX file came; take onnxruntime or openvino")
        return self.source

    @cached_property
    def onnx(self) -> bytes:
        """Raises MissingExtra without onnx, ExportError for a network that cannot be written."""
        if isinstance(self.source, bytes):
            return self.source
        if not isinstance(self.source, nn.Module):
            return _read(Path(self.source))
        if (kept := self._kept_before()) is not None:
            return kept
        if self._failed is not None:
            raise self._failed  # the next engine would wait for the same
        try:
            written = onnx_bytes(self.source, self.input_shape)
        except ConvlensError as error:
            self._failed = error
            raise
        if self.kept is not None:
            self._keep(written)
        return written

    def _kept_before(self) -> bytes | None:
        """What was kept, unless it was damaged since: its digest stands behind it."""
        if self.kept is None or not self.kept.is_file():
            return None
        touch(self.kept)
        data = _read(self.kept)
        written = data[:-DIGEST]
        return written if data[-DIGEST:] == sha256_bytes(written).encode() else None

    def _keep(self, written: bytes) -> None:
        assert self.kept is not None
        try:
            make_room(len(written))
            write_bytes(self.kept, written + sha256_bytes(written).encode())
            touch(self.kept)
        except ConvlensError:
            self.kept = None  # a full disk costs the next command a few seconds, and this one nothing


def _checked_weights(network: nn.Module) -> nn.Module:
    """The network itself; NetworkError where torch cannot copy it.

    UsageError where something has no values yet, or filters or matrices are not float32.
    """
    check_values(network)
    check_copyable(network)
    for name, weight in network.named_parameters():
        if weight.ndim > 1 and weight.is_floating_point() and weight.dtype != torch.float32:
            raise UsageError(f"'{name}' of {type(network).__name__} is of {weight.dtype}; give network.float()")
    return network


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path} cannot be read ({error.strerror}); give an ONNX file") from error
