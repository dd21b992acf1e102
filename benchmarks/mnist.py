"""MNIST: `convlens train mnist` before and after PyTorch's example at its defaults, all as whole processes.

    python benchmarks/mnist.py DATA [--seeds 5] [--epochs 14]

DATA is the folder that has mnist/, with the four IDX files. The example (benchmarks/peers/mnist_example.py) takes a
quarter of an hour, so it runs once between two sets of `--seeds` trainings; with fewer --epochs its time is scaled,
which is said. The ratio is that of its whole process to each of ours, from the command to its end: the median, and from
the least to the most. Leave the machine alone.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import convlens

EXAMPLE = Path(__file__).parent / "peers" / "mnist_example.py"
DEFAULT_EPOCHS = 14


def example(folder: Path, epochs: int) -> tuple[float, str]:
    """-> seconds of the whole process, and its last line."""
    began = time.perf_counter()
    command = (sys.executable, str(EXAMPLE), str(folder), "--epochs", str(epochs))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the example ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return time.perf_counter() - began, done.stdout.strip().splitlines()[-1]


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} s ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=DEFAULT_EPOCHS)
    asked = parser.parse_args()
    whole: list[float] = []
    training: list[float] = []
    for turn in range(2):
        if turn:
            seconds, line = example(asked.data / "mnist", asked.epochs)
            print(f"the example: {seconds:.1f} s; {line}", flush=True)
        (ours,) = convlens.bench(["mnist"], seeds=asked.seeds, data_dir=asked.data).recipes
        whole += ours.whole_s
        training += ours.training_s
        print(f"convlens: {spread([*ours.whole_s])}, {ours.accuracy:.2%} over {asked.seeds} seeds", flush=True)
    seconds *= DEFAULT_EPOCHS / asked.epochs
    scaled = "" if asked.epochs == DEFAULT_EPOCHS else f", scaled from {asked.epochs} epochs"
    print(
        f"convlens, both sets: {spread(whole)} from the command to the saved run, {spread(training)} of them training"
    )
    ratios = sorted(seconds / one for one in whole)
    print(
        f"the example / convlens{scaled}: {statistics.median(ratios):.0f} times ({ratios[0]:.0f} to {ratios[-1]:.0f})"
    )


if __name__ == "__main__":
    main()
