"""MNIST's handwritten digits."""

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
