"""Muon, momentum orthogonalised by Newton and Schulz (Jordan et al. 2024), https://kellerjordan.github.io/posts/muon.

For filters (K, C, R, S), read as matrices of K rows, and for matrices. Every singular value of the step becomes about
1, so that rare directions are learnt as fast as common ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convlens.training.optimisers.optimiser import Rate, State

QUINTIC = (3.4445, -4.7750, 2.0315)  # slope at zero as steep as it can be: singular values end in 0.7 to 1.2
AT_ONCE = 2  # iterations, see `turn_of`
WORTH = 1.5  # columns for each row: a square G is no smaller than X


@dataclass(frozen=True)
class Muon:
    """`on_sphere`: before each step a bank of K filters is scaled to norm sqrt(K).

    For networks that normalise after each convolution, which do not see the norm; the rate is then a rate of turning.
    `dtype`: in which a step is orthogonalised, the gradient's own by default.
    """

    momentum: float = 0.9
    iterations: int = 3
    on_sphere: bool = False
    dtype: torch.dtype | None = None

    def new_state(self, weight: Tensor) -> State:
        return {"momentum_buffer": torch.zeros_like(weight)}

    def move(
        self, weights: list[Tensor], gradients: list[Tensor], states: list[State], *, rate: Rate, weight_decay: float
    ) -> None:
        buffers = [state["momentum_buffer"] for state in states]
        torch._foreach_mul_(buffers, self.momentum)
        torch._foreach_add_(buffers, gradients)
        for weight, gradient, buffer in zip(weights, gradients, buffers, strict=True):
            turned = orthogonalise(gradient.add(buffer, alpha=self.momentum), self.iterations, self.dtype)  # Nesterov
            if self.on_sphere:
                weight.mul_(len(weight) ** 0.5 / weight.norm().clamp(min=1e-12))
            elif weight_decay:
                weight.mul_(1 - rate * weight_decay)
            if isinstance(rate, Tensor):
                weight.sub_(turned * rate)
            else:
                weight.sub_(turned, alpha=rate)


def orthogonalise(step: Tensor, iterations: int, dtype: torch.dtype | None = None) -> Tensor:
    """(K, …) -> the same shape, near the closest matrix of K rows with orthonormal rows (or columns).

    Iterates in `dtype`, the step's own by default; in bf16, as Jordan does, its three digits are far finer than what
    the iterations leave of the spread of singular values.
    """
    in_memory = step.movedim(1, -1) if step.ndim > 2 else step  # the order of columns does not matter
    matrix = in_memory.flatten(1)
    matrix = (matrix / matrix.norm().clamp(min=1e-7)).to(dtype or step.dtype)
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    at_once = AT_ONCE if matrix.shape[1] >= WORTH * matrix.shape[0] else 1
    while iterations > 0:
        matrix = turn_of(matrix @ matrix.T, min(iterations, at_once)) @ matrix
        iterations -= at_once
    found = (matrix.T if tall else matrix).to(step.dtype).reshape(in_memory.shape)
    return found.movedim(-1, 1) if step.ndim > 2 else found


def turn_of(gram: Tensor, iterations: int) -> Tensor:
    """(K, K) G = XXᵀ -> (K, K) T, for which TX is X after so many iterations: P = aI + bG + cG², X <- PX, G <- PGP.

    The G that is carried along drifts from XXᵀ as rounding adds up; of 5 in bf16 a step comes out thousands of times
    too long, of 2 as near the exact one as if X itself were multiplied each time.
    """
    a, b, c = QUINTIC
    turn = None
    for left in reversed(range(iterations)):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        turn = factor if turn is None else factor @ turn
        if left:
            gram = factor @ gram @ factor
    assert turn is not None
    return turn
