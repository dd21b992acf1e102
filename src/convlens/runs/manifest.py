"""`run.json`: everything about a run but its weights. docs/run.schema.json is its schema."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shlex import quote
from typing import Any

from convlens.errors import RunError
from convlens.runs.entries import damage_of
from convlens.runs.whole import RESTORE
from convlens.storage import FolderLock, write_json

FORMAT_VERSION = 2
NEWEST_FORMAT = 3  # of a quantised run, which a reader of 2 would take for a float one; a higher one is refused


@dataclass(frozen=True)
class Manifest:
    """The content of `run.json`, in its order."""

    name: str
    architecture: dict[str, Any]
    classes: tuple[str, ...]
    preprocess: dict[str, Any]
    weights: dict[str, Any]
    created: str
    temperature: float = 1.0
    metrics: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    channel_plan: dict[str, Any] | None = None
    quantisation: dict[str, Any] | None = None
    seed: int | None = None
    keep_pictures: bool = True
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        given = values.pop("format_version")
        return {
            "format_version": given if self.quantisation is None else NEWEST_FORMAT,
            **values,
            "classes": list(self.classes),
        }


def write_manifest(path: Path, manifest: Manifest) -> None:
    write_json(path, manifest.to_dict())


def read_manifest(path: Path) -> Manifest:
    """Raises RunError when there is no manifest, it is damaged, or a newer convlens wrote it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(_not_a_run(path.parent)) from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); {RESTORE}") from error
    except (ValueError, RecursionError) as error:
        cut = "it is empty" if not path.stat().st_size else f"it is no whole JSON: {error}"
        raise RunError(f"{path} is damaged ({cut}); {RESTORE}") from error
    found = values.get("format_version") if isinstance(values, dict) else None
    if not isinstance(found, int):
        raise RunError(f"{path} has no format_version; it is not a convlens run")
    if found > NEWEST_FORMAT:
        raise RunError(f"{path} has format {found}, this convlens reads up to {NEWEST_FORMAT}; update convlens")
    kept: dict[str, Any] = {key: values[key] for key in Manifest.__dataclass_fields__ if key in values}
    if damage := damage_of(kept):
        raise RunError(f"{path} is damaged: {damage}; {RESTORE}")
    return Manifest(**{**kept, "classes": tuple(kept["classes"])})


def _not_a_run(folder: Path) -> str:
    named, held = quote(str(folder)), FolderLock(folder).is_held()
    if (folder / "checkpoints" / "last.safetensors").exists():
        if held:
            return (
                f"{folder} is a training that is still running; wait until it ends: `convlens serve {named}` shows it"
            )
        return f"{folder} is a training that has not ended; `convlens train --resume {named}` goes on with it"
    if held:
        return f"{folder} is no run yet: a process is still making it; wait until it ends"
    if (folder / "weights.safetensors").exists() or (folder / "weights.packed").exists():
        return f"{folder / 'run.json'} is missing, though the weights are there; {RESTORE}"
    if not folder.exists():
        return f"{folder} does not exist; a run is the folder that `convlens train` or `convlens create` wrote"
    if folder.is_file():
        whole = f"; give {folder.parent}" if (folder.parent / "run.json").exists() else ""
        return f"{folder} is a file, and a run is a folder that `convlens train` or `convlens create` wrote{whole}"
    return f"{folder} is no run: it holds no run.json; a run is the folder that `convlens train` wrote"


def installed_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("convlens", "torch", "numpy", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
