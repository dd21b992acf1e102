"""Generative adversarial networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661.

A generator G makes pictures of noise z, a discriminator D says how likely a picture is to be real:

    min over G, max over D of   E log D(x) + E log(1 - D(G(z)))                        equation 1

Algorithm 1, with one step of D for each of G. G climbs log D(G(z)), which has the same fixed point and does not flatten
while D is right (section 3). D gives logits l, with D = sigmoid(l), so that

    -log D = softplus(-l)          -log(1 - D) = softplus(l)

Departures: Adam with betas 0.5 and 0.999 (Radford et al., 2015) in place of momentum; real pictures are told to be 0.9
real, so that D never grows boundlessly sure (Salimans et al., 2016, section 3.4, https://arxiv.org/abs/1606.03498).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.classics.given import Progress, as_tensor, check_range, draws_of, learning, one_hot_labels, one_hot_wanted
from convlens.errors import UsageError, check_count, check_number

REAL = 0.9
BETAS = (0.5, 0.999)
DEVIATION = 0.02
Pictures = Tensor | np.ndarray


class Adversarial(nn.Module):
    """Pictures (N, C, H, W) in 0..1 from `num_noise` normal numbers, of a class where there are `num_classes`.

    A subclass has `generator`, (N, num_noise + num_classes) -> pictures in -1..1, and `discriminator`, those and
    (N, num_classes) -> (N,), logits.
    """

    generator: nn.Module
    discriminator: nn.Module

    def __init__(self, shape: Sequence[int], num_noise: int, num_classes: int, width: int) -> None:
        super().__init__()
        if not isinstance(shape, Sequence) or len(shape) != 3:
            raise UsageError(f"shape is {shape!r}; expected (channels, height, width)")
        self.shape = tuple(check_count("a side of the shape", side) for side in shape)
        self.num_noise = check_count("num_noise", num_noise)
        self.num_classes = check_count("num_classes", num_classes, 0)
        self.sizes = (self.shape, num_noise, num_classes, check_count("the width", width))

    def fit(
        self,
        pictures: Pictures,
        labels: Tensor | np.ndarray | None = None,
        *,
        epochs: int,
        seed: int = 0,
        batch: int = 64,
        learning_rate: float = 0.0002,
        progress: Progress | None = None,
    ) -> Self:
        """Learn pictures (N, C, H, W) in 0..1 from the beginning, with labels (N,) where there are classes.

        The same seed gives the same weights on one machine. `progress` hears both losses in nats: at the end of the
        game, where D cannot tell and says 0.45, they would be 1.38 and 0.80.
        """
        real = self._checked(pictures)
        classes = self._classes(labels, len(real))
        batch = min(check_count("batch", batch, 2), len(real))
        rate, draws = check_number("learning_rate", learning_rate, 0), draws_of(seed, real)
        self._begin(draws)
        players = [self.discriminator, self.generator]
        optimisers = [torch.optim.Adam(player.parameters(), rate, BETAS) for player in players]
        for epoch in range(1, check_count("epochs", epochs) + 1):
            order = torch.randperm(len(real), generator=draws, device=real.device)[: len(real) // batch * batch]
            told = torch.zeros(2)
            with learning(self):
                for rows in order.split(batch):
                    told += self._step(real[rows], classes[rows], optimisers, draws)
            of_d, of_g = (told / max(1, len(order) // batch)).tolist()
            if progress:
                progress("fit", epoch, epochs, f"discriminator {of_d:.2f}, generator {of_g:.2f}")
        return self.eval()

    def samples(self, wanted: int | Tensor | np.ndarray, *, seed: int = 0) -> Tensor:
        """So many pictures, or one of each of these classes -> (N, C, H, W) in 0..1."""
        weight = next(self.parameters())
        if isinstance(wanted, int | np.integer):
            each = torch.arange(check_count("wanted", wanted)) % max(1, self.num_classes)
            classes = self._classes(each if self.num_classes else None, len(each)).to(weight)
        else:
            classes = one_hot_wanted(wanted, self.num_classes, weight.detach())
        training = self.training
        self.eval()
        with torch.no_grad():
            made = [self._made(part, draws) for draws in [draws_of(seed, weight)] for part in classes.split(256)]
        self.train(training)
        return torch.cat(made).clamp(-1, 1).add(1).div(2)

    def _step(
        self, real: Tensor, classes: Tensor, optimisers: list[torch.optim.Adam], draws: torch.Generator
    ) -> Tensor:
        """D learns to tell these real pictures from made ones, then G to make it say that those are real."""
        self.train()
        made = self._made(classes, draws)
        says = self.discriminator(real, classes)
        loss_d = (REAL * F.softplus(-says) + (1 - REAL) * F.softplus(says)).mean()
        loss_d = loss_d + F.softplus(self.discriminator(made.detach(), classes)).mean()
        self._move(loss_d, self.discriminator, optimisers[0])
        loss_g = F.softplus(-self.discriminator(made, classes)).mean()
        self._move(loss_g, self.generator, optimisers[1])
        return torch.stack([loss_d.detach(), loss_g.detach()]).cpu()

    def _move(self, loss: Tensor, player: nn.Module, optimiser: torch.optim.Adam) -> None:
        parameters = list(player.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimiser.step()
        optimiser.zero_grad()

    def _made(self, classes: Tensor, draws: torch.Generator) -> Tensor:
        noise = torch.randn(len(classes), self.num_noise, generator=draws, device=classes.device)
        return self.generator(torch.cat([noise, classes], 1))

    @torch.no_grad()
    def _begin(self, draws: torch.Generator) -> None:
        for name, value in self.named_parameters():
            if value.ndim > 1:
                value.normal_(0, self._deviation(value), generator=draws)
            else:
                value.fill_(1.0 if name.endswith("norm.weight") else 0.0)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()

    def _deviation(self, weight: Tensor) -> float:
        """Of what a weight is drawn from at the beginning (Radford et al., 2015, section 4)."""
        return DEVIATION

    def _checked(self, pictures: Pictures) -> Tensor:
        """-> in -1..1, as the generator makes them."""
        if not isinstance(pictures, Tensor | np.ndarray):
            raise UsageError(f"pictures came as {type(pictures).__name__}; expected a tensor or an array")
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != self.shape or len(pictures) < 2:
            raise UsageError(
                f"pictures came with shape {tuple(pictures.shape)}; expected (N, {', '.join(map(str, self.shape))}) "
                "with N of at least 2"
            )
        return check_range(as_tensor(pictures).to(next(self.parameters()))) * 2 - 1

    def _classes(self, labels: Tensor | np.ndarray | None, num_pictures: int) -> Tensor:
        return one_hot_labels(labels, num_pictures, self.num_classes, next(self.parameters()))
