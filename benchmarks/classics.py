"""The classics on MNIST and on random patterns: the figures of docs/classics.md, each with its spread over seeds.

    python benchmarks/classics.py hopfield        capacity of 1,000 units, four networks a load; two minutes
    python benchmarks/classics.py rbm DATA 3      500 hidden units, CD-1 and persistent: nats a test digit; 3 seeds
    python benchmarks/classics.py dbn DATA 3      greedy layers, then fine-tuned: test accuracy; 3 seeds
    python benchmarks/classics.py labels DATA 1 FOLDER   with class units on top: what it reads, and draws on demand
    python benchmarks/classics.py dreams DATA 1 FOLDER   layers with persistent chains, and what they draw: dreams.png

DATA is the folder that has mnist/. A second folder after the seeds takes pictures: filters, samples. The options of the
DBN and of the persistent RBM were chosen from a few on 6,000 training pictures that were held out; CD-1 was not tuned,
nor was `labels`, which takes the options of `dreams`.
`--choose` holds out the last 6,000. Scored are the weights of the last step. Likelihoods are of pixels drawn from the
greys of the test pictures with seed 0, as Salakhutdinov and Murray (2008) have them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

import convlens
from convlens.classics import (
    CRITICAL_LOAD,
    DBN,
    RBM,
    capacity,
    capacity_plot,
    filters_sheet,
    fine_tune,
    log_likelihood,
    log_partition,
    pictures_sheet,
)
from convlens.data import open_images

SIDE, CHOOSING = 28, 6000
SIZES = (784, 500, 500, 2000)
LOADS = (0.08, 0.1, 0.12, 0.13, CRITICAL_LOAD, 0.145, 0.155, 0.17, 0.185, 0.2, 0.25)
DBN_OPTIONS = {"epochs": 10, "learning_rate": 0.05, "momentum": 0.9}
DREAM_OPTIONS = {"epochs": 5, "learning_rate": 0.02, "momentum": 0.9, "persistent": True}
TUNING = {"epochs": 15, "learning_rate": 0.001}
RBM_OPTIONS = {
    "CD-1": {"epochs": 15, "learning_rate": 0.05, "momentum": 0.9},
    "persistent": {"epochs": 20, "learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.0, "persistent": True},
}


def mnist(folder: Path, choose: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """-> pictures (N, 784) in 0..1 and labels to learn from, and those to score on."""
    images = open_images("mnist", data_dir=folder)
    assert images.parts is not None
    pictures = np.stack([images.reader.read(index) for index in range(len(images))])
    pixels, labels = torch.from_numpy(pictures).flatten(1).float() / 255, torch.from_numpy(images.labels)
    test = torch.tensor([part == "test" for part in images.parts])
    seen, held_out = (~test).nonzero()[:, 0], test.nonzero()[:, 0]
    if choose:
        seen, held_out = seen[:-CHOOSING], seen[-CHOOSING:]
    return pixels[seen], labels[seen], pixels[held_out], labels[held_out]


def spread(values: list[float], digits: int) -> str:
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    ends = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    return f"{statistics.mean(values):.{digits}f}{deviation} ({len(values)} seeds, {ends})"


def hopfield(asked: argparse.Namespace) -> None:
    began = time.perf_counter()
    measured = capacity(LOADS, num_units=1000, networks=4)
    for one in measured:
        print(f"{one.load:.3f} patterns a unit: {one.recalled:6.1%} recalled, {one.bits_right:.1%} of the bits right")
    print(f"{time.perf_counter() - began:.0f} s")
    if asked.pictures:
        capacity_plot({"1,000 units": measured}).save(asked.pictures / "capacity.png")


def rbm(asked: argparse.Namespace) -> None:
    seen, _, held_out, _ = mnist(asked.data, asked.choose)
    drawn = torch.bernoulli(held_out, generator=torch.Generator().manual_seed(0))
    for name, options in RBM_OPTIONS.items():
        nats, seconds = [], []
        for seed in range(asked.seeds):
            began = time.perf_counter()
            model = RBM(SIDE**2, 500).fit(seen, seed=seed, **options)
            seconds.append(time.perf_counter() - began)
            log_z = log_partition(model, seen, seed=seed)
            nats.append(log_likelihood(model, drawn, log_z.value).mean().item())
            more = time.perf_counter() - began - seconds[-1]
            print(f"{name}, seed {seed}: {nats[-1]:.2f} nats, log Z {log_z.value:.2f}", end=" ")
            print(f"({log_z.low:.2f} to {log_z.high:.2f}), {seconds[-1]:.0f} s and {more:.0f} s for Z", flush=True)
            if asked.pictures and seed == 0:
                filters_sheet(model, (SIDE, SIDE), num=60).save(asked.pictures / f"mnist-filters-{name}.png")
                samples = model.samples(60, seed=0, start=seen[:60])
                pictures_sheet(samples, (SIDE, SIDE), columns=12).save(asked.pictures / f"mnist-samples-{name}.png")
        print(f"{name}: {spread(nats, 2)} nats a digit, {statistics.median(seconds):.0f} s to learn", flush=True)


def dbn(asked: argparse.Namespace) -> None:
    seen, labels, held_out, truths = mnist(asked.data, asked.choose)
    accuracies, seconds = [], []
    for seed in range(asked.seeds):
        began = time.perf_counter()
        net = DBN(*SIZES).fit(seen, seed=seed, **DBN_OPTIONS)
        greedy = time.perf_counter() - began
        network = fine_tune(net.unrolled(10), seen, labels, seed=seed, **TUNING)
        seconds.append(time.perf_counter() - began)
        with torch.inference_mode():
            accuracies.append(100 * (network(held_out).argmax(1) == truths).float().mean().item())
        print(f"seed {seed}: {accuracies[-1]:.2f} %, {greedy:.0f} s for the layers,", end=" ")
        print(f"{seconds[-1] - greedy:.0f} s to fine-tune", flush=True)
    print(f"{spread(accuracies, 2)} %, {statistics.median(seconds):.0f} s each")


def dreams(asked: argparse.Namespace) -> None:
    """Layers learned with CD-1, which recognise better, draw hardly anything but empty pictures in chains so long."""
    seen, _, _, _ = mnist(asked.data, choose=True)
    began = time.perf_counter()
    net = DBN(*SIZES).fit(seen, seed=0, **DREAM_OPTIONS)
    samples = net.samples(60, seed=0, start=seen[:60])
    print(f"{time.perf_counter() - began:.0f} s")
    if asked.pictures:
        pictures_sheet(samples, (SIDE, SIDE), columns=12).save(asked.pictures / "dreams.png")


def labels(asked: argparse.Namespace) -> None:
    """The top RBM sees the labels and reads by free energy; `convlens train mnist` judges what is drawn on demand."""
    seen, labels, held_out, truths = mnist(asked.data, asked.choose)
    with TemporaryDirectory() as place:
        judge = convlens.Run.load(convlens.train("mnist", data_dir=asked.data, out=Path(place) / "judge").run)
        reader = judge.model.eval()  # which reads its file now
    reads, draws, wanted = [], [], torch.arange(1000) % 10
    for seed in range(asked.seeds):
        began = time.perf_counter()
        net = DBN(*SIZES, num_classes=10).fit(seen, labels, seed=seed, **DREAM_OPTIONS)
        seconds = time.perf_counter() - began
        reads.append(100 * (net.classes_given(held_out).argmax(1) == truths).float().mean().item())
        made = net.samples(wanted, steps=200, seed=seed)
        pixels = (255 * made).round().byte().view(-1, SIDE, SIDE).numpy()
        with torch.inference_mode():
            read = reader(judge.preprocess(list(pixels))).argmax(1)
        draws.append(100 * (read == wanted).float().mean().item())
        print(f"seed {seed}: reads {reads[-1]:.2f} %, {draws[-1]:.1f} % drawn as asked, {seconds:.0f} s", flush=True)
        if asked.pictures and seed == 0:
            pictures_sheet(made[:60], (SIDE, SIDE), columns=10).save(asked.pictures / "asked.png")
    print(f"reads {spread(reads, 2)} %, draws {spread(draws, 1)} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("hopfield", "rbm", "dbn", "labels", "dreams"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("seeds", type=int, nargs="?", default=1)
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("--choose", action="store_true", help="score on the last training pictures, not on the test's")
    asked = parser.parse_args()
    if asked.what != "hopfield" and asked.data is None:
        parser.error("name the folder that has mnist/")
    torch.set_flush_denormal(True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    {"hopfield": hopfield, "rbm": rbm, "dbn": dbn, "labels": labels, "dreams": dreams}[asked.what](asked)


if __name__ == "__main__":
    main()
