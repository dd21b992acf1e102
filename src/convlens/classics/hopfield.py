"""The Hopfield network (Hopfield, 1982), https://doi.org/10.1073/pnas.79.8.2554.

N units, each joined to every other. Storing n patterns makes each of them, if they are not too many, a state at which
the network comes to rest; from a corrupted pattern it runs downhill to the nearest such state:

    T_ij = sum over patterns of s_i s_j, T_ii = 0                      equation 2
    s_i -> the sign of sum over j of T_ij s_j, one unit at a time      equation 1
    E = -1/2 sum over i, j of T_ij s_i s_j, which no such step raises  equation 7

`Projection` stores by the pseudo-inverse (Personnaz, Guyon and Dreyfus, 1985,
https://doi.org/10.1051/jphyslet:01985004608035900), which keeps patterns that are alike apart.

Departures: a unit is -1 or 1, as Amit, Gutfreund and Sompolinsky (1985) have it, where the paper has 0 or 1: pictures
of 0 and 1 are turned into signs on the way in and back on the way out. Units take turns in a drawn order, once each in
a sweep, where the paper lets each come up at random at a mean rate. A unit whose sum is 0 stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from convlens.classics.given import Pictures, as_tensor, check_pictures, check_units, coins, draws_of
from convlens.errors import UsageError, check_count, check_number

ROUNDING = 1e-9  # a sum below it is 0: a unit that no other tells of, by the projection
CRITICAL_LOAD = 0.138  # patterns / units above which recall breaks down (Amit, Gutfreund and Sompolinsky, 1985)


@dataclass(frozen=True)
class Recall:
    """`pictures` (M, N) of 0 and 1; `energies` (sweeps + 1, M) from the first state on; `settled` (M,), at rest."""

    pictures: Tensor
    energies: Tensor
    settled: Tensor


class Hopfield(nn.Module):
    """`weights` (N, N), in float64: sums of signs are exact."""

    weights: Tensor

    def __init__(self, num_units: int) -> None:
        super().__init__()
        self.sizes = (check_count("num_units", num_units),)
        self.register_buffer("weights", torch.zeros(num_units, num_units, dtype=torch.float64))

    def fit(self, pictures: Pictures) -> Self:
        """Store pictures (n, N) of 0 and 1, in place of all before: one pass, nothing drawn."""
        self.weights.copy_(self._rule(self._signs(pictures)).fill_diagonal_(0))
        return self

    def _rule(self, signs: Tensor) -> Tensor:
        return signs.T @ signs

    def energy(self, signs: Tensor) -> Tensor:
        """(M, N) of -1 and 1 -> (M,)."""
        check_units("signs", signs, self.sizes[0], self.weights)
        return -0.5 * ((signs @ self.weights) * signs).sum(1)

    def update(self, signs: Tensor, unit: int) -> Tensor:
        """(M, N) -> the same with one unit at the sign of its sum, in place."""
        check_units("signs", signs, self.sizes[0], self.weights)
        if not 0 <= unit < self.sizes[0]:
            raise UsageError(f"unit is {unit}; expected one from 0 to {self.sizes[0] - 1}")
        total = signs @ self.weights[unit]
        signs[:, unit] = torch.where(total.abs() < ROUNDING, signs[:, unit], total.sign())
        return signs

    def recall(self, pictures: Pictures, *, seed: int = 0, sweeps: int = 50) -> Recall:
        """Run from pictures (M, N) of 0 and 1 until no unit of any changes, for at most so many sweeps."""
        signs = self._signs(pictures)
        draws = draws_of(seed, signs)
        energies = [self.energy(signs)]
        for _ in range(check_count("sweeps", sweeps)):
            before = signs.clone()
            for unit in torch.randperm(self.sizes[0], generator=draws, device=signs.device).tolist():
                self.update(signs, unit)
            energies.append(self.energy(signs))
            settled = (before == signs).all(1)
            if settled.all():
                break
        return Recall((signs > 0).to(signs), torch.stack(energies), settled)

    def _signs(self, pictures: Pictures) -> Tensor:
        return 2 * check_pictures(pictures, self.sizes[0], self.weights, binary=True) - 1


class Projection(Hopfield):
    """T projects on what the patterns span, so that each, being its own projection, is at rest: up to N - 1 of them.

    Its diagonal is 0 too, which leaves them at rest and draws more states towards them (Kanter and Sompolinsky, 1987).
    """

    def _rule(self, signs: Tensor) -> Tensor:
        return torch.linalg.pinv(signs) @ signs


def corrupted(pictures: Pictures, share: float, *, seed: int = 0) -> Tensor:
    """(M, N) of 0 and 1 -> the same with each unit turned over with this chance."""
    given = as_tensor(pictures)
    units, kind = given.shape[-1] if given.ndim else 0, given.dtype if given.is_floating_point() else torch.float64
    given = check_pictures(given, units, given.new_empty(0, dtype=kind), binary=True)
    chances = torch.full_like(given, check_number("share", share, 0, 1))
    return (given - coins(chances, draws_of(seed, given))).abs()


@dataclass(frozen=True)
class Load:
    """What is left of stored random patterns: `load` is patterns / units, all else is 0 to 1.

    `bits_right` of all units after recall; `recalled`, the patterns with at least 95 % of their bits right. What has
    broken down keeps about two thirds of its bits.
    """

    load: float
    bits_right: float
    recalled: float


def capacity(
    loads: Iterable[float], *, num_units: int = 500, seed: int = 0, networks: int = 1, turned: float = 0.0
) -> list[Load]:
    """Store random patterns at each of these loads and run from them, with a share of `turned` bits, until at rest.

    Means over `networks`, each with patterns of its own. `CRITICAL_LOAD` holds for N without bound; at a few hundred
    units the fall is spread about it.
    """
    if not isinstance(loads, Iterable) or isinstance(loads, str):
        raise UsageError(f"loads came as {loads!r}; expected a list of patterns / units, such as [0.1, 0.14]")
    draws = draws_of(seed, torch.empty(0))
    found = []
    for load in loads:
        num = round(check_number("a load", load, 0) * check_count("num_units", num_units))
        check_count("patterns at the least load", num)
        right = []
        for _ in range(check_count("networks", networks)):
            patterns = coins(torch.full((num, num_units), 0.5, dtype=torch.float64), draws)
            own = int(torch.randint(2**31, (), generator=draws))
            reached = Hopfield(num_units).fit(patterns).recall(corrupted(patterns, turned, seed=own), seed=own)
            right.append((reached.pictures == patterns).double().mean(1))
        shares = torch.cat(right)
        found.append(Load(num / num_units, shares.mean().item(), (shares >= 0.95).double().mean().item()))
    return found
