"""The Boltzmann machine (Ackley, Hinton and Sejnowski, 1985), https://doi.org/10.1207/s15516709cog0901_7.

Units of 0 and 1, joined in pairs both ways, V of them visible, H hidden; at temperature 1:

    E(s) = - sum over i < j of w_ij s_i s_j - sum over i of b_i s_i,     p(s) = exp(-E(s)) / Z
    d log p(v) / d w_ij = <s_i s_j> with v clamped - <s_i s_j> running free

For a few units both means are sums over all states: that is `gradient`. `sampled_gradient` takes them by Gibbs
sampling, as the paper's machine must.

Departures: a bias is minus the paper's threshold; learning climbs the exact gradient with momentum, where the paper
adds or takes a fixed step by the sign of a sampled one, after annealing to equilibrium. What the sampling's noise does
there, drawn noise does here: hidden units that begin alike part, and a poor optimum is left.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from convlens.classics.given import Pictures, Progress, check_pictures, check_units, coins, draws_of, learning
from convlens.classics.partition import every_state
from convlens.errors import DataError, UsageError, check_count, check_number

MOST_UNITS = 16


class Gradient(NamedTuple):
    """Uphill, of the mean log-likelihood."""

    weights: Tensor  # (U, U), symmetric: each pair's in both places
    biases: Tensor


class BoltzmannMachine(nn.Module):
    """`weights` (U, U), symmetric with an empty diagonal, `biases` (U,); U = V + H, visible units first.

    `joined` (U, U) of True and False says which pairs may have a weight; by default all.
    """

    joined: Tensor

    def __init__(self, num_visible: int, num_hidden: int = 0, *, joined: Tensor | None = None) -> None:
        super().__init__()
        self.sizes = (check_count("num_visible", num_visible), check_count("num_hidden", num_hidden, 0))
        self.num_units = num_visible + num_hidden
        if joined is None:
            joined = ~torch.eye(self.num_units, dtype=torch.bool)
        self.register_buffer("joined", _check_joined(joined, self.num_units))
        self.weights = nn.Parameter(torch.zeros(self.num_units, self.num_units, dtype=torch.float64))
        self.biases = nn.Parameter(torch.zeros(self.num_units, dtype=torch.float64))
        self._begin(draws_of(0, self.weights))

    def energy(self, states: Tensor) -> Tensor:
        """(N, U) -> (N,)."""
        check_units("units", states, self.num_units, self.weights)
        return -0.5 * ((states @ self.weights) * states).sum(1) - states @ self.biases

    def log_likelihood(self, pictures: Pictures) -> Tensor:
        """(N, V) of 0 and 1 -> (N,): log p(v) in nats, by all states."""
        clamped = self._clamped(self._checked(pictures))
        return (-self.energy(clamped.flatten(0, 1))).view(clamped.shape[:2]).logsumexp(1) - self.log_partition()

    def log_partition(self) -> Tensor:
        return (-self.energy(self._all_states())).logsumexp(0)

    @torch.no_grad()
    def divergence(self, pictures: Pictures) -> float:
        """Kullback-Leibler from the distribution of the pictures, equal rows counted, to the machine's, in nats."""
        rows, times = self._checked(pictures).unique(dim=0, return_counts=True)
        shares = times.to(rows) / times.sum()
        return (shares * (shares.log() - self.log_likelihood(rows))).sum().item()

    @torch.no_grad()
    def gradient(self, pictures: Pictures) -> Gradient:
        """Of the mean log-likelihood of pictures (N, V), by all states."""
        clamped = self._clamped(self._checked(pictures))
        chances = (-self.energy(clamped.flatten(0, 1))).view(clamped.shape[:2]).softmax(1) / len(clamped)
        free = self._all_states()
        return self._less(clamped.flatten(0, 1), chances.flatten(), free, (-self.energy(free)).softmax(0))

    @torch.no_grad()
    def sampled_gradient(self, pictures: Pictures, *, chains: int = 100, sweeps: int = 20, seed: int = 0) -> Gradient:
        """The same by `chains` of Gibbs sampling for each picture, and as many in all that run free."""
        given = self._checked(pictures).repeat(check_count("chains", chains), 1)
        draws = draws_of(seed, self.weights)
        clamped = self._run(self._coins(len(given), draws), draws, sweeps, given)
        free = self._run(self._coins(len(given), draws), draws, sweeps)
        each = clamped.new_full((len(given),), 1 / len(given))
        return self._less(clamped, each, free, each)

    @torch.no_grad()
    def samples(self, num: int, *, sweeps: int = 100, seed: int = 0) -> Tensor:
        """Gibbs sampling from coins of one half -> (num, V) of 0 and 1."""
        draws = draws_of(seed, self.weights)
        return self._run(self._coins(check_count("num", num), draws), draws, sweeps)[:, : self.sizes[0]]

    @torch.no_grad()
    def fit(
        self,
        pictures: Pictures,
        *,
        epochs: int,
        seed: int = 0,
        learning_rate: float = 0.5,
        momentum: float = 0.9,
        noise: float = 0.2,
        progress: Progress | None = None,
    ) -> Self:
        """Climb the exact gradient from small drawn weights, one step an epoch.

        `noise` is the deviation of what is drawn onto the gradient of each weight, falling in a line to 0. Without it,
        and from some seeds with it, learning ends in an optimum that is not the best: compare several by `divergence`.
        """
        given = self._checked(pictures)
        rate, kept = check_number("learning_rate", learning_rate, 0), check_number("momentum", momentum, 0, 1)
        check_number("noise", noise, 0)
        draws = draws_of(seed, self.weights)
        self._begin(draws)
        velocities = [torch.zeros_like(self.weights), torch.zeros_like(self.biases)]
        for epoch in range(1, check_count("epochs", epochs) + 1):
            with learning(self):
                slopes = self.gradient(given)
                slopes.weights.add_(self._pairs(noise * (1 - epoch / epochs), draws))
                for parameter, velocity, slope in zip((self.weights, self.biases), velocities, slopes, strict=True):
                    parameter.add_(velocity.mul_(kept).add_(slope, alpha=rate))
            if progress:
                progress("fit", epoch, epochs, f"divergence {self.divergence(given):.4f} nats")
        self._check_learned(given)
        return self

    def _check_learned(self, given: Tensor) -> None:
        """DataError where the pictures are a hundred times less likely, in nats, than coins make them."""
        coin, likely = -self.sizes[0] * math.log(2), self.log_likelihood(given).mean().item()
        if not likely >= 100 * coin:
            raise DataError(
                f"BoltzmannMachine diverged: log p of the pictures is {likely:.3g} nats, where coins have {coin:.3g}; "
                "fit again with a smaller learning_rate"
            )

    def _begin(self, draws: torch.Generator) -> None:
        """Hidden units must differ, or they learn the same."""
        with torch.no_grad():
            self.weights.copy_(self._pairs(0.3, draws))
            self.biases.zero_()

    def _pairs(self, deviation: float, draws: torch.Generator) -> Tensor:
        """A drawn number for each joined pair."""
        drawn = torch.empty_like(self.weights).normal_(0, deviation, generator=draws).triu(1)
        return (drawn + drawn.T) * self.joined

    def _less(self, clamped: Tensor, theirs: Tensor, free: Tensor, others: Tensor) -> Gradient:
        """Means of s_i s_j and s_i over the clamped states less those over the free ones, with chances for each."""
        pairs = clamped.T @ (clamped * theirs[:, None]) - free.T @ (free * others[:, None])
        return Gradient((pairs + pairs.T) / 2 * self.joined, theirs @ clamped - others @ free)

    def _run(self, states: Tensor, draws: torch.Generator, sweeps: int, clamped: Tensor | None = None) -> Tensor:
        """Each unit in turn is 1 with chance sigmoid(b_i + sum over j of w_ij s_j), the others as they are."""
        first = 0 if clamped is None else self.sizes[0]
        if clamped is not None:
            states[:, :first] = clamped
        for _ in range(check_count("sweeps", sweeps)):
            for unit in range(first, self.num_units):
                chances = torch.sigmoid(self.biases[unit] + states @ self.weights[:, unit])
                states[:, unit] = coins(chances, draws)
        return states

    def _coins(self, num: int, draws: torch.Generator) -> Tensor:
        return coins(self.biases.new_full((num, self.num_units), 0.5), draws)

    def _all_states(self) -> Tensor:
        self._check_few()
        return every_state(self.num_units, self.weights)

    def _check_few(self) -> None:
        if self.num_units > MOST_UNITS:
            raise UsageError(
                f"there are {self.num_units} units; sums over all states take at most {MOST_UNITS}: use samples and "
                "sampled_gradient, or an RBM"
            )

    def _clamped(self, pictures: Tensor) -> Tensor:
        """(N, V) -> (N, 2^H, U): each with every state of the hidden units."""
        self._check_few()
        hidden = every_state(self.sizes[1], self.weights)
        shape = (len(pictures), len(hidden))
        return torch.cat([pictures[:, None].expand(*shape, -1), hidden.expand(*shape, -1)], 2)

    def _checked(self, pictures: Pictures) -> Tensor:
        return check_pictures(pictures, self.sizes[0], self.weights, binary=True)


def _check_joined(joined: Tensor, num_units: int) -> Tensor:
    if not isinstance(joined, Tensor) or joined.shape != (num_units, num_units) or joined.dtype != torch.bool:
        came = f"{tuple(joined.shape)} of {joined.dtype}" if isinstance(joined, Tensor) else type(joined).__name__
        raise UsageError(f"joined came as {came}; expected a tensor ({num_units}, {num_units}) of torch.bool")
    if joined.diagonal().any() or (joined != joined.T).any():
        raise UsageError("joined joins a unit with itself, or one with another that is not joined back; expected pairs")
    return joined.clone()
