"""What is refused at once, before a picture is looked at, and leaves nothing behind."""

from __future__ import annotations

import pytest

from convlens.errors import NetworkError, UsageError
from convlens.workbench import train


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": "resnet5"}, "near: resnet5"),
        ({"model": "lenet5", "model_options": {"wdth": 1}}, "no option 'wdth'"),
        ({"model_options": {"width": 0.5}}, "name it with --model"),
        ({"fit": "squeeze"}, "choose auto, crop"),
        ({"image_size": 0}, "a side in pixels"),
        ({"weights": "nowhere.pth"}, "an existing file"),
        ({"network": "nowhere.py:Net"}, "an existing file and a class"),
        ({"network": "nowhere.py:Net", "model": "lenet5"}, "both given"),
        ({"epochs": 0}, "above 0"),
        ({"device": "toaster"}, "--device auto"),
        ({"augment": {"rotation": 10}}, "near: rotate"),
        ({"augment": {"hue": 0.9}}, "hue came as 0.9; expected a number from 0 to 0.5"),
    ],
)
def test_a_wrong_wish_is_refused_before_the_scan(tmp_path, wrong, said):
    scanned = []
    with pytest.raises(UsageError, match=said):
        train("digits", out=tmp_path / "run", progress=lambda *step: scanned.append(step), **wrong)
    assert not scanned and not (tmp_path / "run").exists()


def test_a_network_that_needs_larger_pictures_is_refused_before_the_scan(tmp_path):
    with pytest.raises(NetworkError, match="at least"):
        train("digits", model="lenet5", image_size=4, out=tmp_path / "run")


def test_a_failed_command_leaves_no_folder(tmp_path):
    with pytest.raises(UsageError):
        train(tmp_path / "nowhere", out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_never_put_among_the_pictures(tmp_path, make_pictures, monkeypatch):
    data = make_pictures(tmp_path / "data", ("a", "b"), per_class=2)
    before = sorted(data.rglob("*"))
    with pytest.raises(UsageError, match="inside the pictures"):
        train(data, out=data / "run")
    monkeypatch.chdir(data)
    with pytest.raises(UsageError, match="inside the pictures"):
        train(".")
    assert sorted(data.rglob("*")) == before
