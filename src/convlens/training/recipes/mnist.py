"""MNIST's handwritten digits: placeholders until tuned."""

from __future__ import annotations

from convlens.data import Augment
from convlens.training.recipe import Recipe
from convlens.training.recipes.record import Record

MNIST = Record("mnist", "mnist", "sprint_mnist", Recipe(epochs=1, batch=128, learning_rate=0.01), Augment(shift=1), is_default=True)
MNIST_BEST = Record("mnist_best", "mnist", "sprint_mnist", Recipe(epochs=5, batch=128, learning_rate=0.01), Augment(shift=1))
LENET5 = Record("lenet5", "mnist", "lenet5", Recipe(epochs=5, batch=128, learning_rate=0.01), Augment(shift=1))
