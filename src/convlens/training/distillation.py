"""Distilling the Knowledge in a Neural Network (Hinton, Vinyals and Dean, 2015), https://arxiv.org/abs/1503.02531.

A trained network, the teacher, says how alike the classes are: its probabilities, softened by a temperature T, are what
the student learns beside the labels (section 2):

    loss = (1 - w) CE(labels, softmax(z)) + w T^2 CE(softmax(v / T), softmax(z / T))

with the student's logits z and the teacher's v. T^2 keeps the share of the two when T changes, as the gradient of the
second term falls with 1 / T^2.
Departure: of the second term the teacher's own entropy is taken off, which leaves Kullback and Leibler's divergence;
the gradient is the same, and 0 is where both agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.layers.channels_last import lay_out
from convlens.pictures import Preprocess


@dataclass(frozen=True)
class Teacher:
    """A trained network that sees the student's pictures in its own preprocessing.

    `columns` are the places of the student's classes among its logits; in `layout` its pictures lie.
    """

    network: nn.Module
    preprocess: Preprocess
    columns: tuple[int, ...]
    layout: torch.memory_format = torch.contiguous_format

    def laid_out(self, device: torch.device, *, channels_last: bool) -> Teacher:
        """On this device, in evaluation mode; channels last where that is wanted and it can run so."""
        network = self.network.to(device).eval()
        if channels_last:
            images = torch.zeros(1, self.preprocess.channels, *self.preprocess.size, device=device)
            return replace(self, layout=lay_out(network, images))
        return replace(self, layout=torch.contiguous_format)

    @torch.no_grad()
    def logits(self, images: Tensor, student: Preprocess) -> Tensor:
        """The student's (N, C, H, W), as its preprocessing made them -> (N, K) logits in the student's order."""
        seen = self.preprocess
        pixels = images * _planes(student.std, images) + _planes(student.mean, images)
        if student.channels != seen.channels:
            pixels = pixels.expand(-1, 3, -1, -1) if seen.channels == 3 else _grey(pixels)
        if tuple(pixels.shape[2:]) != seen.size:
            pixels = F.interpolate(pixels, seen.size, mode="bilinear", antialias=True)
        given = (pixels - _planes(seen.mean, images)) / _planes(seen.std, images)
        logits: Tensor = self.network(given.contiguous(memory_format=self.layout))
        return logits[:, list(self.columns)]


def distillation_loss(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """(N, K), (N, K) -> T^2 KL(softmax(taught / T) || softmax(logits / T)), the mean over pictures."""
    soft, own = (F.log_softmax(each / temperature, dim=1) for each in (taught, logits))
    return temperature**2 * F.kl_div(own, soft, reduction="batchmean", log_target=True)


def _planes(values: tuple[float, ...], images: Tensor) -> Tensor:
    return images.new_tensor(values).view(1, -1, 1, 1)


def _grey(pixels: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 1, H, W), ITU-R 601 luma, as greys are decoded."""
    return (pixels * pixels.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)).sum(1, keepdim=True)
