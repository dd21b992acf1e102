"""Real pictures through the network and through the file: do they agree?

N pictures, K classes. The file sees them one, two and five at a time, for a batch that is not free, or a normalisation
over the batch, shows in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import ExportError, counted
from convlens.exporting.deployed import at_rest
from convlens.exporting.metadata import INSIDE, OUTSIDE, Facts
from convlens.exporting.opened import Opened
from convlens.exporting.quiet import reason

BATCHES = (1, 2, 5)
TIE = 1e-6  # of a probability: which of two classes that are as likely is named first means nothing


@dataclass(frozen=True)
class Bound:
    """What still counts as agreement: the least share of pictures of the same class, the largest difference."""

    top1_agreement: float
    probability_difference: float


@dataclass(frozen=True)
class Agreement:
    """Over all `pictures` and `batches`; the logits' difference is None where the file gives probabilities."""

    pictures: int
    batches: tuple[int, ...]
    top1_agreement: float
    largest_probability_difference: float
    largest_logit_difference: float | None
    bound: Bound


def prove(
    expected: Tensor,
    opened: Opened,
    pixels: np.ndarray,
    *,
    facts: Facts,
    bound: Bound,
    batches: Sequence[int] = BATCHES,
    remedy: str = "",
) -> Agreement:
    """The network's logits (N, K) beside the file's answers to uint8 (N, C, H, W); ExportError beyond `bound`, with a
    `remedy` where there is one."""
    if any(opened.texts.get(key) != text for key, text in facts.to_texts().items()):
        raise ExportError("the file's metadata are not what was written into it; no file was kept")
    inputs = file_inputs(pixels, facts)
    found = torch.from_numpy(np.stack([_answers(opened, inputs, batch) for batch in batches]))
    if found.shape[1:] != expected.shape:
        raise ExportError(
            f"the file gives {tuple(found.shape[1:])} for {counted(len(pixels), 'picture')}, and the network "
            f"{tuple(expected.shape)}; no file was kept"
        )
    agreement = _compare(expected, found, facts, tuple(batches), bound)
    _check(agreement, remedy)
    return agreement


def reference_logits(network: nn.Module, pixels: np.ndarray, facts: Facts) -> Tensor:
    """By torch in float32, as the run's own commands prepare pictures: (N, K)."""
    module, rows = at_rest(network), []
    given = facts if facts.signature != INSIDE else replace(facts, signature=OUTSIDE)
    for start in range(0, len(pixels), max(BATCHES)):
        inputs = file_inputs(pixels[start : start + max(BATCHES)], given)
        rows.append(_by_the_network(module, torch.from_numpy(inputs)))
    whole = all(isinstance(row, Tensor) and row.shape[1:] == (len(facts.classes),) for row in rows)
    if not whole or not rows or not torch.cat(rows).isfinite().all():
        raise ExportError(
            f"{type(network).__name__} does not give {counted(len(facts.classes), 'finite logit')} for each picture, "
            "so there is nothing that a file could agree with"
        )
    return torch.cat(rows).float()


def _by_the_network(module: nn.Module, inputs: Tensor) -> Tensor:
    try:
        with torch.inference_mode():
            answer: Tensor = module(inputs)
            return answer
    except Exception as error:
        raise ExportError(
            f"{type(module).__name__} cannot read {str(inputs.dtype).removeprefix('torch.')} of {tuple(inputs.shape)} "
            f"({reason(error)}); give pictures with their preprocessing, or without one what the network takes"
        ) from error


def file_inputs(pixels: np.ndarray, facts: Facts) -> np.ndarray:
    """uint8 (N, C, H, W) -> what the file takes; without a preprocessing it comes as it is."""
    if facts.preprocess is None:
        return np.ascontiguousarray(pixels)
    if facts.signature == INSIDE:
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    return facts.preprocess.normalise(torch.from_numpy(pixels)).numpy()


def _answers(opened: Opened, inputs: np.ndarray, batch: int) -> np.ndarray:
    """(N, K); fewer pictures than a batch has are given again until it is full."""
    order = np.arange(max(len(inputs), batch)) % len(inputs)
    pieces = [opened(inputs[order[start : start + batch]]) for start in range(0, len(order), batch)]
    return np.concatenate(pieces)[: len(inputs)]


def _compare(expected: Tensor, found: Tensor, facts: Facts, batches: tuple[int, ...], bound: Bound) -> Agreement:
    """expected (N, K) logits, found (batches, N, K)."""
    likely = torch.softmax(expected / facts.temperature, dim=-1)
    given = found if facts.signature == INSIDE else torch.softmax(found / facts.temperature, dim=-1)
    of_the_file = likely.expand_as(given).gather(-1, given.argmax(-1, keepdim=True))[..., 0]
    same = of_the_file >= likely.amax(-1) - TIE
    logits = None if facts.signature == INSIDE else float((found - expected).abs().max())
    differing = float((given - likely).abs().max())
    return Agreement(len(expected), batches, float(same.float().mean()), differing, logits, bound)


def _check(found: Agreement, remedy: str) -> None:
    bound = found.bound
    agrees = found.top1_agreement >= bound.top1_agreement
    if agrees and found.largest_probability_difference <= bound.probability_difference:  # false for NaN, too
        return
    raise ExportError(
        f"the file does not agree with the network: of {counted(found.pictures, 'picture')} it puts "
        f"{found.top1_agreement:.1%} into the same class (bound {bound.top1_agreement:.0%}), and probabilities differ "
        f"by up to {found.largest_probability_difference:.2g} (bound {bound.probability_difference:g}); no file was "
        f"kept{remedy and '; '}{remedy}"
    )
