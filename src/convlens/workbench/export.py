"""`convlens export`: a run as a file for other programs, proved on real pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlens.errors import UsageError, counted
from convlens.exporting import (
    FORMATS,
    Agreement,
    Facts,
    Format,
    export_network,
    find_format,
    metadata_bytes,
    signature_of,
    snippet,
)
from convlens.runs import Run, installed_versions
from convlens.workbench.own_network import open_run
from convlens.workbench.predict import Picture
from convlens.workbench.real_pictures import calibrating_pictures, proving_pictures
from convlens.workbench.typed import typed

PRIVATE = ("source", "data_dir", "scan")  # of a manifest's `data`: paths and names of files
TRAVELS = ("name", "architecture", "created", "channel_plan", "seed", "versions")  # of a manifest, in every file


@dataclass(frozen=True)
class ExportedFile:
    path: Path
    size_bytes: int


@dataclass(frozen=True)
class ExportResult:
    """`agreement` is the proof, on pictures that are `pictures_from`; `unreadable` of them were left out.

    `input` and `output` are the names in the file; `snippet` is a program that runs it without convlens and torch, None
    where the format needs torch.
    """

    run: Path
    format: str
    preprocess: str
    input: str
    output: str
    files: tuple[ExportedFile, ...]
    agreement: Agreement
    pictures_from: str
    unreadable: tuple[str, ...]
    calibrated_on: str | None
    snippet: str | None
    seconds: float


@typed
def export(
    run: Run | str | Path,
    pictures: Picture | Sequence[Picture] = (),
    *,
    format: str = "onnx",
    preprocess: str = "outside",
    out: str | Path | None = None,
    network: str | None = None,
) -> ExportResult:
    """Write the run's network as a file, and prove on real pictures that the file gives the same answers.

    `format` is onnx, onnx-int8, openvino (two files, .xml and .bin), torch-export or safetensors (weights alone). With
    `preprocess` "inside", (x / 255 - mean) / std, the temperature and the softmax are in the file too: uint8 pixels
    (N, H, W, C) become probabilities. The proof takes 50 of the `pictures`, 200 of an int8 file, else of the run's own
    held-out ones, else its thumbnails; int8 is calibrated on 200 of the training part while that is there. `out` is a
    file or a folder, by default the run's `exports/`; `network` (file.py:Class) goes with a run of your own network.
    Raises ExportError, and leaves no file, where the file would not agree.
    """
    began = time.monotonic()
    opened = open_run(run, network)
    wanted = find_format(format)
    if opened.manifest.quantisation is not None:
        wanted = wanted.of_eight_bits()
    facts = facts_of(opened, wanted, preprocess)
    path = _path(opened, wanted, preprocess, out)
    wanted.check()
    model = opened.model  # a damaged run says so before pictures are decoded
    proving = proving_pictures(opened, pictures, wanted.most_pictures)
    others = calibrating_pictures(opened, proving) if wanted.calibrated else None
    calibration = None if others is None else others.pixels
    written = export_network(model, path, format=wanted, facts=facts, pixels=proving.pixels, calibration=calibration)
    return ExportResult(
        run=opened.path,
        format=wanted.name,
        preprocess=preprocess,
        input=facts.signature.input,
        output=facts.signature.output,
        files=tuple(ExportedFile(file, file.stat().st_size) for file in written.files),
        agreement=written.agreement,
        pictures_from=proving.source,
        unreadable=proving.unreadable,
        calibrated_on=None if others is None else f"{counted(len(others.pixels), 'picture')}, {others.source}",
        snippet=snippet(wanted.name, written.files[0]),
        seconds=round(time.monotonic() - began, 3),
    )


def facts_of(run: Run, wanted: Format, preprocess: str) -> Facts:
    """What travels in the file beside the network."""
    signature = signature_of(preprocess)
    if preprocess == "inside" and not wanted.holds_graph:
        raise UsageError(f"--preprocess inside came for {wanted.name}, which holds weights alone; leave it out")
    return Facts(run.classes, run.preprocess, run.temperature, signature, _provenance(run, wanted))


def bytes_beside(run: Run) -> int:
    """That what travels beside the network takes in an ONNX file."""
    return metadata_bytes(facts_of(run, FORMATS["onnx"], "outside").to_texts())


def _provenance(run: Run, wanted: Format) -> dict[str, Any]:
    """Where the weights come from, without a path of this machine; weights alone take all of the manifest along."""
    manifest = run.manifest.to_dict()
    data = {key: value for key, value in (manifest["data"] or {}).items() if key not in PRIVATE}
    told = {key: manifest[key] for key in TRAVELS}
    told |= {"weights_sha256": run.manifest.weights["sha256"], "exported_with": installed_versions()}
    if not wanted.holds_graph:
        weights = {**manifest["weights"], "from": Path(str(manifest["weights"].get("from"))).name}
        plan = manifest["plan"] and {**manifest["plan"], "teacher": _by_name(manifest["plan"].get("teacher"))}
        told["manifest"] = {**manifest, "weights": weights, "data": data or None, "plan": plan, "machine": {}}
    return told


def _by_name(teacher: dict[str, Any] | None) -> dict[str, Any] | None:
    return teacher and {**teacher, "run": Path(teacher["run"]).name}


def _path(run: Run, wanted: Format, preprocess: str, out: str | Path | None) -> Path:
    """The first file; a name without an ending is that of a folder."""
    name = f"{wanted.stem}{'-pixels' if preprocess == 'inside' else ''}{wanted.endings[0]}"
    if out is None:
        return run.folder.exports / name
    path = Path(out)
    if path.is_dir() or not path.suffix or str(out).endswith(("/", "\\")):
        return path / name
    inside, exports = path.resolve().parent, run.folder.exports.resolve()
    if inside.is_relative_to(run.path.resolve()) and not inside.is_relative_to(exports):
        raise UsageError(
            f"--out came as {path}, among the run's own files, which stay as they are; leave it out, or go elsewhere"
        )
    if path.suffix.lower() != wanted.endings[0]:
        raise UsageError(
            f"--out came as {path}; {wanted.title} ends in {wanted.endings[0]}, so expected a name like "
            f"{path.with_suffix(wanted.endings[0])}, or a folder"
        )
    return path
