"""The threshold unit and its error-correction rule (Rosenblatt, 1958), https://doi.org/10.1037/h0042519.

It stands here and not in the zoo, whose networks read pictures and learn by gradients: of a step there is none.
When the rule ends, and after how many corrections: Novikoff, 1962, "On Convergence Proofs on Perceptrons".

N inputs of D numbers; a label is 1 or 0; z = (x, 1), so that the threshold is one more weight, the bias.
Departure: the inputs come as they are, without the random "association" cells before the paper's unit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import DataError, UsageError, check_count

LARGEST = 1e30  # of what is given: squares of its sums are numbers still


class ThresholdUnit(nn.Module):
    """(N, D) -> (N,), 1 where w x + b > 0, else 0. The weights start at 0."""

    weight: Tensor
    bias: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(check_count("inputs", inputs)))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.shape[-1:] != self.weight.shape:
            raise UsageError(f"inputs came with shape {tuple(inputs.shape)}; expected (N, {len(self.weight)})")
        return (inputs.to(self.weight) @ self.weight + self.bias > 0).long()

    def correct(self, x: Tensor, label: int) -> bool:
        """An input that is wrong is added where it should be 1, taken away where 0 -> whether it was wrong."""
        error = int(label) - int(self(x))
        self.weight += error * x.to(self.weight)
        self.bias += error
        return error != 0

    def fit(self, inputs: Tensor, labels: Tensor, *, max_passes: int = 1000) -> int | None:
        """One input after the other until a whole pass needs no correction -> corrections; None where none did."""
        _signs(inputs, labels)
        if inputs.shape[1] != len(self.weight):
            raise UsageError(f"inputs came with shape {tuple(inputs.shape)}; expected (N, {len(self.weight)})")
        corrections = 0
        for _ in range(check_count("max_passes", max_passes)):
            wrong = sum(self.correct(x, int(label)) for x, label in zip(inputs, labels, strict=True))
            if not wrong:
                return corrections
            corrections += wrong
        return None


def novikoff_bound(inputs: Tensor, labels: Tensor) -> float | None:
    """(R / margin)^2: no unit that starts at 0 is corrected more often, whatever the order; None where none separates.

    R is the length of the longest z; the margin is the widest that the least distance of a z to a plane through 0,
    with the labels on its two sides, can be: 1 / |(w, b)| of the `separator`.
    """
    weights = separator(inputs, labels)
    return None if weights is None else float(_with_one(inputs).square().sum(1).max() * weights.square().sum())


def separator(inputs: Tensor, labels: Tensor) -> Tensor | None:
    """w and then b, (D + 1,), of the widest margin: w x + b >= 1 for label 1, <= -1 for 0; None where there are none.

    None: no threshold unit is right everywhere, and the hulls of the labels have a `common_point` (Gordan 1873). A
    margin below a millionth of the longest input counts as none.
    """
    _, rest, length = _nearest(inputs, labels)
    return None if rest[-1] < 1e-12 else torch.from_numpy(-rest[:-1] / rest[-1] / length)


def common_point(inputs: Tensor, labels: Tensor) -> Tensor | None:
    """A mean of inputs of label 1, with weights of its own, that is one of label 0 as well, (D,); None where none is.

    There w x + b would have to be above 0 and not above it at once. Either it or a `separator` exists.
    """
    shares, rest, _ = _nearest(inputs, labels)
    if rest[-1] >= 1e-12:
        return None
    ones = torch.from_numpy(shares) * (labels == 1)
    return ones @ inputs.double() / ones.sum()


def _nearest(inputs: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray, float]:
    """Shares a >= 0 of the points p = z of label 1, -z of 0, that bring (sum a p, sum a) nearest to (0, 1).

    -> the shares, what is left of (0, 1), and the length that the points were divided by. What is left is 0 where the
    hull of the points holds 0; else it is (-v, r), r > 0, and v p >= r for every p: v / r separates, at the widest.
    """
    from scipy.optimize import nnls  # takes half a second to import

    points = (_signs(inputs, labels)[:, None] * _with_one(inputs.detach())).numpy()
    length = float(np.linalg.norm(points, axis=1).max())
    matrix = np.vstack([points.T / length, np.ones(len(points))])
    target = np.r_[np.zeros(points.shape[1]), 1.0]
    shares, _ = nnls(matrix, target)
    return shares, target - matrix @ shares, length


def _with_one(inputs: Tensor) -> Tensor:
    return torch.cat([inputs.double(), torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)


def _signs(inputs: Tensor, labels: Tensor) -> Tensor:
    """Labels 1, 0 -> 1, -1; UsageError where they are others or not as many as the inputs, DataError for NaN."""
    if not isinstance(inputs, Tensor) or not isinstance(labels, Tensor):
        came = f"{type(inputs).__name__} and {type(labels).__name__}"
        raise UsageError(f"inputs and labels came as {came}; expected tensors: torch.as_tensor makes them")
    fit = inputs.dim() == 2 and inputs.numel() and labels.shape == inputs.shape[:1]
    if not fit or not set(labels.tolist()) <= {0, 1}:
        raise UsageError(
            f"inputs of shape {tuple(inputs.shape)} came with labels {labels.tolist()!r:.80}; expected (N, D), and N "
            "labels of 0 or 1, N and D of at least 1"
        )
    if not inputs.double().abs().max() < LARGEST:
        raise DataError(f"inputs hold NaN, infinity or numbers past {LARGEST:g}; expected finite ones: scale them")
    return 2 * labels.double() - 1
