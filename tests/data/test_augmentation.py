"""What can be asked of augmentation, and what is refused."""

from __future__ import annotations

import pytest

from convlens.data import Augment
from convlens.errors import UsageError

# fmt: off
WRONG = [
    ({"zoom": 0},              "zoom came as 0; expected a share of the area above 0 and up to 1"),
    ({"zoom": 1.5},            "zoom came as 1.5"),
    ({"zoom": "half"},         "zoom came as half"),
    ({"shift": -1},            "shift came as -1; expected a whole number of 0 or more"),
    ({"shift": 1.5},           "shift came as 1.5; expected a whole number"),
    ({"cutout": True},         "cutout came as True; expected a whole number"),
    ({"rotate": 181},          "rotate came as 181; expected a number from 0 to 180"),
    ({"brightness": -0.1},     "brightness came as -0.1; expected a number from 0 to 1"),
    ({"contrast": 1.1},        "contrast came as 1.1; expected a number from 0 to 1"),
    ({"saturation": "much"},   "saturation came as much; expected a number from 0 to 1"),
    ({"hue": 0.6},             "hue came as 0.6; expected a number from 0 to 0.5"),
    ({"lighting": -1},         "lighting came as -1; expected a number of 0 or more"),
    ({"mixup": float("nan")},  "mixup came as nan; expected a number of 0 or more"),
    ({"cutmix": float("inf")}, "cutmix came as inf; expected a number of 0 or more"),
    ({"flip": 1},              "flip came as 1; expected true or false"),
    ({"border": "edges"},      r"no border is called 'edges' \(near: edge\); choose edge or reflect"),
    ({"alternate": True},      "alternate came as true without flip"),
]
# fmt: on


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_what_is_out_of_range_says_what_came_and_what_is_expected(wrong, message):
    with pytest.raises(UsageError, match=message):
        Augment(**wrong)


def test_every_number_has_a_range():
    for name, value in Augment().to_dict().items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            with pytest.raises(UsageError, match=f"{name} came as -1"):
                Augment(**{name: -1})


def test_what_is_named_changes_and_the_rest_stays():
    assert Augment(flip=True, shift=2).changed({"shift": 4, "rotate": 10}) == Augment(flip=True, shift=4, rotate=10)


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UsageError, match=r"no augmentation is called 'rotation' \(near: rotate.*they are flip, altern"):
        Augment().changed({"rotation": 10})


@pytest.mark.parametrize("name", ["saturation", "hue", "lighting"])
def test_grey_pictures_have_no_colours_to_change(name):
    ask = Augment(**{name: 0.1})
    ask.check(3, (32, 32))
    with pytest.raises(UsageError, match=f"{name} came as 0.1, and these pictures are grey"):
        ask.check(1, (32, 32))


def test_a_shift_ends_where_the_border_does():
    Augment(shift=8).check(1, (8, 9))
    with pytest.raises(
        UsageError, match="shift came as 9 for pictures of 8 x 9 px; expected up to 8 with the border ed"
    ):
        Augment(shift=9).check(1, (8, 9))
    Augment(shift=7, border="reflect").check(1, (8, 9))
    with pytest.raises(UsageError, match="expected up to 7 with the border reflect"):
        Augment(shift=8, border="reflect").check(1, (8, 9))


def test_what_is_recorded_is_read_again():
    ask = Augment(flip=True, alternate=True, border="reflect", hue=0.1, mixup=0.2)
    assert Augment(**ask.to_dict()) == ask


def test_a_square_that_may_leave_nothing_of_the_pictures_is_refused() -> None:
    Augment(cutout=27).check(1, (28, 30))
    with pytest.raises(UsageError, match=r"cutout came as 28 for pictures of 28 x 30 px, .* expected less than 28"):
        Augment(cutout=28).check(1, (28, 30))
