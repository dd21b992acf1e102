"""Store handwritten digits in a Hopfield network, spoil a fifth of their pixels, and let it recall them.

    python examples/hopfield.py          about 5 s; checks what is recalled, and where the memory of Hebb's rule ends
    python examples/hopfield.py FOLDER   writes hopfield.png and capacity.png there too

Digits are alike, which Hebb's rule cannot bear: all ten run into one state. The pseudo-inverse keeps them apart.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from convlens.classics import CRITICAL_LOAD, Hopfield, Projection, capacity, capacity_plot, corrupted, rows_sheet


def main(folder: str | None = None) -> None:
    source = load_digits()
    digits = torch.stack([torch.from_numpy(source.data[source.target == digit][0]) for digit in range(10)])
    stored = (digits > 8).double()  # (10, 64) of 0 and 1
    spoilt = corrupted(stored.repeat(100, 1), 0.2, seed=0)
    print(f"{'spoilt':11} {(spoilt == stored.repeat(100, 1)).double().mean():.1%} of the pixels right")
    rows = {"stored": stored, "spoilt": spoilt[:10]}
    right = {}
    for kind, name in ((Hopfield, "Hebb"), (Projection, "projection")):
        recall = kind(64).fit(stored).recall(spoilt, seed=0)
        assert recall.settled.all() and (recall.energies.diff(dim=0) <= 1e-9).all()
        right[name] = (recall.pictures == stored.repeat(100, 1)).double().mean().item()
        rows[name] = recall.pictures[:10]
        print(f"{name:11} {right[name]:.1%} of the pixels right after recall")

    loads = (0.05, 0.08, 0.11, 0.125, CRITICAL_LOAD, 0.15, 0.17, 0.2, 0.25)
    measured = capacity(loads, num_units=400, seed=0)
    for one in measured:
        print(f"{one.load:5.3f} patterns a unit: {one.recalled:6.1%} recalled, {one.bits_right:.1%} of the bits right")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        rows_sheet(rows, (8, 8), tile=64).save(Path(folder) / "hopfield.png")
        capacity_plot({"400 units": measured}).save(Path(folder) / "capacity.png")

    assert right["projection"] > 0.93 > right["Hebb"]
    assert measured[0].recalled == 1 and measured[2].recalled > 0.9 > 0.05 > measured[-1].recalled


if __name__ == "__main__":
    main(*sys.argv[1:2])
