"""CIFAR-10: the recipe `cifar10_94` beside the record recipe for one GPU, put on this machine, in turns.

    python benchmarks/cifar10.py FOLDER [--seeds 5]

FOLDER holds the binary batches. Both train on the first 45,000 training pictures, and are scored on the other 5,000 and
whatever test pictures there are, with the same test-time augmentation: both mirrored, and shifted by a pixel. Seconds
are those of training: ours are its steps, the peer's (benchmarks/peers/cifar10_muon.py) all between reading the files
and scoring; of ours the whole command's are said too. Each trains in a process of its own, one after the other: leave
the machine alone.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

RECORD, RECORDS_OUT = 1 + 3 * 32 * 32, 5000
PEER = Path(__file__).parent / "peers" / "cifar10_muon.py"
CONVLENS = (sys.executable, "-m", "convlens.cli")


def divide(folder: Path, to: Path) -> None:
    """The same batches, but that the last 5,000 training pictures are test pictures."""
    batches = sorted(folder.rglob("data_batch_*.bin"))
    tests = sorted(folder.rglob("test_batch.bin"))
    if len(batches) != 5 or len(tests) != 1:
        raise SystemExit(
            f"{folder} holds {len(batches)} training batches and {len(tests)} test batches, expected 5 and 1"
        )
    within = to / "cifar-10-batches-bin"
    within.mkdir()
    whole = batches[-1].read_bytes()
    kept = len(whole) - RECORDS_OUT * RECORD
    for batch in batches[:-1]:
        (within / batch.name).symlink_to(batch.resolve())
    (within / batches[-1].name).write_bytes(whole[:kept])
    (within / tests[0].name).write_bytes(whole[kept:] + tests[0].read_bytes())


def said_by(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def ours(sets: Path, seed: int, out: Path) -> tuple[float, float, float]:
    """-> seconds, accuracy, accuracy with test-time augmentation."""
    named = ("cifar10", "--data-dir", str(sets), "--json")
    train = ("train", *named, "--recipe", "cifar10_94", "--split", "1,0,0", "--seed", str(seed), "--out", str(out))
    began = time.perf_counter()
    said_by(*CONVLENS, *train)
    print(f"the whole command: {time.perf_counter() - began:.1f} s")
    plain, shifts = (
        json.loads(said_by(*CONVLENS, "evaluate", str(out), *named, "--tta", tta))["scores"]["accuracy"]
        for tta in ("none", "shifts")
    )
    return json.loads((out / "run.json").read_text())["metrics"]["train_seconds"], plain, shifts


def peer(sets: Path, seed: int) -> tuple[float, float, float]:
    line = said_by(sys.executable, str(PEER), str(sets), "--held-out", "0", "--seed", str(seed))
    found = re.search(r": ([\d.]+) s, ([\d.]+)%, .* ([\d.]+)%", line)
    assert found is not None, line
    seconds, plain, shifts = map(float, found.groups())
    return seconds, plain / 100, shifts / 100


def mean_of(values: Sequence[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{spread} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    rows: dict[str, list[tuple[float, float, float]]] = {"peer": [], "ours": []}
    with TemporaryDirectory() as place:
        sets = Path(place) / "sets"
        sets.mkdir()
        divide(asked.folder, sets)
        for seed in range(asked.seeds):
            rows["peer"].append(peer(sets, seed))
            rows["ours"].append(ours(sets, seed, Path(place) / f"run{seed}"))
            both = "; ".join(f"{who} {s:.1f} s {p:.2%} {t:.2%}" for who in rows for s, p, t in rows[who][-1:])
            print(f"seed {seed}: {both}", flush=True)
    for who, them in rows.items():
        seconds, plain, shifts = zip(*them, strict=True)
        times = f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
        print(f"{who}: {times}, {mean_of(plain)}, with test-time augmentation {mean_of(shifts)}")
    ratios = [ours[0] / peer[0] for ours, peer in zip(rows["ours"], rows["peer"], strict=True)]
    points = [100 * (ours[2] - peer[2]) for ours, peer in zip(rows["ours"], rows["peer"], strict=True)]
    print(f"ours / peer: {statistics.median(ratios):.2f} of the time ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"ours - peer: {statistics.mean(points):+.2f} points with test-time augmentation")


if __name__ == "__main__":
    main()
