"""How many pictures a second a network learns from on this machine, in the fastest way that was measured."""

from __future__ import annotations

import copy
import statistics
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.training.precision import Choice, Trial, choose
from convlens.training.rates import build_optimiser
from convlens.training.recipe import Recipe

PROBING_S = 30.0  # for all ways to run a step
STEPS = 5  # of a round
ROUNDS = 3


@dataclass(frozen=True)
class Throughput:
    """Pictures a second: the median of rounds, and the slowest and the fastest of them."""

    median: float
    slowest: float
    fastest: float
    choice: Choice


def training_throughput(
    network: nn.Module, images: Tensor, labels: Tensor, *, rounds: int = ROUNDS, choice: Choice | None = None
) -> Throughput:
    """Forward, backward and the optimiser's step on one batch, (N, C, H, W) and (N,), by a copy of the network.

    `choice` is a way to run a step that was measured before.
    """
    if choice is None:
        choice, _ = choose(Recipe(), Trial(network, images, labels, PROBING_S))
    before = torch.get_num_threads()
    torch.set_num_threads(choice.threads)
    try:
        with torch.random.fork_rng(devices=[]), choice.memory():
            speeds = [_speed(copy.deepcopy(network), images, labels, choice) for _ in range(rounds)]
    finally:
        torch.set_num_threads(before)
    return Throughput(statistics.median(speeds), min(speeds), max(speeds), choice)


def _speed(network: nn.Module, images: Tensor, labels: Tensor, choice: Choice) -> float:
    network = choice.laid_out(network).train()
    images = images.contiguous(memory_format=choice.memory_format)
    optimiser = build_optimiser(network, Recipe())
    optimiser.set_rate(1e-3)
    began = 0.0
    for step in range(1 + STEPS):
        if step == 1:  # the first compiles kernels
            began = time.perf_counter()
        with choice.autocast(images.device):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimiser.step()
    return STEPS * len(images) / (time.perf_counter() - began)
