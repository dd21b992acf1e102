"""The network of the best-known tutorial on CNNs, in nothing but NumPy: 1,000 digits, three times over, one by one.

    python examples/scratch_mnist.py [DATA]        seconds on one core; checks the accuracy on 1,000 other digits

DATA is a folder that has mnist/, the IDX files. Without it, scikit-learn's digits, enlarged to MNIST's 28 px, take
their place (797 of them). The network, its first weights, the rate and the order (drawn anew for each epoch) are the
tutorial's, but that its filters have no bias and these do.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from convlens.data import Images, open_images
from convlens.scratch import SGD, Convolution, Dense, Flatten, MaxPooling, Network


def pictures(digits: Images, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-> (N, 1, 28, 28) from -0.5, black, to 0.5, white, and (N,) labels."""
    pixels = np.stack([digits.reader.read(int(index)) for index in part])
    if pixels.shape[1] == 8:
        pixels = np.pad(pixels.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))
    return pixels[:, None] / 255 - 0.5, digits.labels[part]


def told(epoch: int, loss: float) -> None:
    print(f"epoch {epoch}: loss {loss:.3f}")


def main(data_dir: str | None = None) -> None:
    digits = open_images("mnist", data_dir=data_dir) if data_dir else open_images("digits")
    parts = np.array(digits.parts if data_dir else ["train"] * 797 + ["test"] * 1000)
    train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
    images, labels = pictures(digits, train[:1000])
    unseen, truth = pictures(digits, test[:1000])

    filters = Convolution(1, 8, 3)  # (1, 28, 28) -> (8, 26, 26): what each of 8 filters finds, and where
    pooling = MaxPooling(2)  # -> (8, 13, 13): the strongest of each 2 x 2
    classes = Dense(13 * 13 * 8, 10)  # 1,352 numbers -> 10 scores, whose softmax is the answer
    network = Network([filters, pooling, Flatten(), classes])
    random = np.random.default_rng(0)
    for name, array in network.parameters().items():
        array[...] = random.standard_normal(array.shape) / array[0].size if name.endswith("weight") else 0

    began = time.perf_counter()
    network.fit(images, labels, optimiser=SGD(0.005), epochs=3, batch_size=1, on_epoch=told)
    seconds = time.perf_counter() - began
    accuracy = float(np.mean(network.predict(unseen) == truth))
    speed = 3 * len(images) / seconds
    print(f"{accuracy:.1%} of {len(truth)} unseen digits; {speed:,.0f} training pictures/s, one by one")
    assert accuracy >= 0.78, accuracy


if __name__ == "__main__":
    main(*sys.argv[1:2])
