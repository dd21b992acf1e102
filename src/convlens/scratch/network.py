"""A network: layers one after the other, and how they learn.

    forward     x0 = pictures,  x1 = f1(x0),  x2 = f2(x1), …, logits
    backward    delta of the logits, back through the last layer, the one before, …, to the delta of the pictures

Pictures are (N, C, H, W) and logits (N, classes) outside; inside the batch is the last axis (see `convlens.scratch`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from convlens.errors import DataError, UsageError, check_count
from convlens.scratch.cross_entropy import CrossEntropy, check_labels
from convlens.scratch.layer import Layer, is_finite
from convlens.scratch.softmax import check_temperature, softmax
from convlens.scratch.state import fitted, read_file, write_file


class Optimiser(Protocol):
    def step(self, parameters: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> None:
        """Change the parameters in place."""


class Network:
    """`layers` by name; those of a list are called "0", "1", …, as those of torch's Sequential.

    `seed` draws the weights and what dropout drops; None keeps the weights that the layers have. Layers of another
    network are taken without a seed alone, and share their weights with it.
    """

    def __init__(
        self,
        layers: Sequence[Layer] | Mapping[str, Layer],
        *,
        seed: int | None = 0,
        dtype: type | np.dtype = np.float32,
    ) -> None:
        if not isinstance(layers, Mapping | Sequence):
            raise UsageError(f"the layers are {layers!r:.80}, expected a list of scratch layers, or a dict by name")
        named = layers if isinstance(layers, Mapping) else {str(place): one for place, one in enumerate(layers)}
        self.layers: dict[str, Layer] = dict(named)
        if not self.layers or not all(isinstance(layer, Layer) for layer in self.layers.values()):
            raise UsageError(f"the layers are {list(self.layers.values())!r:.80}, expected one or more scratch layers")
        if len({id(layer) for layer in self.layers.values()}) < len(self.layers):
            raise UsageError("one layer stands in the network twice, expected each once: it remembers one input only")
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise UsageError(f"dtype is {self.dtype}, expected float32 or float64")
        random = np.random.default_rng(None if seed is None else check_count("seed", seed, 0))
        self._check_free(drawn=seed is not None)
        for layer in self.layers.values():
            if seed is not None:
                layer.draw(random)
            layer.cast(self.dtype)
            layer.precision = self.dtype

    def forward(self, images: np.ndarray, *, training: bool = False) -> np.ndarray:
        """(N, C, H, W) -> (N, classes)."""
        return np.moveaxis(self._inside(self._entered(images), training=training), -1, 0)

    def backward(self, delta: np.ndarray) -> np.ndarray:
        """The delta of the logits, (N, classes) -> that of the images of the last `forward`, (N, C, H, W)."""
        return np.moveaxis(self._back(self._entered(delta)), -1, 0)

    def parameters(self) -> dict[str, np.ndarray]:
        """By name: "0.weight", "0.bias", …; the arrays themselves."""
        return self._arrays("parameters")

    def gradients(self) -> dict[str, np.ndarray]:
        """Of the parameters, by the same names, as the last `backward` left them."""
        return self._arrays("gradients")

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        optimiser: Optimiser,
        epochs: int = 1,
        batch_size: int = 32,
        seed: int = 0,
        loss: CrossEntropy | None = None,
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> list[float]:
        """Train on mini-batches in an order that `seed` draws -> the mean loss of each epoch.

        `images` (N, C, H, W) are numbers as the network shall see them; the outputs are taken as logits. `on_epoch` is
        told the number of each epoch that ended, from 1, and its loss.
        """
        images, labels, loss = self._finite(images), np.asarray(labels), loss or CrossEntropy()
        if isinstance(optimiser, type) or not hasattr(optimiser, "step"):
            raise UsageError(f"the optimiser is {optimiser!r:.80}, expected one that can step, such as SGD(0.005)")
        self._check_labels(images, labels)
        random, history = np.random.default_rng(check_count("seed", seed, 0)), []
        for epoch in range(1, check_count("epochs", epochs) + 1):
            total = 0.0
            with np.errstate(over="ignore", invalid="ignore"):  # what diverges is told below
                for chosen in _batches(random.permutation(len(images)), batch_size):
                    total += len(chosen) * self._learn(images[chosen], labels[chosen], loss)
                    optimiser.step(self.parameters(), self.gradients())
            self._check_weights(epoch, total)
            history.append(total / len(images))
            if on_epoch is not None:
                on_epoch(epoch, history[-1])
        return history

    def logits(self, images: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
        """(N, C, H, W) -> (N, classes), a batch at a time."""
        images = self._finite(images)
        batches = _batches(np.arange(len(images)), batch_size)
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            found = np.concatenate([self.forward(images[one]) for one in batches])
        if not np.isfinite(found).all():
            raise DataError("logits came out as NaN or infinity, expected numbers: the weights are damaged")
        return found

    def probabilities(self, images: np.ndarray, *, temperature: float = 1.0) -> np.ndarray:
        """(N, C, H, W) -> (N, classes): softmax of the logits."""
        return softmax(self.logits(images).T, check_temperature(temperature)).T

    def predict(self, images: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N,): the class of the largest logit."""
        return self.logits(images).argmax(1)

    def state(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics, by the names and in the shapes of torch's `state_dict`."""
        return {
            f"{name}.{key}": array
            for name, layer in self.layers.items()
            for key, array in (layer.parameters | layer.buffers).items()
        }

    def load_state(self, state: Mapping[str, np.ndarray], *, in_order: bool = False) -> None:
        """Take over weights by name, or `in_order`, whatever their names, as torch's `state_dict` has them."""
        values = fitted(self.state(), state, in_order=in_order)
        for name, layer in self.layers.items():
            for arrays in (layer.parameters, layer.buffers):
                for key, old in arrays.items():
                    arrays[key] = np.array(values[f"{name}.{key}"], dtype=old.dtype)

    def load(self, path: str | Path) -> None:
        """Take over the weights of a safetensors file, by name."""
        self.load_state(read_file(Path(path)))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that torch's network of the same names loads too."""
        write_file(Path(path), self.state())

    def _check_free(self, *, drawn: bool) -> None:
        for name, layer in self.layers.items():
            if layer.precision is not None and (drawn or layer.precision != self.dtype):
                raise UsageError(
                    f"layer '{name}' is in a network of {layer.precision} already, whose weights would change; make "
                    f"new layers, or share these by seed=None and dtype=np.{layer.precision}"
                )

    def _check_labels(self, images: np.ndarray, labels: np.ndarray) -> None:
        """All of them before the first step; how many classes there are, one picture tells."""
        if labels.ndim != 1 or len(images) != len(labels):
            came = f"{len(labels)} labels" if labels.ndim == 1 else f"labels of shape {labels.shape}"
            raise UsageError(f"{len(images)} images and {came} came, expected as many, and at least one")
        check_labels(labels, self._inside(self._entered(images[:1]), training=False).shape[0])

    def _check_weights(self, epoch: int, loss: float) -> None:
        if not math.isfinite(loss) or not all(is_finite(array, array.dtype) for array in self.state().values()):
            raise DataError(
                f"training diverged in epoch {epoch}: loss or weights are no finite numbers any more; make the network "
                "anew and train it at a smaller rate"
            )

    def _learn(self, images: np.ndarray, labels: np.ndarray, loss: CrossEntropy) -> float:
        value = loss.forward(self._inside(self._entered(images), training=True), labels)
        self._back(loss.backward())
        return value

    def _inside(self, x: np.ndarray, *, training: bool) -> np.ndarray:
        for layer in self.layers.values():
            x = layer.forward(x, training=training)
        return x

    def _back(self, delta: np.ndarray) -> np.ndarray:
        for layer in reversed(self.layers.values()):
            delta = layer.backward(delta)
        return delta

    def _entered(self, outside: np.ndarray) -> np.ndarray:
        """(N, …) -> (…, N), in the network's precision."""
        outside = _numbers(outside)
        if outside.ndim < 2 or not len(outside):
            raise UsageError(f"an array of shape {outside.shape} came, expected (N, C, H, W) or (N, features), N >= 1")
        return np.ascontiguousarray(np.moveaxis(outside, 0, -1), dtype=self.dtype)

    def _finite(self, images: np.ndarray) -> np.ndarray:
        images = _numbers(images)
        if images.ndim < 2 or not len(images):
            raise UsageError(f"an array of shape {images.shape} came, expected (N, C, H, W) or (N, features), N >= 1")
        if not is_finite(images, self.dtype):
            raise DataError(
                f"images hold NaN or infinity, or numbers too large for {self.dtype}, expected finite ones: find out "
                "which of them are damaged"
            )
        return images

    def _arrays(self, kind: str) -> dict[str, np.ndarray]:
        return {
            f"{name}.{key}": array for name, layer in self.layers.items() for key, array in getattr(layer, kind).items()
        }


def _numbers(given: np.ndarray) -> np.ndarray:
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise DataError(f"an array of {array.dtype} came, expected real numbers: decode the pictures first")
    return array


def _batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """A last one of a single picture joins the one before: it has no statistics for batch norm."""
    size = check_count("batch_size", batch_size)
    ends = [*range(size, len(order), size), len(order)]
    if size > 1 and len(ends) > 1 and ends[-1] - ends[-2] == 1:
        del ends[-2]
    return (order[start:end] for start, end in zip([0, *ends], ends, strict=False))
