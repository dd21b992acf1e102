"""A run: a network with its weights, its preprocessing, its classes and where they came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from convlens.errors import NetworkError, RunError, StorageError, UsageError, counted
from convlens.graph import ChannelPlan, apply_channel_plan
from convlens.layers.fake_quantised import fake_quantised, scales_from_json
from convlens.pictures import Preprocess
from convlens.runs.entries import evaluation_damage
from convlens.runs.folder import RunFolder
from convlens.runs.history import read_history
from convlens.runs.looks import SeenLooks, read_looks
from convlens.runs.manifest import Manifest, read_manifest, write_manifest
from convlens.runs.splits import Splits, read_splits
from convlens.runs.whole import RESTORE, check_whole, unusable
from convlens.storage import pack, sha256_bytes, unpack, write_bytes
from convlens.zoo import Architecture, build


@dataclass(frozen=True)
class Run:
    """What every command takes. `Run.load(path)` reads it; nothing in it is pickled and no code is imported."""

    path: Path
    manifest: Manifest
    given_model: nn.Module | None = field(default=None, repr=False)

    @classmethod
    def load(cls, path: str | Path, *, model: nn.Module | None = None) -> Run:
        """Open a run folder; `model` is needed only where the network is the user's own.

        Raises RunError when the folder is no run, is damaged, or a newer convlens wrote it.
        """
        folder = RunFolder(Path(path))
        return cls(folder.path, read_manifest(folder.manifest), model)

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.path)

    @property
    def weights_file(self) -> Path:
        packed = self.folder.packed
        return packed if self.manifest.weights.get("file") == packed.name else self.folder.weights

    @property
    def classes(self) -> tuple[str, ...]:
        return self.manifest.classes

    @property
    def temperature(self) -> float:
        return self.manifest.temperature

    @cached_property
    def preprocess(self) -> Preprocess:
        try:
            return Preprocess.from_dict(self.manifest.preprocess)
        except UsageError as error:
            raise RunError(f"{self.folder.manifest} is damaged: {error}; {RESTORE}") from error

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return (1, self.preprocess.channels, *self.preprocess.size)

    @cached_property
    def model(self) -> nn.Module:
        """The network with its weights, in eval mode. Raises RunError when they do not fit or were changed."""
        model = self.pruned(self.given_model if self.given_model is not None else self._build())
        path, described = self.weights_file, self.manifest.weights
        weights = read_weights(path, sha256=described["sha256"], size_bytes=described.get("size_bytes"))
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            named = self.manifest.architecture.get("network")
            remedy = RESTORE if named is None else f"the run was trained as {named}: give that network"
            raise RunError(f"{path} does not fit the network: {reason}; {remedy}") from error
        model = self.quantised(model)
        self._check_fit(model.eval())
        return model

    def pruned(self, model: nn.Module) -> nn.Module:
        """With the channels that are left of it, where it was pruned; a network that has just these stays as it is."""
        if self.manifest.channel_plan is None:
            return model
        try:
            plan = ChannelPlan.from_dict(self.manifest.channel_plan)
            return model if plan.holds(model) else apply_channel_plan(model, plan)
        except NetworkError as error:
            raise RunError(f"{self.folder.manifest}: {error}; {RESTORE}") from error

    def quantised(self, model: nn.Module) -> nn.Module:
        """Rounding as its 8-bit version does, where the run is quantised; else the network itself."""
        if self.manifest.quantisation is None:
            return model
        try:
            return fake_quantised(model, scales_from_json(self.manifest.quantisation["inputs"]))
        except NetworkError as error:
            raise RunError(f"{self.folder.manifest}: {error}; {RESTORE}") from error

    def _check_fit(self, model: nn.Module) -> None:
        """RunError where the network cannot read what the preprocessing gives, or answers for other classes.

        Asked of the network itself unless it was built for just these pictures.
        """
        built = self.manifest.architecture
        (_, channels, height, width), where = self.input_shape, self.folder.manifest
        if (built.get("in_channels"), built.get("image_size")) == (channels, [height, width]) and "name" in built:
            return
        device = next((parameter.device for parameter in model.parameters()), None)
        try:
            with torch.inference_mode():
                logits = model(torch.zeros(self.input_shape, device=device))
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(
                f"{where} prepares pictures of {height}×{width} px with {counted(channels, 'channel')}, which its "
                f"network cannot read ({reason}); {RESTORE}"
            ) from error
        if isinstance(logits, Tensor) and logits.shape[-1:] != (len(self.classes),):
            named = counted(len(self.classes), "class", "classes")
            raise RunError(f"{where} names {named}, and its network gives {[1, *logits.shape][-1]:,}; {RESTORE}")

    def _build(self) -> nn.Module:
        if "network" in self.manifest.architecture:
            named = self.manifest.architecture["network"]
            raise RunError(
                f"{self.path} holds a network of your own ({named}); give it with --network {named}, "
                "or from Python as Run.load(path, model=network)"
            )
        with torch.random.fork_rng(devices=[]):  # the values are replaced, the caller's generator is left alone
            try:
                return build(Architecture.from_dict(self.manifest.architecture))
            except (UsageError, NetworkError, TypeError, ValueError, RuntimeError) as error:
                where = self.folder.manifest
                raise RunError(f"{where} names a network that cannot be built: {error}; {RESTORE}") from error

    @cached_property
    def splits(self) -> Splits | None:
        """Which picture went to which part; None for a run that was not trained here.

        Raises RunError when the file is missing or was changed: nobody could tell then what was trained on.
        """
        if self.manifest.data is None:
            return None
        path, known = self.folder.splits, self.manifest.data.get("splits_sha256")
        if known:
            check_whole(path, known)
        return read_splits(path)

    @cached_property
    def looks(self) -> SeenLooks | None:
        """How the large pictures look that it was trained on; None where all its hashes are of pixels at full size."""
        sha256 = (self.manifest.data or {}).get("looks_sha256")
        return None if sha256 is None else read_looks(self.folder.looks, sha256=sha256)

    @property
    def history(self) -> list[dict[str, Any]]:
        return read_history(self.folder.history)

    @property
    def evaluations(self) -> dict[str, dict[str, Any]]:
        return {path.stem: read_evaluation(path) for path in sorted(self.folder.evaluations.glob("*.json"))}

    @property
    def explanations(self) -> list[dict[str, Any]]:
        """What `explain` wrote: dicts of file (a PNG path), caption, method, badge."""
        rows = []
        for path in sorted(self.folder.explanations.glob("*.json")):
            row = _read_json(path, remedy := "delete it and run `convlens explain` again")
            if not isinstance(row.get("file"), str):
                raise RunError(f"{path} is damaged (it names no file); {remedy}")
            rows.append({**row, "file": self.folder.explanations / row["file"]})
        return rows


def read_evaluation(path: Path) -> dict[str, Any]:
    """The scores on one source. Raises RunError where the file is damaged."""
    remedy = "`convlens evaluate` on the same pictures writes it anew, or delete it"
    values = _read_json(path, remedy)
    if damage := evaluation_damage(values):
        raise RunError(f"{path} is damaged ({damage}); {remedy}")
    return values


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no table")
        return values
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: lists in lists, a thousand deep
        raise RunError(f"{path} is damaged ({error}); {remedy}") from error


def read_weights(path: Path, *, sha256: str | None = None, size_bytes: int | None = None) -> dict[str, Tensor]:
    """A safetensors or packed file -> its tensors; with `sha256`, the file must be that one."""
    if sha256 is not None:
        check_whole(path, sha256, size_bytes)
    try:
        if path.suffix == ".packed":
            return {name: torch.from_numpy(array) for name, array in unpack(path.read_bytes()).items()}
        return load_file(path)
    except (OSError, SafetensorError, StorageError) as error:
        raise unusable(path, error) from error


def save_run(folder: RunFolder, manifest: Manifest, weights: dict[str, Tensor], *, packed: bool = False) -> Run:
    """Write weights, then the manifest with their digest: a folder with a run.json is whole.

    `packed`: in few bytes where they are few values or many zeros, as `shrinking` makes them; nothing is rounded.
    """
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    path = folder.packed if packed else folder.weights
    data = pack({name: tensor.numpy() for name, tensor in stored.items()}) if packed else save(stored)
    write_bytes(path, data)
    described = {"file": path.name, "sha256": sha256_bytes(data), "size_bytes": len(data)}
    manifest = Manifest(**{**manifest.__dict__, "weights": {**manifest.weights, **described}})
    write_manifest(folder.manifest, manifest)
    return Run(folder.path, manifest)
