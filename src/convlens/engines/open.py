"""Open an engine by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from convlens.engines.engine import Engine, Settings
from convlens.engines.model import Model
from convlens.engines.onnx_runtime import OnnxRuntimeEngine
from convlens.engines.openvino_engine import OpenVinoEngine
from convlens.engines.plain_engine import PlainEngine
from convlens.engines.torch_engine import TorchEngine
from convlens.errors import unknown_name

PLAIN = "plain"
ENGINES: dict[str, type[PlainEngine] | type[TorchEngine] | type[OnnxRuntimeEngine] | type[OpenVinoEngine]] = {
    "torch": TorchEngine,
    "onnxruntime": OnnxRuntimeEngine,
    "openvino": OpenVinoEngine,
    PLAIN: PlainEngine,
}


def open_engine(
    name: str,
    network: nn.Module | bytes | str | Path | Model,
    input_shape: Sequence[int] | None = None,
    *,
    threads: int = 1,
    precision: str = "fp32",
    streams: int = 1,
    compiled: bool = False,
) -> Engine:
    """An engine for a network, or an ONNX file of it, whose pictures have the shape (C, H, W).

    Raises UsageError for a name that nobody has, MissingExtra for what is not installed, ExportError or NetworkError
    for a network that it cannot run.
    """
    check_engine(name)
    model = network if isinstance(network, Model) else Model(network, input_shape or ())
    return open_with(Settings(name, precision, threads, streams, compiled), model)


def open_with(settings: Settings, model: Model) -> Engine:
    """The same for settings that were chosen before."""
    check_engine(settings.name)
    return ENGINES[settings.name](settings, model)


def check_engine(name: str, *, others: Sequence[str] = ()) -> None:
    """UsageError for a name that is neither an engine's nor one of `others`."""
    known = [*ENGINES, *others]
    if name not in known:
        raise unknown_name("engine", name, known, f"they are {', '.join(known)}")
