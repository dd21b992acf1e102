"""Pictures a second in training at 224 px: convlens beside the loop that everyone writes, on the same network.

    python benchmarks/throughput.py [NETWORK …] [--batch 32] [--repeats 5] [--device cuda]
    python benchmarks/throughput.py NETWORK --curve 200 --folder FOLDER

The plain loop is float32, channels first, torch.optim.AdamW and glibc's allocator as it comes, in a process of its own,
whose allocator nothing has touched. Ours runs a step as `convlens train` would: the way that it chooses after timing
each on this machine, and our optimiser. Both take the same batch of noise, in turns; medians, and from the slowest to
the fastest. The gradients of the two ways are compared on one batch: cosine of the angle between them, in eval mode of
the norms so that both see the same statistics. With --curve both train on FOLDER's pictures, from the same weights, in
the same order and with the same weight decay, and the mean loss of every tenth of the steps is printed for both, beside
that of a second plain loop whose weights began a ten-millionth off: what float32 itself leaves to chance.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.data import Augment, Batches, decode_pixels, open_images, usable_cpus
from convlens.pictures import Preprocess
from convlens.training import Choice, Recipe, Trial, choose, training_throughput
from convlens.training.throughput import RATE, Step, pictures_per_second, step_of
from convlens.zoo import create

NETWORKS = ("resnet18", "resnet50", "mobilenet_v3_large")
SIDE, CLASSES = 224, 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DECAY = Recipe().weight_decay


def plain(network: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> Step:
    optimiser = optimiser or torch.optim.AdamW(network.train().parameters(), lr=RATE)

    def step(images: Tensor, labels: Tensor) -> float:
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return loss.item()

    return step


def gradient(network: nn.Module, choice: Choice, images: Tensor, labels: Tensor) -> Tensor:
    network = choice.laid_out(copy.deepcopy(network)).eval()
    with choice.autocast(images.device):
        logits = network(images.contiguous(memory_format=choice.memory_format))
    F.cross_entropy(logits.float(), labels).backward()
    return torch.cat([p.grad.flatten().double() for p in network.parameters() if p.grad is not None])


def spread(values: Sequence[float], digits: int = 1) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def plain_speed(name: str, batch: int, device: str) -> float:
    network, images, labels = made_up(name, batch, device)
    return pictures_per_second(plain(network), images, labels)


def made_up(name: str, batch: int, device: str) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    torch.set_num_threads(usable_cpus())
    torch.set_flush_denormal(True)
    network = create(name, num_classes=CLASSES).to(device)
    return network, torch.randn(batch, 3, SIDE, SIDE).to(device), (torch.arange(batch) % CLASSES).to(device)


def compare(name: str, batch: int, repeats: int, device: str) -> None:
    network, images, labels = made_up(name, batch, device)
    choice, _ = choose(Recipe(), Trial(network, images, labels, seconds=60.0))
    reference = Choice("fp32", "channels_first", usable_cpus())
    angle = F.cosine_similarity(*(gradient(network, way, images, labels) for way in (reference, choice)), dim=0)
    theirs, own = [], []
    for _ in range(repeats):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            theirs.append(alone.submit(plain_speed, name, batch, device).result())
        own.append(training_throughput(network, images, labels, rounds=1, choice=choice).median)
    ratios = [mine / yours for yours, mine in zip(theirs, own, strict=True)]
    print(
        f"{name}: plain {spread(theirs)}, convlens {spread(own)} pictures/s, {spread(ratios, 2)} times; "
        f"{choice.precision}, {choice.layout}, {choice.threads} threads, memory {choice.allocator}, {device}; "
        f"gradients: cosine {angle:.5f}",
        flush=True,
    )


def curves(name: str, folder: Path, batch: int, steps: int) -> None:
    images = open_images(folder)
    seen = Preprocess((SIDE, SIDE), mean=MEAN, std=STD)
    labels = torch.from_numpy(images.labels)
    pixels = decode_pixels(images, range(len(images)), seen)
    batches = Batches(pixels, labels, seen, Augment(flip=True), batch=batch, seed=0)
    torch.manual_seed(0)
    network = create(name, num_classes=len(images.classes))
    choice, _ = choose(Recipe(), Trial(network, *batches(0), seconds=60.0))
    first = []
    for way, step in ways(network, choice).items():
        losses = []
        for number in range(steps):
            torch.manual_seed(number)  # the same dropout
            losses.append(step(*batches(number)))
        tenths = [statistics.mean(losses[part * steps // 10 : (part + 1) * steps // 10]) for part in range(10)]
        first = first or tenths
        apart = statistics.mean(abs(mine - its) for mine, its in zip(tenths, first, strict=True))
        off = statistics.mean(tenths) - statistics.mean(first)
        print(
            f"{name}, {way}: {' '.join(f'{loss:.3f}' for loss in tenths)}; from the first {off:+.3f} on the mean, "
            f"{apart:.3f} apart in a tenth",
            flush=True,
        )


def adamw(network: nn.Module) -> torch.optim.AdamW:
    """That decays what ours does: filters and matrices."""
    wide, narrow = ([p for p in network.parameters() if (p.ndim > 1) is is_wide] for is_wide in (True, False))
    return torch.optim.AdamW([{"params": wide}, {"params": narrow, "weight_decay": 0.0}], RATE, weight_decay=DECAY)


def ways(network: nn.Module, choice: Choice) -> dict[str, Step]:
    first, nudged = copy.deepcopy(network).train(), copy.deepcopy(network).train()
    with torch.no_grad():
        for weight in nudged.parameters():
            weight.mul_(1 + 1e-7 * torch.randn_like(weight))
    return {
        "plain": plain(first, adamw(first)),
        "plain, nudged": plain(nudged, adamw(nudged)),
        f"convlens, {choice.precision}": step_of(network, choice),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="for the throughputs; curves are the processor's")
    parser.add_argument("--curve", type=int, metavar="STEPS")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.curve and (asked.curve < 10 or asked.folder is None):
        parser.error("--curve takes 10 steps or more, and --folder the pictures")
    torch.set_num_threads(usable_cpus())
    torch.set_flush_denormal(True)
    for name in asked.networks:
        if asked.curve:
            curves(name, asked.folder, asked.batch, asked.curve)
        else:
            compare(name, asked.batch, asked.repeats, asked.device)


if __name__ == "__main__":
    main()
