"""Two networks in a game: one makes handwritten digits of noise, the other tells them from real ones. Digits on demand.

    python examples/gan.py        about 20 s on one core; checks that most are read as they were asked for
    python examples/gan.py digits.png      writes a sheet of them too

The judge, nearest neighbours among the real digits, has no part in the training.
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from convlens.classics import DCGAN, frechet_distance
from convlens.pictures import contact_sheet


def main() -> None:
    digits = load_digits()
    real = (digits.images[:, None] / 16).astype(np.float32)  # (1797, 1, 8, 8), 0 to 1
    network = DCGAN((1, 8, 8), num_noise=16, width=16)
    network.fit(real, digits.target, epochs=60, batch=64, learning_rate=0.001, seed=0)

    asked = np.arange(400) % 10
    made = network.samples(asked, seed=1).numpy()
    judge = KNeighborsClassifier(3).fit(real.reshape(len(real), -1), digits.target)
    share = float(np.mean(judge.predict(made.reshape(len(made), -1)) == asked))
    print(f"{share:.1%} of {len(asked)} digits are read as they were asked for")

    rows = [pictures.reshape(len(pictures), -1) for pictures in (made, real[:400], real[400:800])]
    distance, usual = frechet_distance(rows[0], rows[2]), frechet_distance(rows[1], rows[2])
    print(f"Fréchet's distance of their pixels from real ones {distance:.2f}, of other real ones {usual:.2f}")
    if len(sys.argv) > 1:
        tiles = [np.rint(255 * picture[0]).astype(np.uint8) for picture in made[:80]]
        contact_sheet(tiles, columns=10, tile=56, title="Digits on demand").save(sys.argv[1])

    assert share > 0.8, share


if __name__ == "__main__":
    main()
