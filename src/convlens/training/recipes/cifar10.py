"""CIFAR-10's 50,000 training pictures, of which 45,000 are trained on and 5,000 validate.

    convlens train cifar10
    convlens evaluate RUN --tta shifts
    python benchmarks/cifar10.py FOLDER --seeds 5

RESULTS
After airbench94_muon (Jordan 2024, https://arxiv.org/abs/2404.00498), whose network it is. Other than there: batches
of 500, on which a processor is as fast as on 2,000, and which make four times the steps; pictures begin at 24 px and
reach 32 at 65 % of the training; AdamW in place of SGD moves biases and classifier; 7 epochs.
"""

from __future__ import annotations

from convlens.data import Augment
from convlens.training.recipe import Recipe
from convlens.training.recipes.record import Record

CIFAR10_94 = Record(
    "cifar10_94",
    "cifar10",
    "sprint_cifar",
    Recipe(
        epochs=7,
        batch=500,
        optimiser="muon",
        learning_rate=0.06,
        momentum=0.8,
        on_sphere=True,
        betas=(0.9, 0.95),
        bias_rate=5 / 3,
        head_rate=5.0,
        weight_decay=0.0,
        schedule="linear",
        label_smoothing=0.2,
        progressive=0.75,
    ),
    Augment(flip=True, alternate=True, shift=2, border="reflect"),
    is_default=True,
    tta="shifts",
)
