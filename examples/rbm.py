"""Learn handwritten digits without their labels with an RBM: reconstruct, dream, judge, look at its filters.

    python examples/rbm.py               about 10 s; checks the reconstruction and the likelihood of held-out digits
    python examples/rbm.py FOLDER        writes rbm-filters.png, rbm-rebuilt.png and rbm-samples.png there too

The likelihood needs the partition function, which is estimated by annealed importance sampling.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from convlens.classics import RBM, filters_sheet, log_likelihood, log_partition, pictures_sheet, rows_sheet


def main(folder: str | None = None) -> None:
    digits = torch.from_numpy(load_digits().data).float() / 16
    digits = digits[torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))]
    seen, held_out = digits[:1500], digits[1500:]

    mean = seen.mean(0)
    of_the_mean = (mean - held_out).square().mean().item()
    errors = {}
    for epochs in (1, 60):
        rbm = RBM(64, 100).fit(seen, epochs=epochs, batch=50, seed=0, persistent=True)
        errors[epochs] = (rbm.reconstruct(held_out) - held_out).square().mean().item() / of_the_mean
        print(f"{epochs:2} epochs: {errors[epochs]:.1%} of the squared error that the mean digit makes")

    log_z = log_partition(rbm, seen, temperatures=1000, seed=0)
    drawn = torch.bernoulli(held_out, generator=torch.Generator().manual_seed(0))
    nats = log_likelihood(rbm, drawn, log_z.value).mean().item()
    by_itself = (drawn * mean.clamp(0.01, 0.99).log() + (1 - drawn) * (1 - mean.clamp(0.01, 0.99)).log()).sum(1).mean()
    print(f"log Z {log_z.value:.2f} ({log_z.low:.2f} to {log_z.high:.2f})")
    print(f"a held-out digit: {nats:.1f} nats, {by_itself:.1f} if pixels did not know of each other")

    samples = rbm.samples(60, steps=500, seed=0)
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        filters_sheet(rbm, (8, 8), num=60).save(Path(folder) / "rbm-filters.png")
        pairs = {"held out": held_out[:10], "rebuilt": rbm.reconstruct(held_out[:10])}
        rows_sheet(pairs, (8, 8), tile=64).save(Path(folder) / "rbm-rebuilt.png")
        pictures_sheet(samples, (8, 8), columns=12).save(Path(folder) / "rbm-samples.png")

    nearest = torch.cdist(samples, seen).amin(1).mean().item()
    assert errors[60] < 0.5 * errors[1]
    assert nats > by_itself + 4 and log_z.high - log_z.low < 1
    assert nearest < 0.7 * torch.cdist(mean.expand(60, -1).bernoulli(), seen).amin(1).mean().item()


if __name__ == "__main__":
    main(*sys.argv[1:2])
