"""Pictures a second in training, of a step that is recorded as `train` records it."""

from __future__ import annotations

import torch

from convlens.training import training_throughput
from convlens.training.throughput import step_of
from convlens.workbench import bench
from convlens.zoo import create


def test_the_step_is_the_one_that_a_training_takes():
    torch.manual_seed(0)
    network = create("resnet20", num_classes=10)
    images, labels = torch.randn(64, 3, 32, 32, device="cuda"), torch.arange(64, device="cuda") % 10
    found = training_throughput(network, images, labels, rounds=1)
    assert found.choice.precision == "bf16"
    assert not next(network.parameters()).is_cuda
    step = step_of(network.cuda(), found.choice)
    losses = [step(images, labels) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_bench_times_the_gpu_unless_told_otherwise():
    (row,) = bench(["resnet20"], batch=512).networks
    assert (row.device, row.way) == ("cuda", "bf16, channels_last, cuda")
    assert row.throughput.median > 10_000
