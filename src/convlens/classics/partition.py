"""The partition function of an RBM, exactly or by annealed importance sampling
(Salakhutdinov and Murray, 2008, https://doi.org/10.1145/1390156.1390266; Neal, 2001).

From a base RBM without weights, with visible biases a and Z = 2^H (1 + e^a_1) ... (1 + e^a_V), chains walk over a
ladder of RBMs between it and the one asked about, beta going from 0 to 1:

    log p*(v) = (1 - beta) a·v + beta b·v + sum of softplus(beta (c + v·W))

Each chain's weight is the product of p*_next(v) / p*_this(v) along its way; their mean, times the base's Z, estimates Z
without bias. On the log scale it lies low where chains get lost: an estimate of log Z that is too small makes a
likelihood look too good, and its own error does not say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.classics.given import Pictures, check_pictures, coins, draws_of
from convlens.classics.labels import LabelledRBM
from convlens.classics.rbm import RBM
from convlens.errors import UsageError, check_count, check_number

MOST_UNITS = 20  # of the smaller layer; 2^20 states
LADDER = ((0.0, 0.5, 1 / 29), (0.5, 0.9, 8 / 29), (0.9, 1.0, 20 / 29))  # from, to, share of the steps (section 4.1)


@dataclass(frozen=True)
class LogPartition:
    """log Z, and log(Z - 3 s) and log(Z + 3 s) with s the standard error of Z over the chains."""

    value: float
    low: float
    high: float
    chains: int
    temperatures: int


def every_state(num_units: int, like: Tensor) -> Tensor:
    """(2^num_units, num_units) of 0 and 1."""
    numbers = torch.arange(2**num_units, device=like.device)
    return (numbers[:, None] >> torch.arange(num_units, device=like.device) & 1).to(like)


@torch.no_grad()
def exact_log_partition(rbm: RBM) -> float:
    """log Z by all states of the smaller layer, the larger one summed by its formula; at most 20 units there."""
    _check_free(rbm)
    if min(rbm.sizes) > MOST_UNITS:
        raise UsageError(
            f"the smaller layer has {min(rbm.sizes)} units; expected at most {MOST_UNITS}: estimate with log_partition"
        )
    weights, visible, hidden = (each.double() for each in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    if rbm.sizes[0] > rbm.sizes[1]:  # the model is symmetric in its layers
        weights, visible, hidden = weights.T, hidden, visible
    states = every_state(min(rbm.sizes), weights)
    parts = [
        part @ visible + F.softplus(hidden + part @ weights).sum(1)
        for part in states.split(max(1, 2**24 // max(rbm.sizes)))
    ]
    return torch.cat(parts).logsumexp(0).item()


@torch.no_grad()
def log_partition(
    rbm: RBM, pictures: Pictures, *, chains: int = 100, temperatures: int = 14_500, seed: int = 0
) -> LogPartition:
    """Estimate log Z; the base's biases are those of `pictures` (N, V), which the RBM was trained on.

    The defaults are the paper's. Sums over the ladder are in float64.
    """
    _check_free(rbm)
    check_count("chains", chains, 2)
    mean = check_pictures(pictures, rbm.sizes[0], rbm.weights).mean(0).clamp(0.01, 0.99)
    base, draws = mean.logit(), draws_of(seed, rbm.weights)
    visible = coins(mean.expand(chains, -1), draws)
    logs = torch.zeros(chains, dtype=torch.float64, device=visible.device)
    ladder = betas(check_count("temperatures", temperatures, 10))
    for this, following in pairwise(ladder):
        up = rbm.hidden_bias + visible @ rbm.weights
        softer = F.softplus(following * up) - F.softplus(this * up)
        logs += (following - this) * (visible @ (rbm.visible_bias - base)).double() + softer.sum(1, dtype=torch.float64)
        hidden = coins(torch.sigmoid(following * up), draws)
        down = (1 - following) * base + following * (rbm.visible_bias + hidden @ rbm.weights.T)
        visible = coins(torch.sigmoid(down), draws)
    base_log = F.softplus(base.double()).sum().item() + rbm.sizes[1] * math.log(2)
    return _estimate(logs + base_log, temperatures)


def _check_free(rbm: RBM) -> None:
    if not isinstance(rbm, RBM):
        raise UsageError(f"a {type(rbm).__name__} came; expected an RBM, as one of the layers of a DBN is")
    if isinstance(rbm, LabelledRBM):
        raise UsageError("the RBM has class units, of which one is 1 at a time; expected one whose units are all free")


def betas(temperatures: int) -> list[float]:
    """About `temperatures` steps from 0 to 1, closer and closer: the paper's 500 to 0.5, 4,000 to 0.9, 10,000 to 1."""
    found = [0.0]
    for first, last, share in LADDER:
        steps = max(1, round(share * temperatures))
        found += [first + (last - first) * step / steps for step in range(1, steps + 1)]
    return found


def _estimate(logs: Tensor, temperatures: int) -> LogPartition:
    most = logs.max().item()
    relative = (logs - most).exp()
    mean, error = relative.mean().item(), relative.std().item() / math.sqrt(len(logs))
    low = math.log(mean - 3 * error) + most if mean > 3 * error else -math.inf
    return LogPartition(math.log(mean) + most, low, math.log(mean + 3 * error) + most, len(logs), temperatures)


@torch.no_grad()
def log_likelihood(rbm: RBM, pictures: Pictures, log_z: float) -> Tensor:
    """(N, V) of 0 and 1 -> (N,): log p(v) in nats, where log Z is `log_z`."""
    check_number("log_z", log_z)
    given = check_pictures(pictures, rbm.sizes[0], rbm.weights, binary=True)
    return -rbm.free_energy(given).double() - log_z
