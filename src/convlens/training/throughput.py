"""How many pictures a second a network learns from on this machine, in the way that a training would choose."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.training.precision import Choice, Trial, choose
from convlens.training.rates import build_optimiser
from convlens.training.recipe import Recipe
from convlens.training.replayed import AS_THEY_COME, Replayed, can_record

PROBING_S = 30.0  # for all ways to run a step
STEPS = 5  # of a round, at least,
LEAST_S = 0.5  # and for so long: a step on a GPU takes milliseconds
ROUNDS = 3
RATE = 1e-3

Step = Callable[[Tensor, Tensor], float]  # (N, C, H, W), (N,) -> loss


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

    All on the device that the images are on. `choice` is a way to run a step that was measured before.
    """
    network = copy.deepcopy(network).to(images.device)
    if choice is None:
        choice, _ = choose(Recipe(), Trial(network, images, labels, PROBING_S))
    before = torch.get_num_threads()
    torch.set_num_threads(choice.threads)
    try:
        with torch.random.fork_rng(devices=[]), choice.memory():
            speeds = [
                pictures_per_second(step_of(copy.deepcopy(network), choice), images, labels) for _ in range(rounds)
            ]
    finally:
        torch.set_num_threads(before)
    return Throughput(statistics.median(speeds), min(speeds), max(speeds), choice)


def step_of(network: nn.Module, choice: Choice) -> Step:
    """One step of training after another, by `choice`, without augmentation or schedule."""
    network = choice.laid_out(network).train()
    device = next(network.parameters()).device
    forward = choice.forward_of(network, device)
    optimiser = build_optimiser(network, Recipe())

    def learn(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = forward(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimiser.move()
        return loss.detach(), logits.detach()

    run = learn
    if can_record(device):
        run = Replayed(learn, network)
        optimiser.keep_rates_on(device)
    optimiser.set_rate(RATE)

    def step(images: Tensor, labels: Tensor) -> float:
        loss, _ = run(images.contiguous(memory_format=choice.memory_format), labels)
        optimiser.settle()
        return float(loss)

    return step


def pictures_per_second(step: Step, images: Tensor, labels: Tensor) -> float:
    """After a first step, which compiles kernels, and on a GPU some more before one is recorded: not counted."""
    for _ in range(AS_THEY_COME + 2 if images.is_cuda else 1):
        step(images, labels)
    began, done, spent = time.perf_counter(), 0, 0.0
    while done < STEPS or spent < LEAST_S:
        step(images, labels)
        done += 1
        spent = time.perf_counter() - began
    return done * len(images) / spent
