"""Activation maximisation: the picture that a class or a channel answers most to, grown from noise.

Erhan et al. 2009 (https://www.researchgate.net/publication/265022827) and Simonyan et al. 2013
(https://arxiv.org/abs/1312.6034, section 2): gradient ascent on the pixels, which cost the more the farther they are
from the mean. Without more the result is noise that no eye can read; here, after Olah et al. 2017
(https://distill.pub/2017/feature-visualization/), the steps are taken on the frequencies of the picture, which is moved
about and seen blurred at first, and neighbours that differ cost (total variation): see `regularisers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError, counted
from convlens.explanation.blur import blurred
from convlens.explanation.fourier import first_spectrum, pixels_of
from convlens.explanation.options import check_value, options_of, whole_numbers
from convlens.explanation.preparation import at_layer, channels_come_last, failures_told, network_with_values, prepared
from convlens.explanation.regularisers import Regularisers, chosen_regularisers, usual
from convlens.explanation.repeatable import check_repeatable

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
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **regularisers: float,
) -> Maximised:
    """Grow one picture for each of `units`: classes, or channels of `layer`.

    `shape` is (C, H, W); pixels of 0 to 1 are given to the network less `mean` and divided by `std`, one number a
    channel or one for all. `rate` is Adam's; `regularisers` are those of `Regularisers`, by default what reads best
    for grey pictures of at most 32 px, or for any others. `progress` is told how many steps are done, of how many in
    all. The same seed gives the same pictures, alone or with others. Of a layer that runs several times in a pass its
    last run is looked at. UsageError for what does not fit the network.
    """
    wanted, known = whole_numbers("units", units), options_of(maximise)
    for name, given in {"steps": steps, "rate": rate, "seed": seed}.items():
        check_value(name, given, known[name])
    channels, height, width = _checked(shape, steps, rate)
    chosen = chosen_regularisers(usual(channels, height, width), regularisers)
    model = network_with_values(model)
    with prepared(model):
        like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
        mean_, std_ = (_column(name, each, channels).to(like) for name, each in (("mean", mean), ("std", std)))
        if not (std_ > 0).all():
            raise UsageError(f"std came as {tuple(std)}; expected numbers above 0, by which pixels are divided")
        check_repeatable(model, torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed)).to(like), layer)
        found: list[tuple[Tensor, float, float]] = []
        for unit in wanted:  # each by itself: so it needs no more memory, and does not depend on the others
            told = _told(progress, len(found) * steps, len(wanted) * steps)
            growth = _Growth(_Asked(model, unit, layer, mean_, std_), chosen, height, width, steps, rate, seed, told)
            found.append(growth.run(first_spectrum(channels, height, width, seed).to(like.device)))
    pictures = (255 * torch.cat([pixels for pixels, _, _ in found])).round().to(torch.uint8)
    after, before = tuple(one[1] for one in found), tuple(one[2] for one in found)
    return Maximised(layer, wanted, pictures.permute(0, 2, 3, 1).cpu().numpy(), after, before)


def _told(progress: Callable[[int, int], None] | None, done: int, total: int) -> Callable[[int], None]:
    return lambda step: None if progress is None else progress(done + step, total)


@dataclass(frozen=True)
class _Growth:
    """How one picture is grown."""

    asked: _Asked
    chosen: Regularisers
    height: int
    width: int
    steps: int
    rate: float
    seed: int
    told: Callable[[int], None]

    def run(self, spectrum: Tensor) -> tuple[Tensor, float, float]:
        """-> (pixels (1, C, H, W) in 0..1, the unit's answer to them, its answer to the noise)."""
        before = self.asked.answer(self.pixels(spectrum))
        with torch.no_grad():
            least = max(abs(float(self.asked.aim(self.pixels(spectrum), self.chosen.margin))), LEAST)
        spectrum.requires_grad_()
        optimiser = torch.optim.Adam([spectrum], lr=self.rate)
        drawn = torch.Generator().manual_seed(self.seed)
        for step in range(self.steps):
            self.told(step)
            pixels = self.pixels(spectrum)
            seen = self.seen(pixels, step, drawn)
            value = self.asked.aim(seen, self.chosen.margin)
            if step == 0:
                _check_gradient(value, seen)
            loss = self.asked.cost(pixels, self.chosen) - value / max(abs(value.item()), least)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        self.told(self.steps)
        pixels = self.pixels(spectrum.detach())
        return pixels, self.asked.answer(pixels), before

    def pixels(self, spectrum: Tensor) -> Tensor:
        return pixels_of(spectrum, self.height, self.width, self.chosen.low_pass)

    def seen(self, pixels: Tensor, step: int, drawn: torch.Generator) -> Tensor:
        """Moved, blurred ever less, and noisy."""
        deviation = BLUR * max(self.height, self.width) * (1 - step / self.steps)
        return self.chosen.noisy(blurred(self.chosen.moved(pixels, drawn), deviation), drawn)


def _check_gradient(value: Tensor, seen: Tensor) -> None:
    """A value may have a gradient and the pixels none, as in a network of quantised layers."""
    if not value.requires_grad or torch.autograd.grad(value, seen, retain_graph=True, allow_unused=True)[0] is None:
        raise ExplanationError(
            "the unit has no gradient to the pixels: the network cuts it (no_grad, detach, quantised weights), so "
            "no picture can be grown; ask for `exciting`, which needs no gradient"
        )


def _checked(shape: Sequence[int], steps: int, rate: float) -> tuple[int, int, int]:
    sizes = tuple(shape) if isinstance(shape, Iterable) else ()
    whole = [isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in sizes]
    if len(sizes) != 3 or not all(whole):
        raise UsageError(f"shape came as {shape!r}; expected (channels, height, width), whole numbers above 0")
    if steps < 1 or rate <= 0:
        raise UsageError(f"steps came as {steps} and rate as {rate}; expected 1 or more, and above 0")
    channels, height, width = map(int, sizes)
    return channels, height, width


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


@dataclass(frozen=True)
class _Asked:
    """What is to be made large."""

    model: nn.Module
    unit: int
    layer: str | None
    mean: Tensor
    std: Tensor

    def answers(self, pixels: Tensor) -> Tensor:
        """(1, C, H, W) in 0..1 -> (K,), of the classes or of a layer's channels."""
        images = (pixels.to(self.mean) - self.mean) / self.std
        with failures_told(self.model, images, "maximise"):
            answers = self.model(images) if self.layer is None else self._of_layer(images)
        if not isinstance(answers, Tensor) or answers.ndim != 2 or len(answers) != 1:
            came = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
            raise ExplanationError(f"the network gave {came} for one picture; expected (pictures, classes)")
        if self.unit >= answers.shape[1]:
            what = "classes" if self.layer is None else f"channels in layer '{self.layer}'"
            raise UsageError(f"unit {self.unit} came; there are {answers.shape[1]} {what}, counted from 0")
        return answers[0].float()

    def aim(self, pixels: Tensor, margin: float) -> Tensor:
        """What is raised: the unit's answer, and of a class how far it lies above the others."""
        answers = self.answers(pixels)
        if not margin or self.layer is not None or len(answers) < 2:
            return answers[self.unit]
        others = torch.cat([answers[: self.unit], answers[self.unit + 1 :]])
        return answers[self.unit] - margin * others.logsumexp(0)

    def answer(self, pixels: Tensor) -> float:
        with torch.no_grad():
            value = float(self.answers(pixels)[self.unit])
        if not math.isfinite(value):
            raise ExplanationError(
                f"unit {self.unit} answers {value}: weights, activations or the steps overflow; check the network's "
                "weights, run it in float32, or take a smaller rate, variation and decay"
            )
        return value

    def cost(self, pixels: Tensor, chosen: Regularisers) -> Tensor:
        return chosen.cost(pixels, self.mean, self.std)

    def _of_layer(self, images: Tensor) -> Tensor:
        """(1, channels): the mean over each feature map; a dense layer's units as they are."""
        assert self.layer is not None
        kept: list[Tensor] = []
        axes = (1, 2) if channels_come_last(self.model, self.layer, images) else (2, 3)

        def keep(output: object) -> None:
            if isinstance(output, Tensor) and output.ndim in (2, 4):
                numbers = output.dequantize() if output.is_quantized else output
                kept[:] = [numbers.mean(axes) if numbers.ndim == 4 else numbers.clone()]

        with at_layer(self.model, self.layer, keep):
            self.model(images)
        if not kept:
            raise ExplanationError(
                f"layer '{self.layer}' gave no feature maps in this pass; name a convolution or a block"
            )
        return kept[0]
