"""Arguments of wrong types are told by name, with what was expected, before anything is begun."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

import convlens
from convlens.errors import UsageError

WRONG = {
    "measure": [
        ({"target": 3}, "target came as 3; expected a run, a network, text, a path or None"),
        ({"target": nn.Conv2d}, "target came as <class .*; expected a run, a network, text, a path or None"),
        (
            {"target": "lenet5", "model_options": [1]},
            r"model_options came as \[1\]; expected values by name, as a dict",
        ),
        ({"target": "lenet5", "model_options": {1: 2}}, "model_options came as .*; expected values by name"),
        ({"target": "lenet5", "diagram": 3}, "diagram came as 3; expected text, a path or None"),
        ({"target": "lenet5", "image_size": "8"}, "image_size came as '8'; expected a whole number or None"),
        ({"target": "lenet5", "num_classes": 2.0}, r"num_classes came as 2\.0; expected a whole number or None"),
        ({"target": "lenet5", "batch": "x"}, "batch came as 'x'; expected a whole number, a list, each a whole number"),
        ({"target": "lenet5", "batch": (1, 2.5)}, r"batch came as \(1, 2\.5\); expected a whole number, a list"),
        ({"target": "lenet5", "latency": "yes"}, "latency came as 'yes'; expected True or False"),
        ({"target": "runs/demo", "network": 3}, "network came as 3; expected text or None"),
    ],
    "compare": [
        ({"targets": "lenet5"}, "targets came as 'lenet5'; expected a list, each a run, text or a path"),
        ({"targets": ["lenet5", 3]}, "targets came as .*; expected a list, each a run, text or a path"),
        ({"targets": None}, "targets came as None; expected a list"),
        ({"plot": 3}, "plot came as 3; expected text, a path or None"),
    ],
    "evaluate": [
        ({"run": None}, "run came as None; expected a run, text or a path"),
        ({"run": "runs/demo", "data": np.zeros((2, 8, 8))}, "data came as array.*; expected text, a path or None"),
        ({"run": "runs/demo", "tta": None}, "tta came as None; expected text"),
    ],
    "explain": [({"run": "runs/demo", "options": [1]}, r"options came as \[1\]; expected values by name")],
    "predict": [({"run": "runs/demo", "pictures": 3}, "pictures came as 3; expected text, a path, an array or a list")],
    "create": [({"model": "lenet5", "num_classes": "a"}, "num_classes came as 'a'; expected a whole number or None")],
    "train": [
        ({"data": "digits", "split": ("a", "b", "c")}, "split came as .*; expected a list, each a number"),
        ({"data": "digits", "augment": "yes"}, "augment came as 'yes'; expected True or False or values by name"),
        ({"data": "digits", "seed": None}, "seed came as None; expected a whole number"),
        ({"data": "digits", "epochs": "3"}, "epochs came as '3'; expected a number"),
        ({"data": "digits", "class_weights": "yes"}, "class_weights came as 'yes'; expected True or False"),
        ({"data": "digits", "betas": 3}, "betas came as 3; expected two numbers"),
    ],
    "bench": [({"names": "mnist"}, "names came as 'mnist'; expected a list, each text")],
    "doctor": [({"data": 3}, "data came as 3; expected text, a path or None")],
    "demo": [({"out": 3}, "out came as 3; expected text or a path")],
    "zoo": [({"pattern": 3}, "pattern came as 3; expected text")],
}


@pytest.mark.parametrize(
    ("verb", "given", "message"), [(verb, *case) for verb, cases in WRONG.items() for case in cases]
)
def test_a_wrong_type_is_told_by_the_name_of_its_argument(verb, given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        getattr(convlens, verb)(**given)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_and_lists_for_tuples_are_what_they_stand_for(tmp_path):
    given = {"num_classes": np.int64(3), "image_size": np.int32(28), "in_channels": 1, "mean": [np.float32(0.5)]}
    made = convlens.create("lenet5", **given, std=(0.5,), out=tmp_path / "run")
    assert convlens.Run.load(made.run).input_shape == (1, 1, 28, 28)
