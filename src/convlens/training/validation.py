"""The network's logits over a resident set of pictures, in batches of one size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.graph import evaluating
from convlens.pictures import Preprocess
from convlens.training.precision import Choice


@torch.inference_mode()
def logits_of(
    network: nn.Module,
    pixels: Tensor,
    preprocess: Preprocess,
    choice: Choice,
    *,
    device: torch.device,
) -> Tensor:
    """(N, C, H, W) uint8 -> (N, K) float32 on the CPU. The modes of its modules are kept."""
    batch, rows = inference_batch(preprocess.size), []
    with evaluating(network):
        for start in range(0, len(pixels), batch):
            images = preprocess.normalise(pixels[start : start + batch].to(device))
            with choice.autocast(device):
                rows.append(network(images.contiguous(memory_format=choice.memory_format)).float())
    return torch.cat(rows).cpu()


def inference_batch(size: tuple[int, int]) -> int:
    """About a million pixels at a time: enough to keep the processor busy, little enough for any memory."""
    return max(1, min(256, (1 << 20) // (size[0] * size[1])))


def loss_and_accuracy(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of right answers."""
    return float(F.cross_entropy(logits, labels)), float((logits.argmax(1) == labels).double().mean())
