"""CIFAR-10: convlens' own recipe beside the record recipe for one GPU, put on this machine, in turns.

    python benchmarks/cifar10.py FOLDER [--recipe cifar10] [--seeds 5] [--first 0] [--alone]

FOLDER holds the binary batches; seeds are counted from --first, so that ten pairs, two hours, can be had in two parts.
A pair of `--recipe cifar10_96` takes two hours and a half by itself; --alone leaves the peer out.
Both train on the last 45,000 training pictures, and are scored on the other 5,000 and whatever test pictures there are,
without and with the same test-time augmentation (six views). The recipe was tuned with the last 5,000 or 10,000 held
out, and never scored on these. Seconds of training are, of ours, its steps and, of the peer
(benchmarks/peers/cifar10_muon.py, cifar10_sgd.py for 96 %), all between reading the files and scoring; the whole of
`convlens train`, from the command to the saved run, is given beside them. Each trains in a process of its own, one
after the other, and who begins alternates: leave the machine alone.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

RECORD, HELD_OUT = 1 + 3 * 32 * 32, 5000  # bytes of a picture with its label; pictures
PEERS = {"cifar10": "cifar10_muon.py", "cifar10_96": "cifar10_sgd.py"}  # of our recipes
CONVLENS = (sys.executable, "-m", "convlens.cli")


@dataclass(frozen=True)
class Trained:
    """Seconds of training, accuracies over one view and six, and seconds of the whole command."""

    seconds: float
    plain: float
    views: float
    whole: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.whole:.1f} s in all), {self.plain:.2%}, six views {self.views:.2%}"


def divide(folder: Path, to: Path) -> int:
    """The same batches, but that the first 5,000 training pictures are test pictures; how many of these there are."""
    batches = sorted(folder.rglob("data_batch_*.bin"))
    tests = sorted(folder.rglob("test_batch.bin"))
    if len(batches) != 5 or len(tests) != 1:
        raise SystemExit(f"{folder} holds {len(batches)} training and {len(tests)} test batches, expected 5 and 1")
    within = to / "cifar-10-batches-bin"
    within.mkdir()
    first, *others = batches
    whole = first.read_bytes()
    for batch in others:
        (within / batch.name).symlink_to(batch.resolve())
    (within / first.name).write_bytes(whole[HELD_OUT * RECORD :])
    held_out = whole[: HELD_OUT * RECORD] + tests[0].read_bytes()
    (within / tests[0].name).write_bytes(held_out)
    return len(held_out) // RECORD


def said_by(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def convlens(recipe: str, sets: Path, seed: int, out: Path, expected: int) -> Trained:
    named = ("cifar10", "--data-dir", str(sets), "--json")
    began = time.perf_counter()
    said_by(*CONVLENS, "train", *named, "--recipe", recipe, "--split", "1,0,0", "--seed", str(seed), "--out", str(out))
    whole = time.perf_counter() - began
    accuracies = []
    for tta in ("none", "mirror_shifts"):
        scores = json.loads(said_by(*CONVLENS, "evaluate", str(out), *named, "--tta", tta))["scores"]
        if scores["num_pictures"] != expected:
            print(
                f"convlens left {expected - scores['num_pictures']} out, which are copies of pictures it was trained on"
            )
        accuracies.append(scores["accuracy"])
    steps = json.loads((out / "run.json").read_text())["metrics"]["train_seconds"]
    return Trained(steps, *accuracies, whole)


def peer(script: str, sets: Path, seed: int) -> Trained:
    path = Path(__file__).parent / "peers" / script
    line = said_by(sys.executable, str(path), str(sets), "--held-out", "0", "--seed", str(seed))
    found = re.search(r": ([\d.]+) s, ([\d.]+)%, .* ([\d.]+)%", line)
    assert found is not None, line
    seconds, plain, views = map(float, found.groups())
    return Trained(seconds, plain / 100, views / 100, seconds)


def mean_of(values: Sequence[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{spread} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", choices=PEERS, default="cifar10")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--alone", action="store_true")
    asked = parser.parse_args()
    with TemporaryDirectory() as place:
        sets = Path(place) / "sets"
        sets.mkdir()
        expected = divide(asked.folder, sets)
        ways: dict[str, Callable[[int], Trained]] = {
            "peer": lambda seed: peer(PEERS[asked.recipe], sets, seed),
            "convlens": lambda seed: convlens(asked.recipe, sets, seed, Path(place) / f"run{seed}", expected),
        }
        if asked.alone:
            del ways["peer"]
        rows: dict[str, list[Trained]] = {who: [] for who in ways}
        for seed in range(asked.first, asked.first + asked.seeds):
            for who in sorted(ways, reverse=seed % 2 == 0):
                rows[who].append(ways[who](seed))
            print(f"seed {seed}: " + "; ".join(f"{who} {them[-1]}" for who, them in rows.items()), flush=True)
    for who, them in rows.items():
        times = spread([one.seconds for one in them], " s")
        whole = spread([one.whole for one in them], " s in all")
        scores = f"{mean_of([one.plain for one in them])}, six views {mean_of([one.views for one in them])}"
        print(f"{who}: {times}, {whole}, {scores}")
    if asked.alone:
        return
    pairs = list(zip(rows["convlens"], rows["peer"], strict=True))
    print("convlens / peer, training:", spread([mine.seconds / its.seconds for mine, its in pairs], "", 2))
    print("the whole of convlens train / peer:", spread([mine.whole / its.seconds for mine, its in pairs], "", 2))
    points = statistics.mean(100 * (mine.views - its.views) for mine, its in pairs)
    print(f"convlens - peer, six views: {points:+.2f} points")


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    median, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median}{unit} ({least} to {most})"


if __name__ == "__main__":
    main()
