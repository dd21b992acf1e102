"""CIFAR-10 on one GPU: convlens' own recipe beside the record recipe, in turns, in one process.

    python benchmarks/accelerator.py FOLDER [--recipe cifar10_gpu] [--seeds 5] [--first 0]

FOLDER holds the binary batches, divided as benchmarks/cifar10.py divides them: the last 45,000 training pictures are
trained on, the other 5,000 and whatever test pictures there are are scored, without and with six views. Seconds are all
between pictures in the memory of the CPU and a trained network on the GPU: copying them there, whitening, every step,
and of ours its checkpoints too. Each trains once before, untimed, on one epoch. Both in bf16 autocast.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from cifar10 import mean_of, spread
from torch import Tensor, nn

from convlens.data import Batches, mean_and_std
from convlens.measurement import with_views
from convlens.pictures import Preprocess
from convlens.runs import RunFolder
from convlens.training import Choice, Plan, Recipe, Setting, Task, logits_of, make_plan
from convlens.training.loop import Training
from convlens.training.recipes import Record, record_named
from convlens.zoo import create

sys.path.insert(0, str(Path(__file__).parent / "peers"))
import cifar10_muon
import cifar10_sgd

HELD_OUT, CLASSES = 5000, 10
PEERS = {
    "cifar10": (cifar10_muon, 8.0),
    "cifar10_gpu": (cifar10_muon, 8.0),
    "cifar10_96": (cifar10_sgd, 37.0),
}  # epochs


@dataclass(frozen=True)
class Sets:
    """uint8 pictures (N, 3, 32, 32) and labels, on the CPU."""

    pixels: Tensor
    labels: Tensor
    judged: Tensor
    truth: Tensor


@dataclass(frozen=True)
class Trained:
    seconds: float
    plain: float
    views: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.plain:.2%}, six views {self.views:.2%}"


def read(folder: Path) -> Sets:
    pixels, labels, tests, answers = cifar10_muon.read_batches(folder)
    judged, truth = torch.cat([pixels[:HELD_OUT], tests]), torch.cat([labels[:HELD_OUT], answers])
    return Sets(pixels[HELD_OUT:], labels[HELD_OUT:], judged, truth)


def accuracy(logits: Tensor, truth: Tensor) -> float:
    return float((logits.argmax(1).cpu() == truth).double().mean())


def ours(record: Record, sets: Sets, seed: int, device: torch.device, *, epochs: int | None = None) -> Trained:
    preprocess = Preprocess((32, 32), "crop", 3, *mean_and_std(sets.pixels))
    recipe = replace(record.recipe, seed=seed, epochs=epochs or record.recipe.epochs)
    torch.manual_seed(seed)
    network = create(record.model, num_classes=CLASSES)
    plan = planned(network, recipe, record, sets, preprocess, device)
    batches = Batches(sets.pixels, sets.labels, preprocess, record.augment, batch=plan.batch, seed=seed)
    empty = sets.pixels[:0], sets.labels[:0]
    with TemporaryDirectory() as folder:
        torch.cuda.synchronize()
        began = time.perf_counter()
        training = Training(network, Task(batches, *empty, preprocess, None, {}), recipe, plan, RunFolder(Path(folder)))
        training.run()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    choice = Choice(plan.precision, plan.layout, plan.threads)

    def score(seen_by: nn.Module) -> float:
        return accuracy(logits_of(seen_by, sets.judged, preprocess, choice, device=device), sets.truth)

    return Trained(seconds, score(network), score(with_views(network, record.tta, preprocess.size)))


def planned(
    network: nn.Module, recipe: Recipe, record: Record, sets: Sets, preprocess: Preprocess, device: torch.device
) -> Plan:
    def batches_of(batch: int) -> Batches:
        return Batches(sets.pixels, sets.labels, preprocess, record.augment, batch=batch, seed=recipe.seed)

    return make_plan(network, batches_of, recipe, Setting(CLASSES, device=str(device)))


def peer(recipe: str, sets: Sets, seed: int, device: torch.device, *, epochs: int | None = None) -> Trained:
    module, all_epochs = PEERS[recipe]
    torch.manual_seed(seed)
    mean, std = cifar10_muon.MEAN.to(device), cifar10_muon.STD.to(device)
    torch.cuda.synchronize()
    began = time.perf_counter()
    images = (sets.pixels.to(device).float() / 255 - mean) / std
    net = module.Net().to(device, memory_format=torch.channels_last)
    net.measure_whitening(images[:5000])
    module.train(net, images, sets.labels.to(device), epochs or all_epochs)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    net.eval()
    judged = (sets.judged.to(device).float() / 255 - mean) / std
    plain, views = (cifar10_muon.logits_of(net, judged, augmented=way) for way in (False, True))
    return Trained(seconds, accuracy(plain, sets.truth), accuracy(views, sets.truth))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", choices=PEERS, default="cifar10_gpu")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("no GPU is here; benchmarks/cifar10.py does the same on a CPU")
    device, record, sets = torch.device("cuda"), record_named(asked.recipe), read(asked.folder)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {len(sets.pixels):,} pictures", flush=True)
    ways = {
        "convlens": lambda seed, **more: ours(record, sets, seed, device, **more),
        "peer": lambda seed, **more: peer(asked.recipe, sets, seed, device, **more),
    }
    for way in ways.values():
        way(0, epochs=1)
    rows: dict[str, list[Trained]] = {who: [] for who in ways}
    for seed in range(asked.first, asked.first + asked.seeds):
        for who in sorted(ways, reverse=seed % 2 == 0):
            rows[who].append(ways[who](seed))
        print(f"seed {seed}: " + "; ".join(f"{who} {them[-1]}" for who, them in rows.items()), flush=True)
    for who, them in rows.items():
        accuracies = f"{mean_of([one.plain for one in them])}, six views {mean_of([one.views for one in them])}"
        print(f"{who}: {spread([one.seconds for one in them], ' s', 2)}, {accuracies}")
    pairs = list(zip(rows["convlens"], rows["peer"], strict=True))
    print("convlens / peer:", spread([mine.seconds / its.seconds for mine, its in pairs], "", 2))
    points = statistics.mean(100 * (mine.views - its.views) for mine, its in pairs)
    print(f"convlens - peer, six views: {points:+.2f} points")


if __name__ == "__main__":
    main()
