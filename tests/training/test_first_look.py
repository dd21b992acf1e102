"""A network that measures its starting weights on pictures is shown some, once, as it will see them."""

from __future__ import annotations

import torch
from torch import nn

from convlens.data import Augment, Batches
from convlens.pictures import Preprocess
from convlens.training.first_look import show_pictures


class Looking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: list[torch.Tensor] = []

    def look_at(self, images: torch.Tensor) -> None:
        self.seen.append(images)


def test_it_is_shown_normalised_pictures_from_the_middle_without_augmentation() -> None:
    pixels = torch.full((40, 1, 10, 10), 255, dtype=torch.uint8)
    pixels[:, :, :1] = pixels[:, :, -1:] = 0
    preprocess = Preprocess((8, 8), "crop", 1, (0.5,), (0.25,))
    batches = Batches(pixels, torch.zeros(40, dtype=torch.int64), preprocess, Augment(zoom=0.5), batch=8, seed=0)
    network = Looking()
    show_pictures(network, batches)
    assert len(network.seen) == 1 and torch.equal(network.seen[0], torch.full((40, 1, 8, 8), 2.0))


def test_others_are_left_alone() -> None:
    pixels, labels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    preprocess = Preprocess((8, 8), "crop", 1, (0.5,), (0.25,))
    show_pictures(nn.Linear(1, 1), Batches(pixels, labels, preprocess, Augment(), batch=2, seed=0))


def test_a_training_begins_with_it_and_a_resumed_one_does_not(training) -> None:
    made = training(4)
    calls: list[int] = []
    made.network.look_at = lambda images: calls.append(len(images))
    made.run()
    again = training(4, "again")
    again.network.look_at = lambda images: calls.append(-1)
    again.save()
    again.resume()
    again.run()
    assert calls == [96]
