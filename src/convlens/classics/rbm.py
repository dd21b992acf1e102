"""The restricted Boltzmann machine: Smolensky's harmonium (1986), learned by contrastive divergence
(Hinton, 2002, https://doi.org/10.1162/089976602760128018) and by persistent chains
(Tieleman, 2008, https://doi.org/10.1145/1390156.1390290).

V visible and H hidden units of 0 and 1, every visible one joined to every hidden one and to no other:

    E(v, h) = - v·b - h·c - v·W·h          p(v, h) = exp(-E(v, h)) / Z
    p(h = 1 | v) = sigmoid(c + v·W)        p(v = 1 | h) = sigmoid(b + W·h)
    F(v) = -log sum over h of exp(-E(v, h)) = - v·b - sum of softplus(c + v·W)

The likelihood's gradient is <v h> of the data minus <v h> of the model. CD-k takes the latter after k steps of Gibbs
sampling that begin at the data; the persistent form after k further steps of chains that are never restarted.

Departures: greys are the chances of a pixel to be 1, drawn anew at each presentation; the last hidden layer of either
phase enters as its chances, not as drawn (Hinton, 2010, section 3.1), which has the same mean and varies less; the
learning rate falls in a line to 0, as Tieleman's, in both forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.classics.given import (
    Pictures,
    Progress,
    check_pictures,
    check_units,
    coins,
    draws_of,
    learning,
)
from convlens.errors import UsageError, check_count, check_number, counted


class Gradient(NamedTuple):
    """Uphill, of the mean log-likelihood or of what stands for it."""

    weights: Tensor  # (V, H)
    visible_bias: Tensor
    hidden_bias: Tensor


class RBM(nn.Module):
    """`weights` (V, H), `visible_bias` (V,), `hidden_bias` (H,)."""

    def __init__(self, num_visible: int, num_hidden: int) -> None:
        super().__init__()
        self.sizes = (check_count("num_visible", num_visible), check_count("num_hidden", num_hidden))
        self.weights = nn.Parameter(torch.zeros(num_visible, num_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(num_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(num_hidden))
        self._begin(draws_of(0, self.weights))

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """(N, V), (N, H) -> (N,)."""
        self._visible(visible), self._hidden(hidden)
        joined = ((visible @ self.weights) * hidden).sum(-1)
        return -(visible @ self.visible_bias) - hidden @ self.hidden_bias - joined

    def free_energy(self, visible: Tensor) -> Tensor:
        """(N, V) -> (N,); log p(v) is its negative less log Z."""
        self._visible(visible)
        return -(visible @ self.visible_bias) - F.softplus(self.hidden_bias + visible @ self.weights).sum(-1)

    @torch.no_grad()
    def hidden_given(self, visible: Tensor) -> Tensor:
        """(N, V) -> (N, H), chances."""
        return torch.sigmoid(torch.addmm(self.hidden_bias, self._visible(visible), self.weights))

    @torch.no_grad()
    def visible_given(self, hidden: Tensor) -> Tensor:
        """(N, H) -> (N, V), chances."""
        return torch.sigmoid(torch.addmm(self.visible_bias, self._hidden(hidden), self.weights.T))

    def drawn(self, chances: Tensor, draws: torch.Generator) -> Tensor:
        """Visible units of 0 and 1 of their chances."""
        return coins(chances, draws)

    def reconstruct(self, pictures: Pictures) -> Tensor:
        """(N, V) -> (N, V): up and down once, by chances, nothing drawn."""
        return self.visible_given(self.hidden_given(self._checked(pictures)))

    def samples(self, num: int, *, steps: int = 1000, seed: int = 0, start: Pictures | None = None) -> Tensor:
        """Block Gibbs sampling -> (num, V), chances of the last step; their coins are the samples.

        The chains begin at coins of one half, or at `start` (num, V).
        """
        draws = draws_of(seed, self.weights)
        first = torch.full((check_count("num", num), self.sizes[0]), 0.5) if start is None else start
        begun = self._checked(first)
        check_start(begun, num)
        visible = self.drawn(begun, draws)
        chances = visible
        for _ in range(check_count("steps", steps)):
            chances = self.visible_given(coins(self.hidden_given(visible), draws))
            visible = self.drawn(chances, draws)
        return chances

    def fit(
        self,
        pictures: Pictures,
        *,
        epochs: int,
        seed: int = 0,
        k: int = 1,
        persistent: bool = False,
        batch: int = 100,
        learning_rate: float = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0002,
        progress: Progress | None = None,
    ) -> Self:
        """Learn pictures (N, V) in 0..1, from the beginning. The same seed gives the same weights on one machine.

        `persistent` keeps as many chains as there are pictures in a batch. `progress` hears the mean squared error of
        the reconstruction, for which there is no bound that learning must obey: what falls is -log p, not it.
        """
        given = self._checked(pictures)
        how = _How(
            check_count("epochs", epochs),
            check_count("k", k),
            min(check_count("batch", batch), len(given)),
            check_number("learning_rate", learning_rate, 0),
            check_number("momentum", momentum, 0, 1),
            check_number("weight_decay", weight_decay, 0),
        )
        draws = draws_of(seed, self.weights)
        self._begin(draws, given.mean(0))
        chains = coins(given[torch.arange(how.batch) % len(given)], draws) if persistent else None
        epoch_errors = self._epochs(given, how, chains, draws)
        for epoch in range(1, epochs + 1):
            with learning(self):
                error = next(epoch_errors)
            if progress:
                progress("fit", epoch, epochs, f"reconstruction error {error:.4f}")
        return self

    @torch.no_grad()
    def _epochs(self, given: Tensor, how: _How, chains: Tensor | None, draws: torch.Generator) -> Iterator[float]:
        """The mean squared error of the reconstruction, after each epoch."""
        parameters = Gradient(self.weights, self.visible_bias, self.hidden_bias)
        velocities = [torch.zeros_like(each) for each in parameters]
        per_epoch = -(-len(given) // how.batch)
        for epoch in range(how.epochs):
            order = torch.randperm(len(given), generator=draws, device=given.device)
            for step, rows in enumerate(order.split(how.batch)):
                rate = how.learning_rate * (1 - (epoch * per_epoch + step) / (how.epochs * per_epoch))
                gradient, chains = contrastive_divergence(self, coins(given[rows], draws), how.k, draws, chains)
                gradient.weights.sub_(self.weights, alpha=how.weight_decay)
                for parameter, velocity, slope in zip(parameters, velocities, gradient, strict=True):
                    velocity.mul_(how.momentum).add_(slope)
                    parameter.add_(velocity, alpha=rate)
            seen = given[order[:1000]]
            yield (self.reconstruct(seen) - seen).square().mean().item()

    @torch.no_grad()
    def _begin(self, draws: torch.Generator, mean: Tensor | None = None) -> None:
        """Small weights; each visible bias gives its pixel's mean (Hinton, 2010, section 8)."""
        self.weights.normal_(0, 0.01, generator=draws)
        self.hidden_bias.zero_()
        self.visible_bias.zero_()
        if mean is not None:
            self.visible_bias.copy_(mean.clamp(0.01, 0.99).logit())

    def _visible(self, given: Tensor) -> Tensor:
        return check_units("visible units", given, self.sizes[0], self.weights)

    def _hidden(self, given: Tensor) -> Tensor:
        return check_units("hidden units", given, self.sizes[1], self.weights)

    def _checked(self, pictures: Pictures) -> Tensor:
        return check_pictures(pictures, self.sizes[0], self.weights)


def check_start(start: Pictures, num: int) -> None:
    if len(start) != num:
        raise UsageError(
            f"start has {counted(len(start), 'picture')}, and {num} samples are asked for; expected one for each"
        )


@dataclass(frozen=True)
class _How:
    epochs: int
    k: int
    batch: int
    learning_rate: float
    momentum: float
    weight_decay: float


@torch.no_grad()
def contrastive_divergence(
    rbm: RBM, data: Tensor, k: int, draws: torch.Generator, chains: Tensor | None = None
) -> tuple[Gradient, Tensor | None]:
    """(N, V) of 0 and 1 -> the data's statistics less those after k steps, and where the chains are then.

    Without `chains` (M, V) the steps begin at the data.
    """
    seen = rbm.hidden_given(data)
    hidden = coins(seen if chains is None else rbm.hidden_given(chains), draws)
    for step in range(k):
        dreamt = rbm.drawn(rbm.visible_given(hidden), draws)
        chances = rbm.hidden_given(dreamt)
        if step < k - 1:
            hidden = coins(chances, draws)
    gradient = Gradient(
        data.T @ seen / len(data) - dreamt.T @ chances / len(dreamt),
        data.mean(0) - dreamt.mean(0),
        seen.mean(0) - chances.mean(0),
    )
    return gradient, None if chains is None else dreamt
