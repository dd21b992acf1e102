"""The top of a deep belief net that learns labels too (Hinton, Osindero and Teh, 2006, section 5),
https://doi.org/10.1162/neco.2006.18.7.1527: an RBM whose visible units are those of the layer below and one for each of
K classes, of which exactly one is 1 ("softmax group"):

    p(v = 1 | h) = sigmoid(b + W·h)        p(class k | h) = softmax over k of (a_k + U_k·h)
    p(class k | v) = softmax over k of (a_k + sum of softplus(c + v·W + U_k)), the free energies with each class set

N rows, V units below, H hidden. `weights` are W and U under one another, (V + K, H).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.classics.given import coins
from convlens.classics.rbm import RBM, check_start
from convlens.errors import check_count


class LabelledRBM(RBM):
    """`num_visible` units, then one for each class."""

    def __init__(self, num_visible: int, num_classes: int, num_hidden: int) -> None:
        self.num_classes = check_count("num_classes", num_classes)
        super().__init__(check_count("num_visible", num_visible) + num_classes, num_hidden)

    @torch.no_grad()
    def _begin(self, draws: torch.Generator, mean: Tensor | None = None) -> None:
        """The biases of the classes give their shares: in a softmax log p does, where a unit by itself has logit p."""
        super()._begin(draws, mean)
        if mean is not None:
            self.visible_bias[-self.num_classes :] = mean[-self.num_classes :].clamp(min=0.001).log()

    @torch.no_grad()
    def visible_given(self, hidden: Tensor) -> Tensor:
        """(N, H) -> (N, V + K), chances; those of the classes add up to 1."""
        below, classes = self._parted(torch.addmm(self.visible_bias, self._hidden(hidden), self.weights.T))
        return torch.cat([below.sigmoid(), classes.softmax(1)], 1)

    def drawn(self, chances: Tensor, draws: torch.Generator) -> Tensor:
        below, classes = self._parted(chances)
        chosen = torch.multinomial(classes, 1, generator=draws)[:, 0]
        return torch.cat([coins(below, draws), F.one_hot(chosen, self.num_classes).to(below)], 1)

    @torch.no_grad()
    def classes_given(self, below: Tensor) -> Tensor:
        """(N, V) -> (N, K), chances, summed over all hidden states."""
        _, bias = self._parted(self.visible_bias[None])
        sums = self.hidden_bias + below @ self.weights[: -self.num_classes]
        energies = [F.softplus(sums + of_class).sum(1) for of_class in self.weights[-self.num_classes :]]
        return (bias + torch.stack(energies, 1)).softmax(1)

    @torch.no_grad()
    def samples_of(self, classes: Tensor, steps: int, draws: torch.Generator, start: Tensor | None) -> Tensor:
        """Block Gibbs sampling with the class units held at `classes` (N, K) -> (N, V), chances of the last step."""
        if start is None:
            start = classes.new_full((len(classes), self.sizes[0] - self.num_classes), 0.5)
        check_start(start, len(classes))
        chances = start
        for _ in range(check_count("steps", steps)):
            visible = torch.cat([coins(chances, draws), classes], 1)
            chances, _ = self._parted(self.visible_given(coins(self.hidden_given(visible), draws)))
        return chances

    def _parted(self, visible: Tensor) -> tuple[Tensor, Tensor]:
        """(N, V + K) -> (N, V), (N, K)."""
        return visible[:, : -self.num_classes], visible[:, -self.num_classes :]
