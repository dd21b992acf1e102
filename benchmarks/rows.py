"""MNIST row by row: what recurrent readers reach on the test part, over several seeds.

    python benchmarks/rows.py DATA [--model lstm_rows] [--epochs 10] [--seeds 3]

DATA is the folder that has mnist/. Each seed is `convlens train mnist --model MODEL --epochs N --seed S`, whose
validation tenth of the training part chose the ten epochs (lstm_rows, seed 0, 3, 6 and 10 epochs: 98.70, 98.92 and
99.15 %), and one `convlens evaluate` of the last step's weights.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import convlens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="lstm_rows")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    accuracies = []
    for seed in range(asked.seeds):
        with TemporaryDirectory() as folder:
            options = {"epochs": asked.epochs, "seed": seed, "data_dir": asked.data, "out": Path(folder) / "run"}
            trained = convlens.train("mnist", model=asked.model, **options)
            scores = convlens.evaluate(trained.run, data_dir=asked.data).scores
            machine = convlens.Run.load(trained.run).manifest
        accuracies.append(100 * scores.accuracy)
        told = f"{scores.accuracy:.2%} of {scores.num_pictures:,}, validation {trained.val_accuracy:.2%}"
        print(f"seed {seed}: {told}, {trained.seconds:.0f} s", flush=True)
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    print(f"{asked.model}: {statistics.mean(accuracies):.2f}{spread} %, {asked.epochs} epochs, torch", end=" ")
    print(f"{machine.versions['torch']}, {machine.machine['processor']}, {machine.machine['cpus']} processors")


if __name__ == "__main__":
    main()
