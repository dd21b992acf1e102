"""The demo's training with several seeds: how accurate it is on held-out digits, and how much that varies.

    python examples/seeds.py         five seeds, about a minute on two cores; checks that the mean is at least 97 %

Each seed divides the 1,797 pictures anew, draws other initial weights and other augmentation. The last step's weights
are scored on the test part once; nothing was chosen on it. Prints the line that the README quotes.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import convlens


def main(num_seeds: int = 5) -> None:
    accuracies, seconds = [], []
    for seed in range(num_seeds):
        with TemporaryDirectory() as folder:
            trained = convlens.train("digits", model="lenet5", epochs=30, seed=seed, out=Path(folder) / "run")
            scores = convlens.evaluate(trained.run).scores
            manifest = convlens.Run.load(trained.run).manifest
        plan = manifest.plan or {}
        how = f"{trained.seconds:.1f} s, {plan['precision']}, {plan['layout']}, {plan['threads']} threads"
        print(f"seed {seed}: {scores.accuracy:.2%} of {scores.num_pictures} pictures ({how})", flush=True)
        accuracies.append(100 * scores.accuracy)
        seconds.append(trained.seconds)
    mean = statistics.mean(accuracies)
    spread = f" ± {statistics.stdev(accuracies):.2f}" if num_seeds > 1 else ""
    print(f"{mean:.2f}{spread} % ({num_seeds} seeds, {min(accuracies):.2f} to {max(accuracies):.2f})", end=", ")
    print(f"{statistics.median(seconds):.0f} s a training (median); {manifest.machine['processor']},", end=" ")
    print(f"{manifest.machine['cpus']} processors, torch {manifest.versions['torch']}, convlens {convlens.__version__}")
    assert mean >= 97, mean


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
