"""Fine-tuning after pruning: how high a rate, and what is lost without it.

    python benchmarks/pruning.py [--data digits] [--network sprint_mnist] [--seeds 3] [--epochs 12] [--after 4]

Trains a network, removes half of the channels of every layer, and fine-tunes at shares of the rate of a new training.
Accuracies are on the validation part; the test part is not looked at.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import convlens
from convlens.runs import Run

SHARES = (0.1, 0.25, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--network", default="sprint_mnist")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--after", type=int, default=4)
    asked = parser.parse_args()
    length = f"{asked.epochs} epochs, half pruned, {asked.after} epochs"
    print(f"{asked.network} on {asked.data}, {length}; torch {torch.__version__}")
    found: dict[str, list[float]] = {"before": [], **{f"rate x {share:g}": [] for share in SHARES}}
    for seed in range(asked.seeds):
        with TemporaryDirectory() as folder:
            for name, accuracy in one_seed(asked, seed, Path(folder)).items():
                found[name].append(accuracy)
    for name, values in found.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name:12} {100 * statistics.mean(values):6.2f} +- {100 * spread:.2f} %")


def one_seed(asked: argparse.Namespace, seed: int, folder: Path) -> dict[str, float]:
    fixed = {"seed": seed, "precision": "fp32", "threads": 1, "data_dir": asked.data_dir}
    out = folder / "whole"
    whole = convlens.train(asked.data, model=asked.network, epochs=asked.epochs, out=out, **fixed)
    rate = (Run.load(out).manifest.plan or {})["learning_rate"]
    found = {"before": whole.val_accuracy or 0.0}
    for share in SHARES:
        small = folder / f"small{share}"
        convlens.shrink(out, prune=0.5, epochs=asked.after, learning_rate=share * rate, teach=False, out=small, **fixed)
        found[f"rate x {share:g}"] = Run.load(small).manifest.metrics["val"]["accuracy"]
    return found


if __name__ == "__main__":
    main()
