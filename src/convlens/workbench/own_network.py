"""A network of the user's own: `--network file.py:Class` is the only way a command loads somebody's code."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from convlens.errors import UsageError, unknown_name
from convlens.runs import Run
from convlens.storage import sha256_bytes


def open_run(run: Run | str | Path, network: str | None = None) -> Run:
    """The run; `network` (file.py:Class) is needed where it holds a network of the user's own."""
    opened = run if isinstance(run, Run) else Run.load(run)
    if network is None:
        return opened
    with torch.random.fork_rng(devices=[]):  # the values are replaced, the caller's generator is left alone
        model = load_network(network, num_classes=len(opened.classes), in_channels=opened.preprocess.channels)
    return replace(opened, given_model=model)


def split_name(named: str) -> tuple[str, str]:
    """file.py:Class -> its two parts; raises UsageError when there is no such file."""
    path, _, name = named.rpartition(":")
    if not path or not Path(path).is_file():
        raise UsageError(f"--network came as '{named}'; expected an existing file and a class in it, like net.py:Net")
    return path, name


def load_network(named: str, *, num_classes: int, in_channels: int) -> nn.Module:
    """Run the file, build the class or call the function. It gets num_classes and in_channels where it takes them."""
    path, name = split_name(named)
    with _importable(Path(path).resolve().parent):
        module = _run_file(path)
        if not hasattr(module, name):
            raise unknown_name(f"network in {path}", name, vars(module), "give the class's name after the colon")
        return _build(getattr(module, name), named, {"num_classes": num_classes, "in_channels": in_channels})


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """What lies beside the file can be imported, as when Python runs the file."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(str(folder))


def _run_file(path: str) -> ModuleType:
    name = f"convlens_own_network_{sha256_bytes(str(Path(path).resolve()).encode())[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickle look for what a class's annotations mean
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{path} cannot be run ({type(error).__name__}: {error})") from error
    return module


def _build(make: Any, named: str, offered: dict[str, int]) -> nn.Module:
    try:
        parameters = inspect.signature(make).parameters.values()
        everything = any(p.kind is p.VAR_KEYWORD for p in parameters)
        taken = {p.name for p in parameters}
        network = make(**{key: value for key, value in offered.items() if everything or key in taken})
    except Exception as error:
        raise UsageError(f"{named} cannot be built ({type(error).__name__}: {error})") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{named} gave a {type(network).__name__}; expected a torch.nn.Module")
    return network
