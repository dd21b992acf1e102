"""A network of the user's own: `--network file.py:Class` is the only way a command loads somebody's code."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from convlens.errors import UsageError, counted, unknown_name
from convlens.runs import Run
from convlens.storage import sha256_bytes


def open_run(run: Run | str | Path, network: str | None = None) -> Run:
    """The run; `network` (file.py:Class) is needed where it holds a network of the user's own."""
    opened = run if isinstance(run, Run) else Run.load(run)
    if network is None:
        return opened
    if "network" not in opened.manifest.architecture:
        name = opened.manifest.architecture.get("name")
        raise UsageError(
            f"--network {network} came, and {opened.path} holds {name}, a network of the zoo; leave it out"
        )
    with torch.random.fork_rng(devices=[]):  # the values are replaced, the caller's generator is left alone
        model = load_network(network, num_classes=len(opened.classes), in_channels=opened.preprocess.channels)
    return replace(opened, given_model=model)


def open_runs(targets: Sequence[Run | str | Path], network: str | Sequence[str] | None = None) -> list[Run]:
    """Each with its network, where that is the user's own and has not come yet.

    One `network` (file.py:Class) is for all; of several each run takes the one that it was trained as, those of one
    name in their order. UsageError for runs and networks that do not go together.
    """
    networks = [network] if isinstance(network, str) else list(network or ())
    runs = [open_run(target) for target in targets]
    open_ones = [run for run in runs if "network" in run.manifest.architecture and run.given_model is None]
    if not networks:
        return runs
    if not open_ones:
        raise UsageError(
            f"--network {', '.join(networks)} came, and no run here holds a network of your own; leave it out"
        )
    taken = dict.fromkeys(map(id, open_ones), networks[0]) if len(networks) == 1 else _by_name(open_ones, networks)
    return [open_run(run, taken.get(id(run))) for run in runs]


def _by_name(runs: Sequence[Run], networks: Sequence[str]) -> dict[int, str]:
    """The network of each run, by the run's identity."""
    taken: dict[int, str] = {}
    for trained_as in dict.fromkeys(
        [run.manifest.architecture["network"] for run in runs] + [*map(recorded_name, networks)]
    ):
        fitting = [run for run in runs if run.manifest.architecture["network"] == trained_as]
        given = [named for named in networks if recorded_name(named) == trained_as]
        if not fitting or len(given) not in {1, len(fitting)}:
            raise UsageError(
                f"{counted(len(fitting), 'run')} here came from training {trained_as}, and --network named it "
                f"{counted(len(given), 'time')}; name it once, or once for each of them in their order"
            )
        taken |= {id(run): given[place % len(given)] for place, run in enumerate(fitting)}
    return taken


def recorded_name(named: str) -> str:
    """file.py:Class as a run records it, without the file's folder."""
    path, name = split_name(named)
    return f"{Path(path).name}:{name}"


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
    if isinstance(make, nn.Module):
        raise UsageError(f"{named} is a network already; give its class, or a function that makes it")
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
