"""How long a network takes on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlens.errors import UsageError


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one batch: half of the runs took at most p50, 99 of 100 at most p99."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    images_per_second: float
    num_runs: int
    batch: int
    threads: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_latency(
    model: nn.Module, input_shape: tuple[int, ...] | Tensor, *, num_runs: int = 50, warmup: int = 5
) -> Latency:
    """Times `num_runs` forward passes of an input (N, C, H, W) after `warmup` that do not count.

    In evaluation mode and `torch.inference_mode`, on the device of the weights; every module's mode is put back.
    """
    if num_runs < 1 or warmup < 0:
        raise UsageError(f"num_runs is {num_runs} and warmup {warmup}; expected at least 1 and 0")
    images = _example(model, input_shape)
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.inference_mode():
            times = [_one_run(model, images) for _ in range(warmup + num_runs)][warmup:]
    finally:
        for module, training in modes:
            module.training = training
    p50, p90, p99 = (float(np.percentile(times, share)) for share in (50, 90, 99))
    batch = int(images.shape[0])
    return Latency(p50, p90, p99, float(np.mean(times)), 1000 * batch / p50, num_runs, batch, torch.get_num_threads())


def _example(model: nn.Module, input_shape: tuple[int, ...] | Tensor) -> Tensor:
    if isinstance(input_shape, Tensor):
        return input_shape
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    noise = torch.rand(tuple(input_shape), generator=torch.Generator().manual_seed(0))
    return noise.to(weight.device, weight.dtype)


def _one_run(model: nn.Module, images: Tensor) -> float:
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    start = perf_counter()
    model(images)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return 1000 * (perf_counter() - start)
