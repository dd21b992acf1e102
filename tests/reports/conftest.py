"""A run as the report sees it, with everything in it and with names that would break careless HTML."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens.measurement import score
from convlens.runs import RunFolder

NASTY = ['<b>&"', "it's", "<script>alert(1)</script>"]


class FakeManifest(dict[str, Any]):
    def to_dict(self) -> dict[str, Any]:
        return dict(self)


@dataclass
class FakeRun:
    path: Path
    manifest: FakeManifest
    history: list[dict[str, Any]] = field(default_factory=list)
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    explanations: list[dict[str, Any]] = field(default_factory=list)
    measure: dict[str, Any] | None = None

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.path)


def picture(seed: int, kind: str = "JPEG", side: int = 96) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    data = BytesIO()
    Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC).save(data, kind)
    return data.getvalue()


def history(num_epochs: int) -> list[dict[str, Any]]:
    return [
        {
            "step": 40 * epoch,
            "epoch": float(epoch),
            "loss": 0.35 + 2.1 * math.exp(-epoch / 4),
            "accuracy": 1 - 0.85 * math.exp(-epoch / 3),
            "val_loss": 0.4 + 1.9 * math.exp(-epoch / 3.5) + 0.03 * math.sin(3 * epoch),
            "val_accuracy": 0.975 - 0.8 * math.exp(-epoch / 3),
            "learning_rate": 3e-3 * (1 + math.cos(math.pi * epoch / num_epochs)) / 2,
            "images_per_second": 5123.4,
            "seconds": 0.4 * epoch,
        }
        for epoch in range(1, num_epochs + 1)
    ]


def evaluation(classes: list[str], num_pictures: int, path: Path, part: str = "test") -> dict[str, Any]:
    random = np.random.default_rng(0)
    labels = random.integers(0, len(classes), num_pictures)
    logits = random.normal(0, 1, (num_pictures, len(classes)))
    logits[np.arange(num_pictures), labels] += 3.2
    near = random.random(num_pictures) < 0.06
    logits[np.flatnonzero(near), (labels[near] + 1) % len(classes)] += 4
    scores = score(logits, labels, classes).to_dict()
    predicted = logits.argmax(1)
    (path / "thumbnails").mkdir(parents=True, exist_ok=True)
    errors = []
    for i in np.flatnonzero(predicted != labels):
        name = f"thumbnails/{i}.jpg"
        (path / name).write_bytes(picture(int(i)))
        errors.append(
            {
                "key": f"{classes[labels[i]]}/{i:05}.png",
                "truth": classes[labels[i]],
                "predicted": classes[predicted[i]],
                "confidence": float(random.uniform(0.3, 0.99)),
                "thumbnail": name,
            }
        )
    errors.sort(key=lambda error: -error["confidence"])
    return {**scores, "data": "digits", "part": part, "errors": errors}


MEASURE = {
    "layers": [
        {
            "path": path,
            "kind": kind,
            "output_shape": shape,
            "parameters": parameters,
            "macs": macs,
            "flops": 2 * (macs or 0),
            "activation_bytes": 4 * math.prod(shape),
            "receptive_field": field,
            "stride": [1, 1],
        }
        for path, kind, shape, parameters, macs, field in [
            ("stages.c1", "Conv2d", (1, 6, 28, 28), 156, 117_600, [5, 5]),
            ("stages.act1", "ReLU", (1, 6, 28, 28), 0, 0, [5, 5]),
            ("stages.s2", "MaxPool2d", (1, 6, 14, 14), 0, 0, [6, 6]),
            ("stages.c3", "Conv2d", (1, 16, 10, 10), 2_416, 240_000, [14, 14]),
            ("stages.s4", "MaxPool2d", (1, 16, 5, 5), 0, 0, [16, 16]),
            ("stages.c5", "Conv2d", (1, 120, 1, 1), 48_120, 48_000, [32, 32]),
            ("head.f6", "Linear", (1, 84), 10_164, 10_080, None),
            ("head.output", "Linear", (1, 10), 850, 840, None),
            ("head.odd", "Mystery", (1, 10), 0, None, None),
        ]
    ],
    "parameters": 61_706,
    "trainable_parameters": 61_706,
    "macs": 416_520,
    "flops": 850_000,
    "activation_bytes": 32_000,
    "peak_activation_bytes": 24_000,
    "weight_bytes": 246_824,
    "receptive_field": [32, 32],
    "unknown_operators": ["aten.odd"],
}

FINDINGS = [
    {
        "kind": "duplicate",
        "severity": "warning",
        "message": "2 pictures are exact copies of another",
        "keys": ["7/00012.png", "7/00733.png"],
    },
    {
        "kind": "unreadable",
        "severity": "error",
        "message": "1 picture cannot be read: truncated",
        "keys": ["3/0<1>.png"],
    },
    {"kind": "small", "severity": "note", "message": "all pictures are 8 px wide", "keys": []},
]


def manifest(classes: list[str]) -> FakeManifest:
    return FakeManifest(
        name="demo",
        classes=classes,
        created="2026-11-23T09:12:00+00:00",
        seed=0,
        temperature=1.31,
        architecture={
            "name": "lenet5",
            "num_classes": len(classes),
            "in_channels": 1,
            "image_size": [32, 32],
            "options": {"variant": "modern"},
        },
        preprocess={"size": [32, 32], "channels": 1, "fit": "resize"},
        weights={"file": "weights.safetensors", "size_bytes": 247_512, "sha256": "0" * 64},
        metrics={"train_seconds": 8.2, "val": {"accuracy": 0.983, "num_pictures": 179}},
        recipe={
            "epochs": None,
            "budget_s": None,
            "optimiser": "adamw",
            "learning_rate": None,
            "label_smoothing": 0.1,
            "augment": True,
        },
        plan={
            "batch": 64,
            "learning_rate": 0.0021,
            "total_steps": 800,
            "precision": "fp32",
            "layout": "channels_last",
            "threads": 2,
            "segments": [{"step": 0, "progress": 0.0, "total_steps": 800}],
            "measured": [],
        },
        data={
            "name": "digits",
            "source": "digits",
            "num_pictures": 1797,
            "parts": {"train": 1438, "val": 179, "test": 180},
            "fingerprint": "f" * 64,
            "scan": {"num_pictures": 1797, "num_unreadable": 1, "findings": FINDINGS},
        },
        versions={"python": "3.11.9", "convlens": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "pillow": "13.0.0"},
        machine={
            "system": "Linux x86_64",
            "processor": "Some CPU @ 2.50GHz",
            "cpus": 2,
            "flags": ["avx2", "avx512f"],
            "accelerator": None,
        },
    )


def full_run(path: Path, classes: list[str], num_pictures: int = 400, num_epochs: int = 20) -> FakeRun:
    (path / "explanations").mkdir(parents=True)
    explanations = []
    for number, (method, badge) in enumerate([("Grad-CAM", "passed"), ("Saliency", "failed"), ("Filters", None)]):
        file = path / "explanations" / f"{number}.png"
        file.write_bytes(picture(number, "PNG", 300))
        caption = f"test/00{number}.png, class {classes[0]}, layer stages.c3"
        explanations.append({"file": file, "caption": caption, "method": method, "badge": badge})
    return FakeRun(
        path,
        manifest(classes),
        history(num_epochs),
        {"digits": evaluation(classes, num_pictures, path)},
        explanations,
        MEASURE,
    )


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., FakeRun]:
    return partial(full_run, tmp_path / "made")


@pytest.fixture
def whole(tmp_path: Path) -> FakeRun:
    return full_run(tmp_path / "demo", [str(n) for n in range(7)] + NASTY)


@pytest.fixture
def bare(tmp_path: Path) -> FakeRun:
    """As `convlens create` leaves it: nothing trained, nothing evaluated."""
    given = manifest(["a", "b"])
    return FakeRun(
        tmp_path, FakeManifest({**given, "metrics": {}, "recipe": None, "plan": None, "data": None, "seed": None})
    )


@pytest.fixture
def many(tmp_path: Path) -> FakeRun:
    return full_run(tmp_path / "many", [f"class number {n}" for n in range(100)], num_pictures=1500)
