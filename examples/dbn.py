"""A deep belief net that saw digits with their labels: it draws the digit that is asked for, and reads others.

    python examples/dbn.py               about 15 s; checks what it draws, what it reads, and what fine-tuning adds
    python examples/dbn.py digits.png    writes a sheet of what it draws too, a row for each step of the way

The judge of the drawn digits, nearest neighbours among the real ones, has no part in the training.
"""

from __future__ import annotations

import sys

import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from convlens.classics import DBN, fine_tune, rows_sheet


def main(picture: str = "") -> None:
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    pictures, labels = torch.from_numpy(digits.data).float()[order] / 16, torch.from_numpy(digits.target)[order]
    seen, told, held_out, truths = pictures[:1400], labels[:1400], pictures[1400:], labels[1400:]

    net = DBN(64, 300, 300, num_classes=10)
    net.fit(seen, told, epochs=40, batch=10, learning_rate=0.1, seed=0)
    asked = torch.arange(200) % 10
    drawn = net.samples(asked, steps=100, seed=1)
    judge = KNeighborsClassifier(3).fit(seen, told)
    as_asked = float((judge.predict(drawn) == asked.numpy()).mean())
    print(f"{as_asked:.1%} of {len(asked)} drawn digits are read as they were asked for")

    by_energy = (net.classes_given(held_out).argmax(1) == truths).float().mean().item()
    network = fine_tune(net.unrolled(10), seen, told, epochs=15, batch=20, learning_rate=0.002)
    tuned = (network(held_out).argmax(1) == truths).float().mean().item()
    print(f"of {len(truths)} held-out digits the memory reads {by_energy:.1%}, its fine-tuned weights {tuned:.1%}")

    if picture:
        ways = (1, 10, 100, 1000)
        sheet = {f"{steps:,}": net.samples(torch.arange(10), steps=steps, seed=1) for steps in ways}
        rows_sheet(sheet, (8, 8), title="Steps in the memory").save(picture)

    assert as_asked > 0.75, as_asked
    assert by_energy > 0.88 and tuned > 0.95, (by_energy, tuned)


if __name__ == "__main__":
    main(*sys.argv[1:2])
