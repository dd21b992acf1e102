"""`convlens doctor`: is this machine well, and are these pictures?"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from convlens.data import Scan, open_images, scan, usable_cpus
from convlens.errors import counted
from convlens.storage import cache_dir
from convlens.training import cpu_flags, describe_machine, has_fast_bf16
from convlens.workbench.gather import check_data_dir
from convlens.workbench.results import Progress, plain
from convlens.workbench.typed import typed

OPTIONAL = {"onnxruntime": "export", "openvino": "fast engines", "pyarrow": "Parquet tables"}
LEAST_DISK = 2 << 30  # bytes


@dataclass(frozen=True)
class Check:
    """`status` is ok, note, warning or error; `remedy` is empty where nothing is to be done."""

    name: str
    status: str
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class DoctorResult:
    """`scan` is None unless pictures were given; `notes` say how they were read, and what was left aside."""

    machine: tuple[Check, ...]
    data: str | None
    classes: tuple[str, ...]
    scan: Scan | None
    notes: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Nothing stands in the way of a training."""
        bad = any(check.status == "error" for check in self.machine)
        if self.scan is None:
            return not bad
        return not bad and len(self.classes) > 1 and all(f.severity != "error" for f in self.scan.findings)

    def to_dict(self) -> dict[str, Any]:
        """Every picture of every finding by its key, where a manifest has examples only."""
        found = {"well": self.well, "machine": plain(self.machine), "data": self.data, "classes": list(self.classes)}
        found["notes"] = list(self.notes)
        if self.scan is None:
            return {**found, "scan": None}
        findings = [{**finding.__dict__, "count": len(finding.keys)} for finding in self.scan.findings]
        return {**found, "scan": {**self.scan.to_dict(), "findings": plain(findings)}}


@typed
def doctor(
    data: str | Path | None = None, *, data_dir: str | Path | None = None, progress: Progress | None = None
) -> DoctorResult:
    """Check the machine and, given a source, every picture of it. Nothing is written anywhere."""
    check_data_dir(data, data_dir)
    checks = tuple(_checks())
    if data is None:
        return DoctorResult(checks, None, (), None)
    images = open_images(data, data_dir=data_dir, progress=progress)
    notes = images.notes
    if len(images.classes) < 2:
        notes += ("only one class: a training needs a folder for each of at least two",)
    if images.parts is not None and "train" not in images.parts:
        notes += ("no training part: a training needs a folder train, or no parts at all",)
    found = scan(images, parts=images.parts, progress=progress)
    return DoctorResult(checks, str(data), images.classes, found, notes)


def _checks() -> Iterator[Check]:
    machine = describe_machine()
    yield Check("Python", "ok", f"{platform.python_version()} on {machine['system']}")
    yield _torch()
    yield Check("processor", "ok", f"{machine['processor']}, {usable_cpus()} usable")
    yield _threads()
    yield _bf16()
    accelerator = machine["accelerator"]
    yield Check("accelerator", "ok" if accelerator else "note", accelerator or "none: training runs on the processor")
    yield _disk("disk for runs", Path.cwd())
    yield _disk("disk for the cache", cache_dir())
    yield _torchvision()
    for package, purpose in OPTIONAL.items():
        yield _optional(package, purpose)


def _torch() -> Check:
    build = "CPU build" if torch.version.cuda is None else f"CUDA {torch.version.cuda} build"
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13):
        return Check("torch", "error", f"{torch.__version__} ({build})", "pip install 'torch>=2.13'")
    return Check("torch", "ok", f"{torch.__version__} ({build})")


def _threads() -> Check:
    usable, used = usable_cpus(), torch.get_num_threads()
    if used > usable:
        return Check(
            "threads",
            "warning",
            f"torch would use {used} threads on {counted(usable, 'granted processor')}",
            f"export OMP_NUM_THREADS={usable} for other programs; convlens sets it by itself",
        )
    return Check("threads", "ok", f"{used} of {usable}")


def _bf16() -> Check:
    flags = ", ".join(sorted(cpu_flags())) or "none known"
    if has_fast_bf16():
        return Check("instructions", "ok", f"{flags}: bf16 is tried, and used where it is faster")
    return Check("instructions", "note", f"{flags}: no fast bf16, training stays in float32")


def _disk(name: str, path: Path) -> Check:
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / 1e9:,.1f} GB free at {existing}"
    if free < LEAST_DISK:
        return Check(name, "warning", found, "free some space, or choose another folder (--out, CONVLENS_CACHE)")
    return Check(name, "ok", found)


def _torchvision() -> Check:
    """Beside a CPU build of torch the registry's torchvision fails on import, and takes other packages down with it."""
    if importlib.util.find_spec("torchvision") is None and "torchvision" not in sys.modules:
        return Check("torchvision", "ok", "absent, and not needed")
    broken = _import_error("torchvision")
    if broken is None:
        return Check("torchvision", "ok", "present and whole; convlens does not use it")
    return Check(
        "torchvision",
        "error",
        f"present but broken ({broken}); packages that look for it fail with it, convlens does not",
        "pip uninstall torchvision, or install the build that matches torch",
    )


def _optional(package: str, purpose: str) -> Check:
    if importlib.util.find_spec(package) is None:
        return Check(package, "note", f"not installed; only {purpose} would use it")
    broken = _import_error(package)
    if broken is not None:
        return Check(package, "warning", f"installed but broken ({broken})", f"pip install --force-reinstall {package}")
    return Check(package, "ok", importlib.metadata.version(package))


def _import_error(package: str) -> str | None:
    """A broken package may raise anything, so everything is caught."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(package)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return None
