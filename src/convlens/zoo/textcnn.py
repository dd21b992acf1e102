"""TextCNN: Convolutional Neural Networks for Sentence Classification (Kim, 2014), https://arxiv.org/abs/1408.5882.

Section 3.1: filters over 3, 4 and 5 words, 100 of each, ReLU, the largest value over the sentence, dropout 0.5, one
Linear whose rows are kept at most 3 long. Departures: one set of word vectors (CNN-rand, or static and non-static with
`stem.words` set by the user), no second channel; a sentence counts as padded to the widest filter, with vectors of 0.

`fit` is the training of section 3.1: Adadelta, 50 sentences at a time, rows kept short after each step. Departure: a
number of epochs in place of early stopping on held-out sentences.

It stands unregistered: a network of the registry reads pictures, (N, C, H, W), and is created with their size and
channels; a sentence has a vocabulary. N sentences of T words; word 0 is padding.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Self

import torch
from torch import Tensor, nn

from convlens.errors import DataError, UsageError, check_count, check_number
from convlens.layers import sequence

# fmt: off
#  section 3.1
WIDTHS       = (3, 4, 5)  # words that a filter sees
MAPS         = 100        # filters of each width
EMBEDDING    = 300        # numbers of a word's vector
DROPOUT      = 0.5
LONGEST_ROW  = 3.0        # of the last layer's weights
BATCH        = 50
RHO          = 0.95       # of Adadelta, as in section 4 of its paper (Zeiler, 2012), https://arxiv.org/abs/1212.5701
# fmt: on


class WordVectors(nn.Module):
    """(N, T) whole numbers -> (N, embedding, T'), T' no less than the widest filter."""

    def __init__(self, num_words: int, embedding: int, least: int) -> None:
        super().__init__()
        self.words = nn.Embedding(num_words, embedding, padding_idx=0)
        nn.init.uniform_(self.words.weight.detach()[1:], -0.25, 0.25)
        self.least = least

    def forward(self, words: Tensor) -> Tensor:
        if words.ndim != 2 or words.dtype not in (torch.int64, torch.int32):
            raise UsageError(
                f"words came as {tuple(words.shape)} of {words.dtype}; expected whole numbers, (N, T), of torch.int64"
            )
        vectors = self.words(words).transpose(1, 2)
        return nn.functional.pad(vectors, (0, max(self.least - vectors.shape[2], 0)))


class LargestOverTime(nn.Module):
    """(N, maps, T) -> (N, maps)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.amax(dim=2)


class Widths(nn.Module):
    """(N, embedding, T) -> (N, widths x maps): the largest relu(w x + b) of every filter, its place forgotten."""

    def __init__(self, embedding: int, widths: tuple[int, ...], maps: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            sequence(conv=nn.Conv1d(embedding, maps, width), act=nn.ReLU(), pool=LargestOverTime()) for width in widths
        )

    def forward(self, vectors: Tensor) -> Tensor:
        return torch.cat([branch(vectors) for branch in self.branches], dim=1)


class TextCNN(nn.Module):
    """logits = head(stages(stem(words))), as all networks of the zoo, of (N, T) numbers of words."""

    def __init__(
        self,
        num_words: int,
        *,
        num_classes: int = 2,
        widths: tuple[int, ...] = WIDTHS,
        maps: int = MAPS,
        embedding: int = EMBEDDING,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        counts = {"num_words": num_words, "num_classes": num_classes, "maps": maps, "embedding": embedding}
        for what, value in counts.items():
            check_count(what, value)
        if not isinstance(widths, tuple) or not widths:
            raise UsageError(f"widths is {widths!r}, expected how many words each filter sees, such as (3, 4, 5)")
        for width in widths:
            check_count("a width in widths", width)
        check_number("dropout", dropout, 0, 1)
        self.stem = WordVectors(num_words, embedding, max(widths))
        self.stages = Widths(embedding, widths, maps)
        self.head = sequence(dropout=nn.Dropout(dropout), linear=nn.Linear(len(widths) * maps, num_classes))

    def forward(self, words: Tensor) -> Tensor:  # (N, T), whole numbers
        return self.head(self.stages(self.stem(words)))  # (N, num_classes), logits

    def fit(
        self,
        words: Tensor,
        labels: Tensor,
        *,
        epochs: int,
        seed: int = 0,
        batch: int = BATCH,
        learning_rate: float = 1.0,
        progress: Callable[[str, int, int, str], None] | None = None,
    ) -> Self:
        """Go on learning from (N, T) numbers of words and labels (N,); `progress` hears each epoch's loss.

        Order and dropout follow from `seed`; torch's generators are as before afterwards. Ends in evaluation mode.
        DataError for words and labels that the network has not, and where it diverges.
        """
        self._check_sentences(words, labels)
        words, labels = words.long(), labels.long()
        rate = check_number("learning_rate", learning_rate, 0, above=True)
        optimiser = torch.optim.Adadelta(self.parameters(), lr=rate, rho=RHO)
        with torch.random.fork_rng([words.device] if words.is_cuda else []):
            (torch if words.is_cuda else torch.default_generator).manual_seed(check_count("seed", seed, 0))
            for epoch in range(1, check_count("epochs", epochs) + 1):
                self.train()
                total = 0.0
                for rows in torch.randperm(len(words)).split(check_count("batch", batch)):
                    loss = nn.functional.cross_entropy(self(words[rows]), labels[rows])
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    self.constrain()
                    total += loss.item() * len(rows)
                self._check_finite(total)
                if progress:
                    progress("fit", epoch, epochs, f"loss {total / len(words):.4f}")
        return self.eval()

    @torch.no_grad()
    def constrain(self, longest: float = LONGEST_ROW) -> None:
        """After a step: rows of the last layer that grew longer are scaled back to `longest`."""
        weight = self.head.get_submodule("linear").get_parameter("weight")
        weight.copy_(weight.renorm(2, 0, longest))

    def _check_sentences(self, words: Tensor, labels: Tensor) -> None:
        if not isinstance(words, Tensor) or not isinstance(labels, Tensor):
            came = f"{type(words).__name__} and {type(labels).__name__}"
            raise UsageError(f"words and labels came as {came}; expected tensors: torch.as_tensor makes them")
        whole = not words.is_floating_point() and not labels.is_floating_point()
        if not whole or words.ndim != 2 or labels.shape != words.shape[:1] or not words.numel():
            raise UsageError(
                f"words came as {tuple(words.shape)} of {words.dtype} and labels as {tuple(labels.shape)} of "
                f"{labels.dtype}; expected whole numbers, (N, T) and (N,), N and T of at least 1"
            )
        classes = self.head.get_submodule("linear").get_parameter("bias")
        for what, given, num in (("words", words, self.stem.words.num_embeddings), ("labels", labels, len(classes))):
            if given.min() < 0 or given.max() >= num:
                raise DataError(f"{what} go from {given.min()} to {given.max()}; expected 0 to {num - 1}")

    def _check_finite(self, loss: float) -> None:
        if not isfinite(loss) or not all(weight.isfinite().all() for weight in self.parameters()):
            raise DataError(
                "TextCNN diverged: its weights are no finite numbers any more; make it anew and fit it with a smaller "
                "learning_rate"
            )
