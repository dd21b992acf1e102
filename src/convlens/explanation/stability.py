"""Does a map stay as it is when the picture hardly changes? (Alvarez-Melis and Jaakkola 2018, arXiv:1806.08049.)

Normal noise of a hundredth of the picture's range is added, which no eye sees; the map of the same class is compared by
Spearman's rank correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.explanation.methods import Method
from convlens.explanation.similarity import rank_correlation
from convlens.explanation.verb import Explanation, explain

NOISE = 0.01  # of the picture's range
COPIES = 3
LEAST = 0.5  # mean rank correlation


@dataclass(frozen=True)
class Stability:
    """The mean rank correlation with the maps of noisy copies."""

    rank_correlation: float

    @property
    def passed(self) -> bool:
        return self.rank_correlation >= LEAST

    @property
    def reason(self) -> str:
        what = "the map stays" if self.passed else "the map changes"
        return f"with noise that no eye sees {what} (rank correlation {self.rank_correlation:.2f}, bound {LEAST})"


def stability(
    model: nn.Module,
    images: Tensor,
    original: Explanation,
    method: str | Method,
    *,
    check_seed: int = 0,
    **options: Any,
) -> Stability:
    """`original` is the explanation of these pictures (N, C, H, W)."""
    deviation = NOISE * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    drawn = torch.Generator().manual_seed(check_seed)
    alike = []
    for _ in range(COPIES):
        noisy = images + deviation * torch.randn(images.shape, generator=drawn).to(images)
        maps = explain(model, noisy, list(original.targets), method=method, layer=original.layer, **options).maps
        alike += [rank_correlation(one, two) for one, two in zip(original.maps, maps, strict=True)]
    return Stability(float(np.mean(alike)))
