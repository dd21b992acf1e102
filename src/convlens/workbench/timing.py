"""What a network takes here: the model alone on batches, and the whole way from a file's bytes to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import combinations

import numpy as np
import torch
from PIL import Image
from torch import nn

from convlens.data import usable_cpus
from convlens.graph import evaluating
from convlens.measurement import Latency, measure_latency, probabilities, time_calls, told_apart
from convlens.pictures import Preprocess, decode

__all__ = ["BATCHES", "Latency", "Timing", "photograph", "time_network"]

BATCHES = (1, 8, 32)
SECONDS = 5.0  # for each figure
HEIGHT, WIDTH = 480, 640  # pixels of the JPEG


@dataclass(frozen=True)
class Timing:
    """A latency a batch size: `model`, and `end_to_end` of as many JPEGs: decode, preprocess, forward, probabilities.

    The second is empty for networks that read no grey or colour pictures, or give no logits. `not_told_apart` are pairs
    of batch sizes whose time for a picture differs by no more than the noise.
    """

    model: tuple[Latency, ...]
    end_to_end: tuple[Latency, ...]
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
    sizes = sorted(set(batches))
    model = tuple(measure_latency(network, (batch, *input_shape), seconds=seconds) for batch in sizes)
    file = photograph()
    whole = () if preprocess is None else _end_to_end(network, preprocess, file, sizes, seconds)
    close = tuple((one.batch, two.batch) for one, two in combinations(model, 2) if not told_apart(one, two))
    return Timing(model, whole, f"JPEG of {WIDTH} × {HEIGHT} px, {len(file) / 1000:.0f} kB", close)


@torch.inference_mode()
def _end_to_end(
    network: nn.Module, preprocess: Preprocess, file: bytes, batches: Sequence[int], seconds: float
) -> tuple[Latency, ...]:
    weight = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))

    def answer(batch: int) -> torch.Tensor:
        files = [BytesIO(file) for _ in range(batch)]
        pictures = list(threads.map(partial(decode, short_side=preprocess.decode_side), files))
        logits: torch.Tensor = network(preprocess(pictures).to(weight.device, weight.dtype))
        return logits

    def whole_way(batch: int) -> torch.Tensor:
        return probabilities(answer(batch))

    with evaluating(network), ThreadPoolExecutor(usable_cpus()) as threads:
        first = answer(1)
        if not isinstance(first, torch.Tensor) or first.ndim != 2:
            return ()
        return tuple(
            time_calls(partial(whole_way, batch), batch=batch, seconds=seconds, on=weight.device) for batch in batches
        )


def photograph() -> bytes:
    """A JPEG with broad shapes and fine grain, about as hard to decode as a photograph of its size."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    waves = [np.sin(rows / (20 + 13 * k) + k) + np.cos(columns / (31 - 7 * k) - k) for k in range(3)]
    grain = np.random.default_rng(0).normal(0, 12, (HEIGHT, WIDTH, 1))
    pixels = (127 + 50 * np.stack(waves, axis=2) + grain).clip(0, 255).astype(np.uint8)
    written = BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=90)
    return written.getvalue()
