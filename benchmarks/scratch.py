"""The NumPy engine: beside the loop of the tutorials, beside torch, on all of MNIST, and in other memory layouts.

    python benchmarks/scratch.py speed [--batch 32] [--repeats 5] [--threads 1]
    python benchmarks/scratch.py mnist DATA [--seeds 5] [--threads 1]
    python benchmarks/scratch.py choose DATA [--seeds 5] [--threads 1]
    python benchmarks/scratch.py layouts [--repeats 5] [--threads 1]

speed: three ways train the tutorial network (8 filters 3 x 3, 2 x 2 max pooling, softmax over 13 x 13 x 8; SGD 0.005)
on the same noise, in turns, in one process: a loop over the positions of one picture after the other, as tutorials
write it (written here anew); `convlens.scratch`, in mini-batches; torch, in mini-batches of the same size, eagerly.
Medians of training pictures a second, the least and the most; ratios of each turn. The loop and ours take five steps
from the same weights first, which must agree.

mnist: a network of two convolutions is trained on all 60,000 pictures of DATA/mnist and scored once on the 10,000 test
pictures, for each seed. It was chosen on the last 10,000 training pictures: choose trains on the first 50,000 and
scores those.

layouts: a convolution (16 -> 32 channels, 3 x 3, 15 x 15 px), forward and backward by im2col and matrix products, with
the batch last, with the channels last, and in torch's order; and torch's own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv[:-1] else 1
for library in ("OMP", "OPENBLAS", "MKL"):  # read when NumPy is imported
    os.environ[f"{library}_NUM_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from convlens.data import Images, open_images  # noqa: E402
from convlens.scratch import SGD, Adam, Convolution, Dense, Flatten, MaxPooling, Network, ReLU  # noqa: E402

RATE = 0.005
EPOCHS, BATCH, ADAM = 4, 32, 0.003
MEAN, STD = 0.1307, 0.3081  # of MNIST's training pixels


def tutorial_network() -> Network:
    return Network([Convolution(1, 8, 3), MaxPooling(2), Flatten(), Dense(13 * 13 * 8, 10)])


class Loop:
    """One picture at a time, a Python loop over positions; float64, as NumPy makes it."""

    def __init__(self, network: Network) -> None:
        weights = {name: array.astype(float) for name, array in network.parameters().items()}
        self.filters, self.offsets = weights["0.weight"][:, 0], weights["0.bias"]
        self.weights, self.biases = weights["3.weight"], weights["3.bias"]

    def step(self, picture: np.ndarray, label: int) -> None:
        maps = np.zeros((26, 26, 8))
        for i in range(26):
            for j in range(26):
                maps[i, j] = np.sum(picture[i : i + 3, j : j + 3] * self.filters, axis=(1, 2)) + self.offsets
        pooled = np.zeros((13, 13, 8))
        for i in range(13):
            for j in range(13):
                pooled[i, j] = np.amax(maps[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], axis=(0, 1))
        features = pooled.transpose(2, 0, 1).ravel()
        powers = np.exp(self.weights @ features + self.biases)
        delta = powers / powers.sum()
        delta[label] -= 1
        back = (self.weights.T @ delta).reshape(8, 13, 13)
        self.weights -= RATE * np.outer(delta, features)
        self.biases -= RATE * delta
        self._filters_step(picture, self._unpooled(maps, pooled, back))

    def _unpooled(self, maps: np.ndarray, pooled: np.ndarray, back: np.ndarray) -> np.ndarray:
        deltas = np.zeros(maps.shape)
        for i in range(26):
            for j in range(26):
                for k in range(8):
                    if maps[i, j, k] == pooled[i // 2, j // 2, k]:
                        deltas[i, j, k] = back[k, i // 2, j // 2]
        return deltas

    def _filters_step(self, picture: np.ndarray, deltas: np.ndarray) -> None:
        gradient = np.zeros(self.filters.shape)
        for i in range(26):
            for j in range(26):
                for k in range(8):
                    gradient[k] += deltas[i, j, k] * picture[i : i + 3, j : j + 3]
        self.filters -= RATE * gradient
        self.offsets -= RATE * deltas.sum((0, 1))

    def train(self, images: np.ndarray, labels: np.ndarray) -> None:
        for picture, label in zip(images[:, 0], labels, strict=True):
            self.step(picture, int(label))


def check_loop(images: np.ndarray, labels: np.ndarray) -> None:
    network = tutorial_network()
    loop = Loop(network)
    loop.train(images[:5], labels[:5])
    for image, label in zip(images[:5, None], labels[:5, None], strict=True):
        network.fit(image, label, optimiser=SGD(RATE), batch_size=1)
    apart = np.abs(loop.filters - network.parameters()["0.weight"][:, 0]).max()
    assert apart < 1e-5, f"the loop and ours are {apart} apart after five steps"


def torch_training(network: nn.Module, batch: int) -> Callable[[np.ndarray, np.ndarray], None]:
    optimiser = torch.optim.SGD(network.parameters(), RATE)

    def train(images: np.ndarray, labels: np.ndarray) -> None:
        x, y = torch.from_numpy(images), torch.from_numpy(labels)
        for chosen in torch.randperm(len(x)).split(batch):
            optimiser.zero_grad()
            functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
            optimiser.step()

    return train


def threads() -> str:
    return "1 thread" if THREADS == 1 else f"{THREADS} threads"


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def compare(batch: int, repeats: int) -> None:
    random = np.random.default_rng(0)
    images, labels = random.standard_normal((8192, 1, 28, 28), np.float32), random.integers(0, 10, 8192)
    check_loop(images, labels)
    network, loop = tutorial_network(), Loop(tutorial_network())
    peer = nn.Sequential(nn.Conv2d(1, 8, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(13 * 13 * 8, 10))
    ways: dict[str, tuple[Callable[[np.ndarray, np.ndarray], object], int]] = {
        "loop": (loop.train, 100),
        "scratch": (lambda x, y: network.fit(x, y, optimiser=SGD(RATE), batch_size=batch), 8192),
        "torch": (torch_training(peer, batch), 8192),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, (train, count) in ways.items():
            began = time.perf_counter()
            train(images[:count], labels[:count])
            if turn:  # the first turn warms up
                speeds[name].append(count / (time.perf_counter() - began))
    print(f"{threads()}, batches of {batch}, {repeats} turns; numpy {np.__version__}, torch {torch.__version__}")
    for name, found in speeds.items():
        print(f"{name:8} {spread(found)} training pictures/s")
    for name in ("loop", "torch"):
        ratios = [ours / theirs for ours, theirs in zip(speeds["scratch"], speeds[name], strict=True)]
        print(f"scratch / {name}: {spread(ratios, 2)}")


def mnist_network(seed: int) -> Network:
    """30,322 parameters."""
    first = [Convolution(1, 8, 5), MaxPooling(2), ReLU(), Convolution(8, 24, 5), MaxPooling(2), ReLU(), Flatten()]
    return Network([*first, Dense(24 * 4 * 4, 64), ReLU(), Dense(64, 10)], seed=seed)


def trained(seed: int, images: np.ndarray, labels: np.ndarray) -> Network:
    network, optimiser = mnist_network(seed), Adam(ADAM)
    for epoch in range(EPOCHS):
        optimiser.rate = ADAM * (1 - epoch / EPOCHS)
        network.fit(images, labels, optimiser=optimiser, batch_size=BATCH, seed=seed * EPOCHS + epoch)
    return network


def prepared(digits: Images) -> np.ndarray:
    """(N, 1, 28, 28), as the network sees them."""
    pixels = np.stack([digits.reader.read(index) for index in range(len(digits))])
    return ((pixels[:, None] / 255 - MEAN) / STD).astype(np.float32)


def mnist(folder: Path, seeds: int, *, choose: bool) -> None:
    digits = open_images("mnist", data_dir=folder)
    parts = np.array(digits.parts)
    images = prepared(digits)
    train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
    if choose:
        train, test = train[:50000], train[50000:]
    accuracies, seconds = [], []
    for seed in range(seeds):
        began = time.perf_counter()
        network = trained(seed, images[train], digits.labels[train])
        seconds.append(time.perf_counter() - began)
        accuracies.append(100 * float(np.mean(network.predict(images[test]) == digits.labels[test])))
        print(f"seed {seed}: {accuracies[-1]:.2f} % in {seconds[-1]:.1f} s", flush=True)
    deviation = f" ± {statistics.stdev(accuracies):.2f}" if seeds > 1 else ""
    which = "of the last 10,000 training pictures" if choose else "of the 10,000 test pictures"
    print(
        f"{statistics.mean(accuracies):.2f}{deviation} % {which}, {seeds} seeds, from {min(accuracies):.2f} to ", end=""
    )
    print(f"{max(accuracies):.2f}; training {spread(seconds, 1)} s, {EPOCHS} epochs, {threads()}")


LAYOUTS = {"batch last, CHWN": "chwn", "channels last, NHWC": "nhwc", "channels first, NCHW": "nchw"}


def layout_pass(order: str, batch: int = 32) -> Callable[[], None]:
    """Forward and backward of one convolution by im2col, with axes in this order."""
    sizes = {"n": batch, "c": 16, "h": 15, "w": 15}
    x = np.random.default_rng(0).standard_normal([sizes[axis] for axis in order], np.float32)
    weight = np.random.default_rng(1).standard_normal((32, 16 * 9), np.float32)
    shape = {"chwn": (16, 9, 13, 13, batch), "nhwc": (batch, 13, 13, 9, 16), "nchw": (batch, 16, 9, 13, 13)}[order]
    axis, taps = shape.index(9), [(u, v) for u in range(3) for v in range(3)]

    def view(maps: np.ndarray, u: int, v: int) -> np.ndarray:
        slices = {"h": slice(u, u + 13), "w": slice(v, v + 13)}
        return maps[tuple(slices.get(letter, slice(None)) for letter in order)]

    def run() -> None:
        columns = np.empty(shape, np.float32)
        for number, tap in enumerate(taps):
            np.moveaxis(columns, axis, 0)[number] = view(x, *tap)
        flat = columns.reshape((144, -1) if order == "chwn" else (-1, 144) if order == "nhwc" else (batch, 144, -1))
        if order == "nhwc":
            y = flat @ weight.T
            _, back = y.T @ flat, y @ weight
        else:
            y = weight @ flat
            by_weight = y @ flat.swapaxes(-1, -2)
            _, back = by_weight if order == "chwn" else by_weight.sum(0), weight.T @ y
        delta = np.zeros_like(x)
        for number, tap in enumerate(taps):
            view(delta, *tap)[...] += np.moveaxis(back.reshape(shape), axis, 0)[number]

    return run


def torch_pass(batch: int = 32) -> Callable[[], None]:
    convolution, x = nn.Conv2d(16, 32, 3), torch.randn(batch, 16, 15, 15, requires_grad=True)

    def run() -> None:
        y = convolution(x)
        y.backward(y.detach())

    return run


def layouts(repeats: int) -> None:
    passes = {name: layout_pass(order) for name, order in LAYOUTS.items()} | {"torch": torch_pass()}
    times: dict[str, list[float]] = {name: [] for name in passes}
    for turn in range(10 * repeats + 1):
        for name, run in passes.items():
            began = time.perf_counter()
            run()
            if turn:
                times[name].append(1e6 * (time.perf_counter() - began) / 32)
    for name, found in times.items():
        print(f"{name:28} {spread(found)} us a picture")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "mnist", "choose", "layouts"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    if asked.what in ("mnist", "choose"):
        if asked.data is None:
            parser.error("give the folder that has mnist/")
        mnist(asked.data, asked.seeds, choose=asked.what == "choose")
    elif asked.what == "layouts":
        layouts(asked.repeats)
    else:
        compare(asked.batch, asked.repeats)


if __name__ == "__main__":
    main()
