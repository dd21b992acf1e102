"""What an engine is: pictures in, logits out, whatever runs the network. N, C, H, W: batch, channels, height, width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

from convlens.errors import ExportError, NetworkError, UsageError, check_count, counted, unknown_name

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Settings:
    """How an engine runs. `streams` are batches at once: each batch is cut into so many, which share the threads.

    `compiled` is torch's compiler, which takes 20 to 40 s at the first batch of each size.
    """

    name: str
    precision: str = "fp32"
    threads: int = 1
    streams: int = 1
    compiled: bool = False

    def __post_init__(self) -> None:
        check_count("threads", self.threads)
        check_count("streams", self.streams)
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", str(self.precision), PRECISIONS, f"choose {' or '.join(PRECISIONS)}")

    def __str__(self) -> str:
        parts = [self.name, self.precision, f"{self.threads} thread{'s' * (self.threads > 1)}"]
        parts += [f"{self.streams} streams"] * (self.streams > 1) + ["compiled"] * self.compiled
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def checked_logits(found: object, name: str) -> Tensor:
    """What a network gave, if it is (N, K); else NetworkError."""
    if isinstance(found, Tensor) and found.ndim == 2:
        return found
    what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    raise NetworkError(f"{name} gives {what}; engines run networks that give logits (N, K)")


def check_outputs(count: int) -> None:
    """NetworkError for a file with other outputs beside the logits: none says which of them they are."""
    if count != 1:
        raise NetworkError(f"the exported network gives {count} outputs; engines run networks that give logits (N, K)")


def check_batch(size: object, title: str) -> None:
    """ExportError for a file whose first size is a number, which a runtime may take for another without a word."""
    if isinstance(size, int):
        raise ExportError(
            f"the batch of the file is fixed at {counted(size, 'picture')}, and {title} is to run it for any; export "
            "the network with a free batch, as `convlens export` does"
        )


class Engine(ABC):
    """(N, C, H, W) float32 -> (N, K) float32 logits on the CPU, for any N; `close` frees what it holds.

    `thread_safe` says whether several threads may call it at once. The network that it came from is never changed.
    """

    thread_safe = False

    def __init__(self, settings: Settings, input_shape: tuple[int, ...]) -> None:
        self.settings, self.input_shape = settings, tuple(input_shape)
        self.closed = False

    @property
    def name(self) -> str:
        return self.settings.name

    def __call__(self, images: Tensor) -> Tensor:
        if self.closed:
            raise UsageError(f"the engine '{self.name}' is closed; open another")
        if images.dtype != torch.float32 or tuple(images.shape[1:]) != self.input_shape or images.device.type != "cpu":
            wanted = ", ".join(map(str, self.input_shape))
            raise UsageError(
                f"the engine '{self.name}' got {images.dtype} of shape {tuple(images.shape)} on {images.device}; "
                f"expected float32 of shape (N, {wanted}) on the CPU"
            )
        if len(images) == 0:
            return self(torch.zeros(1, *self.input_shape))[:0]
        found = checked_logits(self._logits(images.detach()), "the network").float()
        if len(found) != len(images):
            raise NetworkError(
                f"the network gives {counted(len(found), 'row')} of logits for {counted(len(images), 'picture')}; "
                "engines run networks that answer each picture by itself"
            )
        return found

    def close(self) -> None:
        """It may be called twice."""
        if not self.closed:
            self.closed = True
            self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _logits(self, images: Tensor) -> Any:
        """What the network gives for a batch with one picture at least, unchecked."""

    @abstractmethod
    def _free(self) -> None: ...
