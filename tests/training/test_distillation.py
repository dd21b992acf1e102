"""A network that learns from another one's answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import UsageError
from convlens.pictures import Preprocess
from convlens.training import Recipe, Teacher, distillation_loss
from convlens.training.loop import Training
from tests.training.conftest import PREPROCESS, small_network, small_task

GREY = Preprocess((8, 8), "crop", 1, (0.5,), (0.25,))


class Seen(nn.Module):
    """Keeps what it was shown; its logits are the means over the channels' pixels."""

    def forward(self, images: Tensor) -> Tensor:
        self.images = images
        return images.mean((2, 3))


def test_the_loss_is_that_of_the_paper_as_written_out():
    student, teacher = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    soft, own = F.softmax(teacher / 3, 1), F.softmax(student / 3, 1)
    expected = 9 * (soft * (soft.log() - own.log())).sum(1).mean()
    torch.testing.assert_close(distillation_loss(student, teacher, 3.0), expected, rtol=1e-12, atol=1e-12)


def test_who_agrees_with_the_teacher_loses_nothing():
    logits = torch.randn(3, 4)
    assert distillation_loss(logits, logits + 7, 2.0).abs() < 1e-6


def test_a_teacher_sees_the_pixels_in_its_own_size_colours_and_normalisation():
    seen = Seen()
    teacher = Teacher(seen, Preprocess((16, 16), "crop", 3, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)), (0, 1, 2))
    pixels = torch.full((2, 1, 8, 8), 0.7)
    teacher.logits((pixels - 0.5) / 0.25, GREY)
    assert seen.images.shape == (2, 3, 16, 16)
    expected = (0.7 - torch.tensor([0.4, 0.5, 0.6])) / torch.tensor([0.2, 0.25, 0.3])
    torch.testing.assert_close(seen.images.mean((0, 2, 3)), expected)


def test_a_grey_teacher_sees_the_luma_of_colours():
    seen = Seen()
    colour = Preprocess((8, 8), "crop", 3, (0.0,) * 3, (1.0,) * 3)
    pixels = torch.tensor([1.0, 0.5, 0.25]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    Teacher(seen, Preprocess((8, 8), "crop", 1, (0.0,), (1.0,)), (0,)).logits(pixels, colour)
    torch.testing.assert_close(seen.images, torch.full((1, 1, 8, 8), 0.299 + 0.587 * 0.5 + 0.114 * 0.25))


def test_the_teachers_logits_come_in_the_students_order():
    colour = Preprocess((8, 8), "crop", 3, (0.0,) * 3, (1.0,) * 3)
    pixels = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    logits = Teacher(Seen(), colour, (2, 0)).logits(pixels, colour)
    torch.testing.assert_close(logits, torch.tensor([[0.3, 0.1]]))


def taught(training: Training, network: nn.Module, **recipe: float) -> Training:
    """The same training with a teacher."""
    task = small_task()
    task = type(task)(**{**task.__dict__, "teacher": Teacher(network, PREPROCESS, (0, 1, 2))})
    return Training(training.network, task, Recipe(precision="fp32", **recipe), training.plan, training.folder)


class Viewed(nn.Module):
    """Its second map is viewed as rows, which one that lies channels last cannot be."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.maps, self.head = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Conv2d(4, 4, 3)), nn.Linear(64, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.maps(images)
        return self.head(maps.view(len(maps), -1))


def test_a_teacher_has_a_layout_of_its_own(training):
    begun = training(2, name="student")
    begun.plan = replace(begun.plan, layout="channels_last")
    student = taught(begun, Viewed())
    student.run()
    assert student.tally.step == 2


def test_a_teacher_is_shown_pictures_in_its_own_layout():
    seen = Preprocess((8, 8))
    teacher = Teacher(Viewed(3), seen, (0, 1, 2)).laid_out(torch.device("cpu"), channels_last=True)
    student_s = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert teacher.logits(student_s, seen).shape == (2, 3)


def test_with_the_whole_weight_a_student_learns_the_teacher_and_not_the_labels(training):
    """A teacher that turns the classes round: the student follows it."""
    teacher = training(60, name="teacher")
    teacher.run()
    turned = nn.Sequential(teacher.network, Turn())
    begun = training(60, name="student")
    student = taught(begun, turned, distil_weight=1.0, distil_temperature=2.0)
    student.run()
    logits = student.val_logits()
    expected = (small_task().val_labels + 1) % 3
    assert (logits.argmax(1) == expected).double().mean() > 0.9


class Turn(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits.roll(1, dims=1)


def test_a_teacher_neither_learns_nor_trains(training):
    network = small_network().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    student = taught(training(6, name="student"), network)
    student.run()
    assert not network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("options", [{"distil_weight": 0.0}, {"distil_weight": 1.5}, {"distil_temperature": 0}])
def test_shares_and_temperatures_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Recipe(**options)
