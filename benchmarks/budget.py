"""Does a training end when its budget does? From the command's start to the saved run, over several budgets.

    python benchmarks/budget.py [DATA] [SECONDS …] [--model NAME] [--repeats 3]

Each training is a process of its own, as a user starts it; the time is the command's own, which begins when Python has
started and ends when run.json is written, before the report. Run it on a quiet machine. Prints one line a budget:
the ratio of time to budget, median and range.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def ratio(data: str, model: str, budget: float, more: list[str]) -> float:
    """Time from the command's start to the saved run, over the budget."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "convlens.cli", "train", data, "--model", model, "--budget", f"{budget}s"]
        command += ["--out", str(Path(folder) / "run"), "--json", *more]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(finished.stdout)["seconds"]) / budget


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("budgets", nargs="*", type=float, default=[20.0, 60.0])
    parser.add_argument("--repeats", type=int, default=3)
    asked, more = parser.parse_known_args()
    for budget in asked.budgets:
        ratios = [ratio(asked.data, asked.model, budget, more) for _ in range(asked.repeats)]
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(
            f"{asked.data}, {asked.model}, {budget:g} s: {middle:.3f} of the budget ({low:.3f} to {high:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
