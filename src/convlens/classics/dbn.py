"""The deep belief net (Hinton, Osindero and Teh, 2006), https://doi.org/10.1162/neco.2006.18.7.1527.

Its layers are learned one after the other, each as an RBM on what the layers below make of the pictures. The top two
then form an undirected memory; the others turn round and generate: Gibbs sampling in the top RBM, then down. With
`num_classes` the top RBM has one more visible unit for each class, learns the labels beside what is below, and draws
pictures of the class that is asked for (section 5).

`unrolled` is the same weights as a feed-forward network with a classifier on top, and `fine_tune` trains all of it by
back-propagation, as Hinton and Salakhutdinov (2006, https://doi.org/10.1126/science.1127647).

Departures: no up-down algorithm after the greedy layers; each RBM begins with its own small weights, not with those of
the layer below turned round; fine-tuning is by Adam, where the second paper has conjugate gradients.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.classics.given import (
    Pictures,
    Progress,
    check_finite,
    check_labels,
    check_pictures,
    coins,
    draws_of,
    learning,
    one_hot_labels,
    one_hot_wanted,
)
from convlens.classics.labels import LabelledRBM
from convlens.classics.rbm import RBM
from convlens.errors import UsageError, check_count, check_number


class DBN(nn.Module):
    """`DBN(784, 500, 500, 2000, num_classes=10)` has the paper's sizes, from the pictures up."""

    def __init__(self, num_visible: int, *num_hidden: int, num_classes: int = 0) -> None:
        super().__init__()
        if not num_hidden:
            raise UsageError("a deep belief net of no hidden layer; expected sizes such as DBN(784, 500, 500, 2000)")
        self.sizes = tuple(check_count("a size", size) for size in (num_visible, *num_hidden))
        self.num_classes = check_count("num_classes", num_classes, 0)
        *below, top = pairwise(self.sizes)
        last = LabelledRBM(top[0], num_classes, top[1]) if num_classes else RBM(*top)
        self.layers = nn.ModuleList([*(RBM(*pair) for pair in below), last])

    @property
    def rbms(self) -> list[RBM]:
        return [layer for layer in self.layers if isinstance(layer, RBM)]

    def fit(
        self,
        pictures: Pictures,
        labels: Tensor | np.ndarray | None = None,
        *,
        epochs: int,
        seed: int = 0,
        progress: Progress | None = None,
        **options: Any,
    ) -> Self:
        """Learn pictures (N, V) in 0..1, and labels (N,) where there are classes, from the beginning.

        `epochs` are those of each layer, `options` those of `RBM.fit`. `progress` hears of each layer as its own stage:
        "layer 1 of 3".
        """
        given = self._checked(pictures)
        classes = one_hot_labels(labels, len(given), self.num_classes, given)
        for number, rbm in enumerate(self.rbms, start=1):
            told = progress and _as_stage(progress, f"layer {number} of {len(self.layers)}")
            if number == len(self.layers):
                given = torch.cat([given, classes], 1)
            rbm.fit(given, epochs=epochs, seed=seed + number - 1, progress=told, **options)
            if number < len(self.layers):
                given = rbm.hidden_given(given)
        return self

    def features(self, pictures: Pictures) -> Tensor:
        """(N, V) -> (N, units of the top layer), chances, nothing drawn; as if no class were seen."""
        below = self._raised(pictures)
        return self.rbms[-1].hidden_given(F.pad(below, (0, self.num_classes)))

    def classes_given(self, pictures: Pictures) -> Tensor:
        """(N, V) -> (N, num_classes), chances: the top RBM's free energies with each class unit set in turn."""
        top = self.rbms[-1]
        if not isinstance(top, LabelledRBM):
            raise UsageError("the net has no class units; make it with num_classes, or fine-tune what `unrolled` gives")
        return top.classes_given(self._raised(pictures))

    def samples(
        self, wanted: int | Tensor | np.ndarray, *, steps: int = 1000, seed: int = 0, start: Pictures | None = None
    ) -> Tensor:
        """Gibbs sampling in the top RBM, then down -> (N, V), chances of the pixels.

        `wanted` is how many, or classes (N,), one for each picture, which are then held in the memory. The chains begin
        at coins of one half, or at what the lower layers make of `start` (N, V).
        """
        *below, top = self.rbms
        begun, draws = None if start is None else self._raised(start), draws_of(seed + 1, top.weights)
        if isinstance(wanted, int | np.integer):
            if begun is not None and self.num_classes:
                begun = F.pad(begun, (0, self.num_classes), value=1 / self.num_classes)
            chances = top.samples(int(wanted), steps=steps, seed=seed, start=begun)[:, : self.sizes[-2]]
        else:
            classes = one_hot_wanted(wanted, self.num_classes, top.weights.detach())
            assert isinstance(top, LabelledRBM), "there are classes"
            chances = top.samples_of(classes, steps, draws_of(seed, classes), begun)
        for rbm in reversed(below):
            chances = rbm.visible_given(coins(chances, draws))
        return chances

    def unrolled(self, num_classes: int) -> nn.Sequential:
        """(N, V) -> (N, num_classes), logits: a copy of the weights upwards, sigmoids, and a classifier of zeros."""
        layers: list[nn.Module] = []
        for rbm in self.rbms:
            upwards = rbm.weights.detach()[: rbm.sizes[0] - (rbm.num_classes if isinstance(rbm, LabelledRBM) else 0)]
            linear = nn.utils.skip_init(nn.Linear, *upwards.shape)
            linear.weight.data = upwards.T.clone(memory_format=torch.contiguous_format)
            linear.bias.data = rbm.hidden_bias.detach().clone()
            layers += [linear, nn.Sigmoid()]
        classifier = nn.utils.skip_init(nn.Linear, self.sizes[-1], check_count("num_classes", num_classes))
        nn.init.zeros_(classifier.weight)
        nn.init.zeros_(classifier.bias)
        return nn.Sequential(*layers, classifier).to(self.rbms[0].weights)

    def _raised(self, pictures: Pictures) -> Tensor:
        """(N, V) -> what the top RBM sees of them, (N, units of the layer below it), chances."""
        given = self._checked(pictures)
        for rbm in self.rbms[:-1]:
            given = rbm.hidden_given(given)
        return given

    def _checked(self, pictures: Pictures) -> Tensor:
        return check_pictures(pictures, self.sizes[0], self.rbms[0].weights)


def _as_stage(progress: Progress, name: str) -> Progress:
    return lambda _, done, total, detail: progress(name, done, total, detail)


def _ends(network: nn.Sequential) -> tuple[nn.Linear, nn.Linear]:
    if isinstance(network, nn.Sequential) and len(network):
        first, last = network[0], network[-1]
        if isinstance(first, nn.Linear) and isinstance(last, nn.Linear):
            return first, last
    raise UsageError(
        f"a {type(network).__name__} came to be fine-tuned; expected a Sequential from one linear layer to another, "
        "as DBN.unrolled gives it"
    )


def fine_tune(
    network: nn.Sequential,
    pictures: Pictures,
    labels: Tensor | np.ndarray,
    *,
    epochs: int,
    seed: int = 0,
    batch: int = 100,
    learning_rate: float = 0.001,
    progress: Progress | None = None,
) -> nn.Sequential:
    """Train what `unrolled` gave by back-propagation, in place: cross entropy, Adam, a rate that falls to 0."""
    first, last = _ends(network)
    given = check_pictures(pictures, first.in_features, first.weight)
    wanted = check_labels(labels, len(given), last.out_features).to(given.device)
    rate = check_number("learning_rate", learning_rate, 0)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    steps = check_count("epochs", epochs) * -(-len(given) // check_count("batch", batch))
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    draws = draws_of(seed, given)
    for epoch in range(1, epochs + 1):
        total = torch.zeros((), device=given.device)
        with learning(network):
            for rows in torch.randperm(len(given), generator=draws, device=given.device).split(batch):
                loss = F.cross_entropy(network(given[rows]), wanted[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                falling.step()
                total += loss.detach() * len(rows)
        check_finite(network, total)
        if progress:
            progress("fine-tune", epoch, epochs, f"loss {total.item() / len(given):.4f}")
    return network
