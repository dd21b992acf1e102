"""Activation maximisation: the picture that a class or a channel answers most to, grown from noise.

Erhan et al. 2009 (https://www.researchgate.net/publication/265022827) and Simonyan et al. 2013
(https://arxiv.org/abs/1312.6034, section 2): gradient ascent on the pixels, which cost the more the farther they are
from the mean. Without more the result is noise that no eye can read; here, after Olah et al. 2017
(https://distill.pub/2017/feature-visualization/), the steps are taken on the frequencies of the picture, which is moved
about (jitter) and seen blurred at first, and neighbours that differ cost (total variation).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convlens.errors import ExplanationError, UsageError, counted
from convlens.explanation.blur import blurred
from convlens.explanation.fourier import first_spectrum, pixels_of, total_variation
from convlens.explanation.options import check_value, options_of, whole_numbers
from convlens.explanation.preparation import at_layer, failures_told, network_with_values, prepared
from convlens.explanation.repeatable import check_repeatable

JITTER = 1 / 12  # of the side, at most so far
BLUR = 1 / 64  # of the side, the deviation at the first step
LEAST = 1e-3  # a unit that answers less is measured by this


@dataclass(frozen=True)
class Maximised:
    """`pictures` are uint8 (N, H, W, C), one for each class or channel of `units`.

    `values` are what the network answers to them: logits, or means over the feature map. `before` is its answer to the
    noise where they began.
    """

    layer: str | None
    units: tuple[int, ...]
    pictures: np.ndarray
    values: tuple[float, ...]
    before: tuple[float, ...]


def maximise(
    model: nn.Module,
    units: int | Sequence[int],
    shape: Sequence[int],
    *,
    layer: str | None = None,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    steps: int = 256,
    rate: float = 0.05,
    variation: float = 5.0,
    decay: float = 0.25,
    seed: int = 0,
) -> Maximised:
    """Grow one picture for each of `units`: classes, or channels of `layer`.

    `shape` is (C, H, W); pixels of 0 to 1 are given to the network less `mean` and divided by `std`, one number a
    channel or one for all. `rate` is Adam's, `variation` the weight of the total variation and `decay` that of the
    squared distance from the mean, both against the unit's value relative to itself. The same seed gives the same
    pictures, alone or with others. UsageError for what does not fit the network.
    """
    wanted, usual = whole_numbers("units", units), options_of(maximise)
    for name, given in {"steps": steps, "rate": rate, "variation": variation, "decay": decay, "seed": seed}.items():
        check_value(name, given, usual[name])
    _check(shape, steps, rate, variation, decay)
    channels, height, width = map(int, shape)
    model = network_with_values(model)
    with prepared(model):
        like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
        mean_, std_ = (_column(name, each, channels).to(like) for name, each in (("mean", mean), ("std", std)))
        if not (std_ > 0).all():
            raise UsageError(f"std came as {tuple(std)}; expected numbers above 0, by which pixels are divided")
        check_repeatable(model, torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed)).to(like), layer)
        found = []
        for unit in wanted:  # each by itself: so it needs no more memory, and does not depend on the others
            asked = _Asked(model, unit, layer, mean_, std_)
            found.append(
                _grown(
                    asked,
                    first_spectrum(channels, height, width, seed).to(like.device),
                    height,
                    width,
                    (steps, rate, variation, decay, seed),
                )
            )
    pictures = (255 * torch.cat([pixels for pixels, _, _ in found])).round().to(torch.uint8)
    after, before = tuple(one[1] for one in found), tuple(one[2] for one in found)
    return Maximised(layer, wanted, pictures.permute(0, 2, 3, 1).cpu().numpy(), after, before)


def _grown(
    asked: _Asked, spectrum: Tensor, height: int, width: int, how: tuple[int, float, float, float, int]
) -> tuple[Tensor, float, float]:
    """-> (pixels (1, C, H, W) in 0..1, the unit's answer to them, its answer to the noise)."""
    steps, rate, variation, decay, seed = how
    before = asked.answer(pixels_of(spectrum, height, width))
    spectrum.requires_grad_()
    optimiser = torch.optim.Adam([spectrum], lr=rate)
    drawn = torch.Generator().manual_seed(seed)
    for step in range(steps):
        pixels = pixels_of(spectrum, height, width)
        seen = blurred(_moved(pixels, drawn), BLUR * max(height, width) * (1 - step / steps))
        value = asked.value(seen)
        if step == 0:
            _check_gradient(value, seen)
        loss = asked.cost(pixels, variation, decay) - value / max(abs(value.item()), abs(before), LEAST)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pixels = pixels_of(spectrum.detach(), height, width)
    return pixels, asked.answer(pixels), before


def _check_gradient(value: Tensor, seen: Tensor) -> None:
    """A value may have a gradient and the pixels none, as in a network of quantised layers."""
    if not value.requires_grad or torch.autograd.grad(value, seen, retain_graph=True, allow_unused=True)[0] is None:
        raise ExplanationError(
            "the unit has no gradient to the pixels: the network cuts it (no_grad, detach, quantised weights), so "
            "no picture can be grown; ask for `exciting`, which needs no gradient"
        )


def _check(shape: Sequence[int], steps: int, rate: float, variation: float, decay: float) -> None:
    sizes = tuple(shape) if isinstance(shape, Iterable) else ()
    whole = [isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in sizes]
    if len(sizes) != 3 or not all(whole):
        raise UsageError(f"shape came as {shape!r}; expected (channels, height, width), whole numbers above 0")
    if steps < 1 or rate <= 0:
        raise UsageError(f"steps came as {steps} and rate as {rate}; expected 1 or more, and above 0")
    if min(variation, decay) < 0:
        raise UsageError(f"variation came as {variation} and decay as {decay}; expected 0 or more")


def _column(name: str, values: Sequence[float], channels: int) -> Tensor:
    try:
        numbers = torch.as_tensor(values, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        numbers = torch.empty(())
    if numbers.ndim != 1:
        raise UsageError(f"{name} came as {values!r}; expected numbers, one a channel or one for all, like (0.5,)")
    if len(values) not in (1, channels):
        raise UsageError(
            f"mean or std has {counted(len(values), 'number')}; expected one for each of "
            f"{counted(channels, 'channel')}, or one"
        )
    if not all(math.isfinite(value) for value in values):
        raise UsageError(f"mean or std came as {tuple(values)}; expected finite numbers")
    return numbers.reshape(1, -1, 1, 1)


def _moved(pixels: Tensor, drawn: torch.Generator) -> Tensor:
    """All pictures by the same way; the edge is stretched over what comes in."""
    height, width = pixels.shape[2:]
    down, across = (max(1, round(JITTER * side)) for side in (height, width))
    padded = F.pad(pixels, (across, across, down, down), mode="replicate")
    top, left = (int(torch.randint(0, 2 * most + 1, (), generator=drawn)) for most in (down, across))
    return padded[:, :, top : top + height, left : left + width]


@dataclass(frozen=True)
class _Asked:
    """What is to be made large."""

    model: nn.Module
    unit: int
    layer: str | None
    mean: Tensor
    std: Tensor

    def value(self, pixels: Tensor) -> Tensor:
        """(1, C, H, W) in 0..1 -> a number."""
        images = (pixels.to(self.mean) - self.mean) / self.std
        with failures_told(self.model, images, "maximise"):
            answers = self.model(images) if self.layer is None else self._of_layer(images)
        if not isinstance(answers, Tensor) or answers.ndim != 2 or len(answers) != 1:
            came = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
            raise ExplanationError(f"the network gave {came} for one picture; expected (pictures, classes)")
        if self.unit >= answers.shape[1]:
            what = "classes" if self.layer is None else f"channels in layer '{self.layer}'"
            raise UsageError(f"unit {self.unit} came; there are {answers.shape[1]} {what}, counted from 0")
        return answers[0, self.unit].float()

    def answer(self, pixels: Tensor) -> float:
        with torch.no_grad():
            value = float(self.value(pixels))
        if not math.isfinite(value):
            raise ExplanationError(
                f"unit {self.unit} answers {value}: weights, activations or the steps overflow; check the network's "
                "weights, run it in float32, or take a smaller rate, variation and decay"
            )
        return value

    def cost(self, pixels: Tensor, variation: float, decay: float) -> Tensor:
        far = ((pixels - self.mean) / self.std).square().mean()
        return variation * total_variation(pixels)[0] + decay * far

    def _of_layer(self, images: Tensor) -> Tensor:
        """(1, channels): the mean over each feature map; a dense layer's units as they are."""
        assert self.layer is not None
        kept: list[Tensor] = []

        def keep(output: object) -> None:
            if isinstance(output, Tensor) and output.ndim in (2, 4):
                numbers = output.dequantize() if output.is_quantized else output
                kept[:] = [numbers.mean((2, 3)) if numbers.ndim == 4 else numbers.clone()]

        with at_layer(self.model, self.layer, keep):
            self.model(images)
        if not kept:
            raise ExplanationError(
                f"layer '{self.layer}' gave no feature maps in this pass; name a convolution or a block"
            )
        return kept[0]
