"""The error that is trained on: cross-entropy of softmax. Logits (K, N) and labels (N,) -> one number.

With p = softmax(x / T) of one picture, whose class is t:

    E = -log p[t] = log(sum over j of exp(x[j] / T)) - x[t] / T

and for a batch the mean over its pictures.

Backward. Of the first term, by the chain rule through the logarithm and the sum, one power of which has x[j]:

    d/dx[j] log(sum over i of exp(x[i] / T)) = exp(x[j] / T) / T / (sum over i of exp(x[i] / T)) = p[j] / T

The second has the slope 1 / T at x[t] and 0 elsewhere. The logarithm has undone the exponential, and what is left is as
simple as it can be:

    dE/dx[j] = (p[j] - (j = t)) / T        divided by N, for the mean

"What was said minus what is true": the delta with which back-propagation starts. It has no factor p (1 - p) that would
vanish where the network is sure and wrong, as the squared error of a sigmoid has.
"""

from __future__ import annotations

import numpy as np

from convlens.errors import UsageError
from convlens.scratch.layer import check_floats
from convlens.scratch.softmax import check_temperature


class CrossEntropy:
    """The end of a network, no layer of it: `forward` needs the labels too."""

    def __init__(self, *, temperature: float = 1.0) -> None:
        self.temperature = check_temperature(temperature)
        self.probabilities: np.ndarray | None = None

    def forward(self, logits: np.ndarray, labels: np.ndarray) -> float:
        labels = self._check(logits, labels)
        scores = (logits - logits.max(0)) / self.temperature
        powers = np.exp(scores)
        total = powers.sum(0)
        self.probabilities, self.labels = powers / total, labels
        return float(np.mean(np.log(total) - scores[labels, np.arange(len(labels))]))

    def backward(self) -> np.ndarray:
        """The delta of the logits, (K, N)."""
        if self.probabilities is None:
            raise UsageError("CrossEntropy.backward was called before forward; call forward first")
        delta = self.probabilities.copy()
        delta[self.labels, np.arange(len(self.labels))] -= 1
        delta /= self.temperature * len(self.labels)
        return delta

    def _check(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        labels = np.asarray(labels)
        check_floats("CrossEntropy", logits)
        if logits.ndim != 2 or labels.shape != logits.shape[1:]:
            raise UsageError(f"logits {logits.shape} and labels {labels.shape} came, expected (K, N) and (N,)")
        check_labels(labels, len(logits))
        return labels


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """UsageError unless all are whole numbers below `num_classes`."""
    expected = f"expected whole numbers from 0 to {num_classes - 1}"
    if labels.dtype.kind not in "iu":
        raise UsageError(f"labels are {labels.dtype}, {expected}: the place of each one's class")
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        place = int(((labels < 0) | (labels >= num_classes)).argmax())
        raise UsageError(
            f"labels go from {labels.min()} to {labels.max()}, {expected}; the first that is not is "
            f"{labels.flat[place]}, of picture {place}"
        )
