"""MNIST's 60,000 handwritten digits, of which 54,000 are trained on and 6,000 validate.

    convlens train mnist                              sprint_mnist, one epoch
    convlens train mnist --recipe mnist_best          the same network at 1.5 times the width, five epochs
    convlens train mnist --recipe lenet5              LeNet-5's own topology, 61,706 parameters

Digits lie in the middle 20 x 20 of 28 x 28 px: at 24 px there is a quarter less to compute. Times, accuracies and their
spread: `python benchmarks/records.py mnist mnist_best lenet5`.
"""

from __future__ import annotations

from convlens.data import Augment
from convlens.training.recipe import Recipe
from convlens.training.recipes.record import Record

MNIST = Record(
    "mnist",
    "mnist",
    "sprint_mnist",
    Recipe(epochs=1, batch=128, learning_rate=0.01, betas=(0.7, 0.95)),
    Augment(shift=1),
    image_size=24,
    crop_ratio=24 / 28,
    is_default=True,
)
MNIST_BEST = Record(
    "mnist_best",
    "mnist",
    "sprint_mnist",
    Recipe(epochs=5, batch=128, learning_rate=0.01, betas=(0.7, 0.95)),
    Augment(shift=1),
    image_size=24,
    crop_ratio=24 / 28,
    options={"width": 1.5},
)
LENET5 = Record(
    "lenet5", "mnist", "lenet5", Recipe(epochs=5, batch=128, learning_rate=0.005, betas=(0.7, 0.95)), Augment(shift=1)
)
