"""The deep belief net (Hinton, Osindero and Teh, 2006), https://doi.org/10.1162/neco.2006.18.7.1527.

Its layers are learned one after the other, each as an RBM on what the layers below make of the pictures. The top two
then form an undirected memory; the others turn round and generate: Gibbs sampling in the top RBM, then down.

`unrolled` is the same weights as a feed-forward network with a classifier on top, and `fine_tune` trains all of it by
back-propagation, as Hinton and Salakhutdinov (2006, https://doi.org/10.1126/science.1127647).

Departures: no label units beside the top RBM and no up-down algorithm after the greedy layers, so that generation is
not by class; each RBM begins with its own small weights, not with those of the layer below turned round; fine-tuning
is by Adam, where the second paper has conjugate gradients.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.classics.given import (
    Pictures,
    Progress,
    check_labels,
    check_number,
    check_pictures,
    coins,
    draws_of,
)
from convlens.classics.rbm import RBM
from convlens.errors import UsageError, check_count


class DBN(nn.Module):
    """`DBN(784, 500, 500, 2000)` has the paper's sizes, from the pictures up."""

    def __init__(self, num_visible: int, *num_hidden: int) -> None:
        super().__init__()
        if not num_hidden:
            raise UsageError("a deep belief net of no hidden layer; expected sizes such as DBN(784, 500, 500, 2000)")
        self.sizes = tuple(check_count("a size", size) for size in (num_visible, *num_hidden))
        self.layers = nn.ModuleList(RBM(*pair) for pair in pairwise(self.sizes))

    @property
    def rbms(self) -> list[RBM]:
        return [layer for layer in self.layers if isinstance(layer, RBM)]

    def fit(
        self, pictures: Pictures, *, epochs: int, seed: int = 0, progress: Progress | None = None, **options: Any
    ) -> Self:
        """Learn pictures (N, V) in 0..1, `epochs` a layer, from the beginning; `options` are those of `RBM.fit`.

        `progress` hears of each layer as its own stage: "layer 1 of 3".
        """
        given = self._checked(pictures)
        for number, rbm in enumerate(self.rbms, start=1):
            told = progress and _as_stage(progress, f"layer {number} of {len(self.layers)}")
            rbm.fit(given, epochs=epochs, seed=seed + number - 1, progress=told, **options)
            given = rbm.hidden_given(given)
        return self

    def features(self, pictures: Pictures) -> Tensor:
        """(N, V) -> (N, units of the top layer), chances, nothing drawn."""
        given = self._checked(pictures)
        for rbm in self.rbms:
            given = rbm.hidden_given(given)
        return given

    def samples(self, num: int, *, steps: int = 1000, seed: int = 0, start: Pictures | None = None) -> Tensor:
        """Gibbs sampling in the top RBM, then down -> (num, V), chances of the pixels.

        The chains begin at coins of one half, or at what the lower layers make of `start` (num, V).
        """
        *below, top = self.rbms
        if start is not None:
            start = self._checked(start)
            for rbm in below:
                start = rbm.hidden_given(start)
        chances, draws = top.samples(num, steps=steps, seed=seed, start=start), draws_of(seed + 1, top.weights)
        for rbm in reversed(below):
            chances = rbm.visible_given(coins(chances, draws))
        return chances

    def unrolled(self, num_classes: int) -> nn.Sequential:
        """(N, V) -> (N, num_classes), logits: a copy of the weights upwards, sigmoids, and a classifier of zeros."""
        layers: list[nn.Module] = []
        for rbm in self.rbms:
            linear = nn.utils.skip_init(nn.Linear, *rbm.sizes)
            linear.weight.data = rbm.weights.detach().T.clone(memory_format=torch.contiguous_format)
            linear.bias.data = rbm.hidden_bias.detach().clone()
            layers += [linear, nn.Sigmoid()]
        classifier = nn.utils.skip_init(nn.Linear, self.sizes[-1], check_count("num_classes", num_classes))
        nn.init.zeros_(classifier.weight)
        nn.init.zeros_(classifier.bias)
        return nn.Sequential(*layers, classifier).to(self.rbms[0].weights)

    def _checked(self, pictures: Pictures) -> Tensor:
        return check_pictures(pictures, self.sizes[0], self.rbms[0].weights)


def _as_stage(progress: Progress, name: str) -> Progress:
    return lambda _, done, total, detail: progress(name, done, total, detail)


def fine_tune(
    network: nn.Sequential,
    pictures: Pictures,
    labels: Tensor,
    *,
    epochs: int,
    seed: int = 0,
    batch: int = 100,
    learning_rate: float = 0.001,
    progress: Progress | None = None,
) -> nn.Sequential:
    """Train what `unrolled` gave by back-propagation, in place: cross entropy, Adam, a rate that falls to 0."""
    first, last = network[0], network[-1]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear), "a network of DBN.unrolled"
    given = check_pictures(pictures, first.in_features, first.weight)
    wanted = check_labels(labels, len(given), last.out_features).to(given.device)
    rate = check_number("learning_rate", learning_rate, 0)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    steps = check_count("epochs", epochs) * -(-len(given) // check_count("batch", batch))
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    draws = draws_of(seed, given)
    for epoch in range(1, epochs + 1):
        total = torch.zeros((), device=given.device)
        for rows in torch.randperm(len(given), generator=draws, device=given.device).split(batch):
            loss = F.cross_entropy(network(given[rows]), wanted[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
            total += loss.detach() * len(rows)
        if progress:
            progress("fine-tune", epoch, epochs, f"loss {total.item() / len(given):.4f}")
    return network
