"""The run folder: the one contract between all commands."""

from convlens.runs.folder import RunFolder
from convlens.runs.history import append_history, read_history, rewind_history
from convlens.runs.looks import SeenLooks, read_looks, seen_looks
from convlens.runs.manifest import FORMAT_VERSION, NEWEST_FORMAT, Manifest, installed_versions, read_manifest
from convlens.runs.run import Run, read_evaluation, read_weights, save_run
from convlens.runs.splits import Splits, make_splits, read_splits

__all__ = [
    "FORMAT_VERSION",
    "NEWEST_FORMAT",
    "Manifest",
    "Run",
    "RunFolder",
    "SeenLooks",
    "Splits",
    "append_history",
    "installed_versions",
    "make_splits",
    "read_evaluation",
    "read_history",
    "read_looks",
    "read_manifest",
    "read_splits",
    "read_weights",
    "rewind_history",
    "save_run",
    "seen_looks",
]
