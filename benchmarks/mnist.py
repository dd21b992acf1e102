"""MNIST: `convlens train mnist` before and after PyTorch's example at its defaults, all as whole processes.

    python benchmarks/mnist.py DATA [--seeds 5]

DATA is the folder that has mnist/, with the four IDX files as they are published (.gz). The example
(benchmarks/peers/mnist_example.py) takes eight minutes and more, so it runs between two sets of `--seeds` trainings.
Its whole process, which scores the test pictures after each of its 14 epochs, as it comes, is divided by each of ours,
which validates on a tenth and saves a run: the median, and from the least to the most. Leave the machine alone.
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


def example(folder: Path) -> tuple[float, str]:
    """-> seconds of the whole process, and its last line."""
    began = time.perf_counter()
    done = subprocess.run((sys.executable, str(EXAMPLE), str(folder)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the example ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return time.perf_counter() - began, done.stdout.strip().splitlines()[-1]


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} s ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    digits = asked.data / "mnist"
    if len([*digits.glob("*.gz")]) != 4:
        parser.error(f"{digits} has not four files that end in .gz")
    whole: list[float] = []
    training: list[float] = []
    for turn in range(2):
        if turn:
            seconds, line = example(digits)
            print(f"the example: {seconds:.1f} s; {line}", flush=True)
        (ours,) = convlens.bench(["mnist"], seeds=asked.seeds, data_dir=asked.data).recipes
        whole += ours.whole_s
        training += ours.training_s
        print(f"convlens: {spread([*ours.whole_s])}, {ours.accuracy:.2%} over {asked.seeds} seeds", flush=True)
    print(f"convlens, both sets: {spread(whole)} from the command to the saved run; training {spread(training)}")
    ratios = sorted(seconds / one for one in whole)
    print(f"the example / convlens: {statistics.median(ratios):.0f} times ({ratios[0]:.0f} to {ratios[-1]:.0f})")


if __name__ == "__main__":
    main()
