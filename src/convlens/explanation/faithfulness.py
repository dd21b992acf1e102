"""Does the network lose its answer when it loses what the map marks? Deletion and insertion curves.

Petsiuk, Das and Saenko 2018, https://arxiv.org/abs/1806.07421, section 4.3. Deletion: pixels are made grey, those that
the map marks most first; the probability of the class should fall soon, so that the area under its curve is small.
Insertion: pixels are put back into a blurred picture in the same order; the area should be large.

The same is done with the map moved elsewhere at random, around the edges, 19 times, and it must do better than each: a
permutation test, which 7 % of 700 smooth random maps passed. (Single pixels in a random order would be no fair rival:
they take the picture apart everywhere at once, which no map with an extent can.) A normal blob in the centre, which
knows only that photographers aim, is told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convlens.explanation.blur import blurred
from convlens.explanation.question import Question

STEPS = 10  # tenths of the pixels
APART = 2  # of these, by which maps are compared: fifths
BLUR = 1 / 8  # of the side, the deviation of the picture into which pixels are put back
CENTRE = 1 / 4  # of each side, the deviation of the blob
MOVES = 19  # times that the map is moved at random


@dataclass(frozen=True)
class Curves:
    """Mean probabilities of the class with none to all of the pixels gone or put back, in even steps, and the areas
    under them, 0 to 1."""

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    deletion_area: float
    insertion_area: float

    @property
    def score(self) -> float:
        """Larger is better."""
        return self.insertion_area - self.deletion_area


@dataclass(frozen=True)
class Faithfulness:
    """Of the map, of the map moved elsewhere at random (their mean), and of a blob in the centre; means over pictures.

    `beaten` of `moves` are those that the map does better than.
    """

    map: Curves
    random: Curves
    centre: Curves
    beaten: int
    moves: int

    @property
    def passed(self) -> bool:
        return self._is_evidence and self.beaten == self.moves

    @property
    def _is_evidence(self) -> bool:
        """Is the class more likely with the picture than without it? Else there is nothing that it could lose."""
        return self.map.deletion[0] > self.map.deletion[-1]

    @property
    def reason(self) -> str:
        if not self._is_evidence:
            whole, grey = self.map.deletion[0], self.map.deletion[-1]
            return (
                f"the picture is no evidence for this class (probability by the logits as they are {whole:.2g}, of a "
                f"grey one {grey:.2g}), so no place of it can be shown to matter"
            )
        than = "more" if self.passed else "no more"
        text = (
            f"what the map marks matters {than} than other places (insertion less deletion {self.map.score:.2f}, "
            f"moved at random {self.random.score:.2f}, better than {self.beaten} of {self.moves} moves, a blob in the "
            f"centre {self.centre.score:.2f})"
        )
        return text if self.map.score > self.centre.score else f"{text}: the blob does as well"


def faithfulness(question: Question, maps: np.ndarray, *, seed: int = 0) -> Faithfulness:
    """`maps` (N, H, W) of the pictures asked about; what is larger comes first, equal values in a random order."""
    with torch.no_grad():
        question.target.score(question.logits(question.images.clone()))  # settles the classes
        blurry = blurred(question.images, max(question.images.shape[2:]) * BLUR)
        drawn = np.random.default_rng(seed)
        blob = np.broadcast_to(centre_blob(*maps.shape[1:]), maps.shape)
        own, centre = (_curves(question, blurry, _ranks(each, drawn), STEPS) for each in (maps, blob))
        moved = [_curves(question, blurry, _ranks(_moved(maps, drawn), drawn), STEPS // APART) for _ in range(MOVES)]
    coarse = _with_areas(np.array(own.deletion[::APART]), np.array(own.insertion[::APART]))
    beaten = sum(coarse.score > one.score for one in moved)
    return Faithfulness(own, _mean(moved), centre, beaten, MOVES)


def num_passes() -> int:
    """How often each picture goes through the network: what it costs."""
    return 2 * (2 * (STEPS + 1) + MOVES * (STEPS // APART + 1))


def _moved(maps: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    """Each by a way of its own, a quarter to three quarters of each side."""
    height, width = maps.shape[1:]
    ways = [[int(drawn.integers(side // 4, side - side // 4 + 1)) for side in (height, width)] for _ in maps]
    return np.stack([np.roll(one, way, (0, 1)) for one, way in zip(maps, ways, strict=True)])


def _mean(curves: Sequence[Curves]) -> Curves:
    deletion, insertion = (
        np.mean([getattr(one, name) for one in curves], axis=0) for name in ("deletion", "insertion")
    )
    return _with_areas(deletion, insertion)


def centre_blob(height: int, width: int) -> np.ndarray:
    """(H, W): a normal distribution about the centre, 1 at its top."""
    down, across = ((np.arange(side) - (side - 1) / 2) / (CENTRE * side) for side in (height, width))
    return np.exp(-0.5 * (down[:, None] ** 2 + across[None] ** 2)).astype(np.float32)


def _ranks(maps: np.ndarray, drawn: np.random.Generator) -> Tensor:
    """(N, H, W) -> for each pixel, which share of all comes before it."""
    flat = maps.reshape(len(maps), -1)
    ranks = np.empty(flat.shape, np.float32)
    for row, values in zip(ranks, flat, strict=True):
        row[np.lexsort((drawn.random(values.size), -values))] = np.arange(values.size) / values.size
    return torch.from_numpy(ranks.reshape(maps.shape))


def _curves(question: Question, blurry: Tensor, ranks: Tensor, steps: int) -> Curves:
    ranks = ranks.to(question.images.device)[:, None]
    grey = torch.zeros_like(question.images)
    deletion = _shares(question, grey, question.images, ranks, steps)
    insertion = _shares(question, question.images, blurry, ranks, steps)
    return _with_areas(deletion, insertion)


def _with_areas(deletion: np.ndarray, insertion: np.ndarray) -> Curves:
    areas = (float(np.trapezoid(each, dx=1 / (len(each) - 1))) for each in (deletion, insertion))
    return Curves(tuple(deletion.tolist()), tuple(insertion.tolist()), *areas)


def _shares(question: Question, first: Tensor, then: Tensor, ranks: Tensor, num_steps: int) -> np.ndarray:
    """Mean probabilities while the pixels of `first` replace those of `then`, by rank."""
    found: list[Tensor] = []
    steps = torch.arange(num_steps + 1, device=first.device) / num_steps
    start = 0
    for count in question.in_turns(num_steps + 1, gradient=False):
        share = steps[start : start + count, None, None, None, None]
        found.append(question.shares_of(torch.where(ranks[None] < share, first, then)))
        start += count
    return torch.cat(found).mean(1).double().cpu().numpy()
