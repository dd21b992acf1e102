"""Are the pictures that `maximise` grows for digits more readable with the regularisers of drawings?

    python benchmarks/maximise.py [--seeds 3] [--sheets FOLDER]

For each seed a LeNet-5 learns the bundled digits, as in `convlens demo`. Its ten pictures are compared with the mean
digits of the training part, by the correlation of pixels: with those of photographs, of drawings, and of drawings with
a margin. `--sheets` draws them.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import convlens
from convlens.explanation import maximise
from convlens.explanation.regularisers import DRAWING, PHOTOGRAPH
from convlens.pictures import contact_sheet

KINDS = {"photograph": PHOTOGRAPH, "drawing": replace(DRAWING, margin=0.0), "margin": replace(DRAWING, margin=1.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sheets", type=Path)
    asked = parser.parse_args()
    alike: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(1, asked.seeds + 1):
        with TemporaryDirectory() as folder:
            convlens.train("digits", model="lenet5", epochs=30, seed=seed, out=Path(folder) / "run")
            run = convlens.Run.load(Path(folder) / "run")
            network, means = run.model, mean_digits(run)  # both are read from the folder
        for kind, regularisers in KINDS.items():
            pictures = grown(network, run, asdict(regularisers))
            found = [np.corrcoef(one.ravel(), mean.ravel())[0, 1] for one, mean in zip(pictures, means, strict=True)]
            alike[kind].append(float(np.mean(found)))
            print(f"seed {seed}, {kind}: {alike[kind][-1]:.2f}", flush=True)
            if asked.sheets:
                asked.sheets.mkdir(parents=True, exist_ok=True)
                contact_sheet(list(pictures), columns=10, tile=84).save(asked.sheets / f"{kind}-{seed}.png")
    machine = run.manifest.machine
    print({kind: f"{np.mean(found):.2f}" for kind, found in alike.items()}, end=" ")
    print(f"torch {torch.__version__}, {machine['processor']}, {machine['cpus']} processors")


def mean_digits(run: convlens.Run) -> np.ndarray:
    """(10, H, W) of the training part, as the network sees them."""
    digits, splits = load_digits(), run.splits
    assert splits is not None
    rows = np.array([int(splits.keys[row]) for row in splits.indices("train")])
    seen = run.preprocess([np.round(picture * 255 / 16).astype(np.uint8) for picture in digits.images[rows]])
    return np.stack([seen[torch.from_numpy(digits.target[rows] == k)].mean(0)[0].numpy() for k in range(10)])


def grown(network: nn.Module, run: convlens.Run, regularisers: dict[str, float]) -> np.ndarray:
    """(10, H, W) uint8."""
    prepare = run.preprocess
    shape = (prepare.channels, *prepare.size)
    return maximise(network, range(10), shape, mean=prepare.mean, std=prepare.std, **regularisers).pictures[..., 0]


if __name__ == "__main__":
    main()
