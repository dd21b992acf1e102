"""The published trainings, from the command's start to a saved run, and their accuracy on the set's own test part.

    python benchmarks/records.py RECIPE … [--seeds 10] [--data-dir FOLDER]

RECIPE is a name that `convlens train --recipe` takes. Each training is a process of its own, as a user starts it:
"training" is the time in steps, "whole" the command's wall time by this program's clock, imports included, report
included. The test part is read once, after the last step; no test-time augmentation unless the line says so. Run it on
a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

CONVLENS = (sys.executable, "-m", "convlens.cli")


def answer(command: Sequence[str]) -> dict:
    finished = subprocess.run([*CONVLENS, *command, "--json"], capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.stderr)
    return json.loads(finished.stdout)


def measured(recipe: str, data: str, seed: int, more: list[str]) -> tuple[float, float, float]:
    """-> (accuracy on the test part, seconds in steps, seconds of the whole command)."""
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        started = time.perf_counter()
        answer(["train", data, "--recipe", recipe, "--seed", str(seed), "--out", str(run), *more])
        whole = time.perf_counter() - started
        training = json.loads((run / "run.json").read_text())["metrics"]["train_seconds"]
        return answer(["evaluate", str(run), data, *more])["scores"]["accuracy"], training, whole


def spread(values: list[float], form: str = "{:.1f}") -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return f"{form.format(statistics.median(values))} ({low} to {high})"


def main() -> None:
    from convlens.training.recipes import record_named

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--data-dir")
    asked = parser.parse_args()
    more = ["--data-dir", asked.data_dir] if asked.data_dir else []
    for recipe in asked.recipes:
        rows = []
        for seed in range(asked.seeds):
            rows.append(measured(recipe, record_named(recipe).data, seed, more))
            print(f"{recipe}, seed {seed}: {rows[-1][0]:.2%}, {rows[-1][1]:.2f} s, {rows[-1][2]:.2f} s", flush=True)
        accuracies, training, whole = (list(column) for column in zip(*rows, strict=True))
        deviation = statistics.stdev(accuracies) if len(rows) > 1 else 0.0
        print(
            f"{recipe}: {statistics.mean(accuracies):.3%} ± {deviation:.3%} ({len(rows)} seeds), "
            f"training {spread(training)} s, whole {spread(whole)} s"
        )


if __name__ == "__main__":
    main()
