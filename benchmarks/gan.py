"""A conditional DCGAN on MNIST: how many of its digits does the project's own classifier read as they were asked for?

    python benchmarks/gan.py FOLDER [--epochs 4] [--width 32] [--seeds 5] [--sheet digits.png]

FOLDER holds MNIST's four files. Of each seed: seconds of training on the 60,000 training pictures, the share of 1,000
samples (100 of each digit) that a network trained by `convlens train mnist` reads as asked, and Fréchet's distance in
that network's features between 10,000 samples and the 10,000 test pictures, beside that of 10,000 training pictures
from the same test pictures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

import convlens
from convlens.classics import DCGAN, frechet_distance
from convlens.data import Images, open_images
from convlens.pictures import contact_sheet

EACH, NUM = 100, 10_000  # samples of each digit that are read, and all that are compared
TRAINING = {"batch": 64, "learning_rate": 0.0006}


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


def pixels_of(images: Images, chosen: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(images.reader.read(int(index))).reshape(28, 28) for index in chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    images = open_images("mnist", data_dir=asked.folder)
    training = np.flatnonzero(np.array(images.parts) == "train")
    real = pixels_of(images, training)[:, None].astype(np.float32) / 255
    with TemporaryDirectory() as place:
        trained = convlens.train("mnist", data_dir=asked.folder, out=Path(place) / "judge")
        judge = Judge(convlens.Run.load(trained.run))
        _, of_tests = judge.seen(pixels_of(images, np.flatnonzero(np.array(images.parts) == "test")))
        _, of_real = judge.seen(pixels_of(images, training[:NUM]))
    print(f"{NUM:,} training pictures: Fréchet's distance from test pictures {frechet_distance(of_real, of_tests):.2f}")
    wanted, rows = np.arange(NUM) % 10, []
    for seed in range(asked.seeds):
        began = time.perf_counter()
        network = DCGAN(width=asked.width)
        network.fit(real, images.labels[training], epochs=asked.epochs, seed=seed, **TRAINING)
        seconds = time.perf_counter() - began
        made = (network.samples(wanted, seed=seed)[:, 0].numpy() * 255).round().astype(np.uint8)
        classes, features = judge.seen(made)
        right = (classes == wanted)[: 10 * EACH]
        rows.append((seconds, float(right.mean()), frechet_distance(features, of_tests)))
        print(
            f"seed {seed}: {seconds:.0f} s, {rows[-1][1]:.1%} as asked, Fréchet's distance {rows[-1][2]:.2f}",
            flush=True,
        )
        if asked.sheet and seed == 0:
            contact_sheet(list(made[:100]), columns=10, tile=56, title="Digits on demand").save(asked.sheet)
    of_time, of_share, of_distance = zip(*rows, strict=True)
    print(
        f"{asked.seeds} seeds: {statistics.median(of_time):.0f} s ({min(of_time):.0f} to {max(of_time):.0f}), "
        f"{statistics.mean(of_share):.1%} as asked ({min(of_share):.1%} to {max(of_share):.1%}), "
        f"Fréchet's distance {statistics.mean(of_distance):.2f} ({min(of_distance):.2f} to {max(of_distance):.2f})"
    )


if __name__ == "__main__":
    main()
