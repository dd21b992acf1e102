"""A Boltzmann machine learns bars and stripes exactly, by sums over all its states, and draws them.

    python examples/boltzmann.py            about 3 s; checks what it draws, and where it needs a hidden unit
    python examples/boltzmann.py FILE.png   writes what was learned, and what was drawn before and after, too

Bars and stripes of 3 x 3 pixels are a matter of pairs of pixels. Of three pixels of which none or two are lit, no pair
tells anything.
"""

from __future__ import annotations

import sys
from itertools import product

import torch
from torch import Tensor

from convlens.classics import BoltzmannMachine, rows_sheet


def bars_and_stripes() -> Tensor:
    """(14, 9): each column lit or not, or each row; all and none are both, and stand once."""
    bars = [torch.tensor(lit).repeat(3, 1) for lit in product((0, 1), repeat=3)]
    return torch.stack([each.flatten() for bar in bars for each in (bar, bar.T)]).unique(dim=0)


def among(drawn: Tensor, pictures: Tensor) -> float:
    return (drawn[:, None] == pictures).all(2).any(1).double().mean().item()


def main(picture: str = "") -> None:
    even = torch.tensor([lit for lit in product((0, 1), repeat=3) if sum(lit) % 2 == 0])
    for hidden in (0, 1):
        machine = BoltzmannMachine(3, hidden).fit(even, epochs=300, seed=0)
        divergence = machine.divergence(even)
        print(f"none or two of three, {hidden} hidden units: divergence {divergence:.3f} nats")
        assert divergence < 0.1 if hidden else divergence > 0.6  # log 2 without learning

    pictures, machine = bars_and_stripes(), BoltzmannMachine(9)
    before = machine.samples(500, seed=1)
    drawn = machine.fit(pictures, epochs=300, seed=0).samples(500, sweeps=200, seed=1)
    share = among(drawn, pictures)
    print(f"{share:.1%} of 500 that were drawn are bars or stripes; divergence {machine.divergence(pictures):.3f} nats")
    print(f"before learning {among(before, pictures):.1%} are; of all 512 pictures {len(pictures) / 512:.1%}")
    if picture:
        rows = {"learned": pictures.double(), "before": before[:14], "drawn": drawn[:14]}
        greys = {name: 0.15 + 0.65 * tiles for name, tiles in rows.items()}
        rows_sheet(greys, (3, 3), tile=48).save(picture)

    assert share > 0.95, share
    assert len(drawn.unique(dim=0)) >= len(pictures)  # not a few of them


if __name__ == "__main__":
    main(*sys.argv[1:2])
