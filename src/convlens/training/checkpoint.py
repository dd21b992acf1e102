"""One file holds all that training needs to go on: tensors, and JSON in the safetensors header. Never pickled.

The file is replaced atomically, so that a kill at any moment leaves the previous one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from convlens.errors import RunError
from convlens.storage import write_bytes
from convlens.training.average import WeightAverage
from convlens.training.optimisers import Optimiser

FORMAT = 1


def write_checkpoint(
    path: Path,
    network: nn.Module,
    optimiser: Optimiser,
    average: WeightAverage | None,
    facts: dict[str, Any],
) -> None:
    """Weights, optimiser state and running mean as tensors; `facts` as JSON."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if average:
        tensors |= {f"average.{name}": value for name, value in average.network.state_dict().items()}
    tensors |= {f"optimiser.{name}": value for name, value in optimiser.tensors().items()}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, save(plain, metadata={"convlens": json.dumps({"format": FORMAT, **facts})}))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """-> (tensors, facts). Raises RunError when it is missing, damaged or newer."""
    return _read(path, lambda facts, names: names)


def look_into_checkpoint(path: Path) -> tuple[Tensor | None, dict[str, Any]]:
    """-> (weights of the first layer, where there are any, facts): the rest is not read. Raises as the above."""
    tensors, facts = _read(path, lambda facts, names: names & {f"network.{facts.get('first_layer')}.weight"})
    return next(iter(tensors.values()), None), facts


def _read(
    path: Path, wanted: Callable[[dict[str, Any], set[str]], set[str]]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["convlens"])
            newer = facts["format"] > FORMAT
            names = wanted(facts, set(file.keys()))
            tensors = {name: file.get_tensor(name) for name in file.keys() if name in names}  # noqa: SIM118 (no dict)
    except FileNotFoundError as error:
        raise RunError(
            f"{path.parents[1]} holds no checkpoint to go on from; start it with `convlens train DATA`"
        ) from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); training cannot go on from it") from error
    if newer:
        raise RunError(f"{path} was written by a newer convlens; update convlens")
    return tensors, facts


def restore(
    tensors: dict[str, Tensor], network: nn.Module, optimiser: Optimiser, average: WeightAverage | None
) -> None:
    """Put a checkpoint's tensors back, in place. Raises RunError where the network is another than the checkpoint's."""
    try:
        network.load_state_dict(_under(tensors, "network."))
        if average:
            average.network.load_state_dict(_under(tensors, "average."))
        optimiser.restore(_under(tensors, "optimiser."))
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"the checkpoint is of another network ({reason}); give the one that was trained") from error


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
