"""What a network takes here: the model alone on batches, and the whole way from a file's bytes to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations

import numpy as np
import torch
from PIL import Image
from torch import nn

from convlens.data import usable_cpus
from convlens.measurement import Latency, evaluating, measure_latency, probabilities, time_calls, told_apart
from convlens.pictures import Preprocess, decode

__all__ = ["BATCHES", "Latency", "Timing", "photograph", "time_network"]

BATCHES = (1, 8, 32)
SECONDS = 5.0  # for each figure
HEIGHT, WIDTH = 480, 640  # pixels of the JPEG


@dataclass(frozen=True)
class Timing:
    """`model` has a latency a batch size; `end_to_end` is of one JPEG: decode, preprocess, forward, probabilities.

    It is None for networks that read no grey or colour pictures, or give no logits. `not_told_apart` are pairs of batch
    sizes whose time for a picture differs by no more than the noise.
    """

    model: tuple[Latency, ...]
    end_to_end: Latency | None
    picture: str
    not_told_apart: tuple[tuple[int, int], ...]


def time_network(
    network: nn.Module,
    input_shape: tuple[int, ...],
    preprocess: Preprocess | None,
    batches: Sequence[int] = BATCHES,
    *,
    seconds: float = SECONDS,
) -> Timing:
    """(C, H, W), and the preprocessing that pictures go through -> Timing.

    In float32 with all threads; at least ten runs of each, after a warm-up that does not count.
    """
    torch.set_num_threads(usable_cpus())
    model = tuple(measure_latency(network, (batch, *input_shape), seconds=seconds) for batch in sorted(set(batches)))
    file = photograph()
    whole = None if preprocess is None else _end_to_end(network, preprocess, file, seconds)
    close = tuple((one.batch, two.batch) for one, two in combinations(model, 2) if not told_apart(one, two))
    return Timing(model, whole, f"JPEG of {WIDTH} × {HEIGHT} px, {len(file) / 1000:.0f} kB", close)


@torch.inference_mode()
def _end_to_end(network: nn.Module, preprocess: Preprocess, file: bytes, seconds: float) -> Latency | None:
    weight = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))

    def answer() -> torch.Tensor:
        picture = decode(BytesIO(file), short_side=preprocess.decode_side)
        logits: torch.Tensor = network(preprocess([picture]).to(weight.device, weight.dtype))
        return logits

    with evaluating(network):
        first = answer()
        if not isinstance(first, torch.Tensor) or first.ndim != 2:
            return None
        return time_calls(lambda: probabilities(answer()), seconds=seconds, on=weight.device)


def photograph() -> bytes:
    """A JPEG with broad shapes and fine grain, about as hard to decode as a photograph of its size."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    waves = [np.sin(rows / (20 + 13 * k) + k) + np.cos(columns / (31 - 7 * k) - k) for k in range(3)]
    grain = np.random.default_rng(0).normal(0, 12, (HEIGHT, WIDTH, 1))
    pixels = (127 + 50 * np.stack(waves, axis=2) + grain).clip(0, 255).astype(np.uint8)
    written = BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=90)
    return written.getvalue()
