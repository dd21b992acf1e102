"""The names in a run folder. docs/run-format.md describes each file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / "run.json"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def packed(self) -> Path:
        """The weights of a run that stores them in few bytes, instead of `weights`."""
        return self.path / "weights.packed"

    @property
    def splits(self) -> Path:
        return self.path / "splits.csv"

    @property
    def looks(self) -> Path:
        return self.path / "looks.safetensors"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluation"

    @property
    def thumbnails(self) -> Path:
        return self.path / "thumbnails"

    @property
    def overlays(self) -> Path:
        return self.path / "overlays"

    @property
    def explanations(self) -> Path:
        return self.path / "explanations"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    @property
    def report(self) -> Path:
        return self.path / "report.html"
