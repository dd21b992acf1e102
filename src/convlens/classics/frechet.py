"""How far apart two sets of pictures are in a network's feature space (Heusel et al., 2017),
https://arxiv.org/abs/1706.08500, equation 6: the distance of Fréchet (1957) between two normal distributions,

    d² = |m1 - m2|² + trace(C1 + C2 - 2 (C1 C2)^½)

of the features' means m and covariances C. 0 for the same set; it falls with the number of pictures, so compare equal
numbers alone. Departure: the features are those of any network given, not Inception's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convlens.classics.given import as_tensor
from convlens.errors import DataError, UsageError

Features = Tensor | np.ndarray


def frechet_distance(one: Features, other: Features) -> float:
    """(N, F) and (M, F), features of two sets -> d², 0 and up."""
    first, second = (as_tensor(each).double().cpu() for each in (one, other))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise UsageError(
            f"features came as {tuple(first.shape)} and {tuple(second.shape)}; expected (N, F) and (M, F), one row a "
            "picture and at least 2 of each"
        )
    if not (first.isfinite().all() and second.isfinite().all()):
        raise DataError("features hold NaN or infinity; expected numbers: find out which pictures they are of")
    means = (first.mean(0) - second.mean(0)).square().sum()
    return max(0.0, float(means + _trace(torch.cov(first.T), torch.cov(second.T))))


def _trace(one: Tensor, other: Tensor) -> Tensor:
    """trace(C1 + C2 - 2 (C1 C2)^½); C1 C2 has the eigenvalues of C1^½ C2 C1^½, which is symmetric."""
    one, other = torch.atleast_2d(one), torch.atleast_2d(other)  # of a single feature, a covariance is a number
    values, vectors = torch.linalg.eigh(one)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    common = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    return one.trace() + other.trace() - 2 * common
