"""Adversarial networks on MNIST, judged by the project's own classifier: are digits read as asked, how far from real?

    python benchmarks/gan.py FOLDER [--epochs 4] [--width 32] [--seeds 5] [--sheet digits.png]
    python benchmarks/gan.py FOLDER plain [--epochs 40] [--width 256] [--seeds 5] [--sheet plain.png]

FOLDER holds MNIST's four files. Of each seed: seconds of training on the 60,000 training pictures, what a network made
by `convlens train mnist` reads in 10,000 samples, and Fréchet's distance in that network's features between them and
the 10,000 test pictures, beside that of 10,000 training pictures from the same test pictures.

A conditional DCGAN is asked for digits: the share of its first 1,000 samples (100 of each) that are read as asked. The
plain GAN of perceptrons is asked for nothing: the shares of the digits that it draws least and most, of which a game
that fell to a few pictures would leave some out. `--choose` learns from the first 50,000 training pictures and compares
with the other 10,000: so the plain one's first weights, batch and rate were chosen.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

import convlens
from convlens.classics import DCGAN, GAN, frechet_distance
from convlens.data import Images, open_images
from convlens.pictures import contact_sheet

EACH, NUM = 100, 10_000  # samples of each digit that are read, and all that are compared
TRAINING = {"batch": 64, "learning_rate": 0.0006}
PLAIN = {"batch": 128, "learning_rate": 0.001}


@dataclass(frozen=True)
class Judge:
    """A trained run of the same classes."""

    run: convlens.Run

    def seen(self, pictures: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """uint8 (N, H, W) -> classes (N,), and what the last layer reads (N, F)."""
        read: list[Tensor] = []
        network = self.run.model.eval()
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        hook = last.register_forward_pre_hook(lambda _, given: read.append(given[0].detach()))
        try:
            with torch.no_grad():
                parts = (list(pictures[start : start + 500]) for start in range(0, len(pictures), 500))
                logits = [network(self.run.preprocess(part)) for part in parts]
        finally:
            hook.remove()
        return torch.cat(logits).argmax(1).numpy(), torch.cat(read)


@dataclass(frozen=True)
class Row:
    """Of one seed."""

    seconds: float
    shares: tuple[float, ...]  # read as asked; or of the digit that is drawn least, and most
    distance: float


def pixels_of(images: Images, chosen: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(images.reader.read(int(index))).reshape(28, 28) for index in chosen])


def games(asked: argparse.Namespace) -> None:
    images = open_images("mnist", data_dir=asked.folder)
    parts = np.array(images.parts)
    training, held_out = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
    if asked.choose:
        training, held_out = training[:-NUM], training[-NUM:]
    real = pixels_of(images, training)
    with TemporaryDirectory() as place:
        trained = convlens.train("mnist", data_dir=asked.folder, out=Path(place) / "judge")
        judge = Judge(convlens.Run.load(trained.run))
        _, of_others = judge.seen(pixels_of(images, held_out))
        _, of_real = judge.seen(real[:NUM])
    print(f"{NUM:,} real pictures: Fréchet's distance {frechet_distance(of_real, of_others):.2f}", flush=True)
    rows = []
    for seed in range(asked.seeds):
        began = time.perf_counter()
        network = learned(real[:, None].astype(np.float32) / 255, images.labels[training], asked, seed)
        seconds = time.perf_counter() - began
        made = (network.samples(NUM, seed=seed)[:, 0].numpy() * 255).round().astype(np.uint8)
        classes, features = judge.seen(made)
        rows.append(Row(seconds, shares(classes, asked.network == "plain"), frechet_distance(features, of_others)))
        print(f"seed {seed}: {told([rows[-1]], asked.network == 'plain')}", flush=True)
        if asked.sheet and seed == 0:
            title = "Digits of noise" if asked.network == "plain" else "Digits on demand"
            contact_sheet(list(made[:100]), columns=10, tile=56, title=title).save(asked.sheet)
    print(f"{asked.seeds} seeds: {told(rows, asked.network == 'plain')}")


def learned(real: np.ndarray, labels: np.ndarray, asked: argparse.Namespace, seed: int) -> GAN | DCGAN:
    if asked.network == "plain":
        return GAN(hidden=asked.width or 256).fit(real, epochs=asked.epochs or 40, seed=seed, **PLAIN)
    return DCGAN(width=asked.width or 32).fit(real, labels, epochs=asked.epochs or 4, seed=seed, **TRAINING)


def shares(classes: np.ndarray, plain: bool) -> tuple[float, ...]:
    """Samples without a class go round the ten where there are classes."""
    if plain:
        of_each = np.bincount(classes, minlength=10) / len(classes)
        return float(of_each.min()), float(of_each.max())
    return (float((classes == np.arange(len(classes)) % 10)[: 10 * EACH].mean()),)


def told(rows: Sequence[Row], plain: bool) -> str:
    """Means, with the least and the most of several; of the seconds the median."""
    what = ("of the digit that is drawn least", "of the one drawn most") if plain else ("as asked",)
    seconds = [row.seconds for row in rows]
    parts = [f"{statistics.median(seconds):.0f} s" + ends(seconds, ".0f")]
    for place, name in enumerate(what):
        each = [row.shares[place] for row in rows]
        parts.append(f"{statistics.mean(each):.1%}{ends(each, '.1%')} {name}")
    distances = [row.distance for row in rows]
    return ", ".join([*parts, f"Fréchet's distance {statistics.mean(distances):.2f}{ends(distances, '.2f')}"])


def ends(values: Sequence[float], form: str) -> str:
    return f" ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("network", nargs="?", choices=("conditional", "plain"), default="conditional")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--choose", action="store_true", help="compare with the last training pictures, not the test's")
    asked = parser.parse_args()
    games(asked)


if __name__ == "__main__":
    main()
