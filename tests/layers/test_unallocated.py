"""A network whose shapes alone are asked for takes no memory, and loads no compiler."""

from __future__ import annotations

import subprocess
import sys

from torch import nn

from convlens.layers import unallocated


def test_tensors_have_shapes_and_no_memory() -> None:
    with unallocated():
        layer = nn.Linear(3, 4)
    assert layer.weight.is_meta and layer.weight.shape == (4, 3)
    assert not nn.Linear(3, 4).weight.is_meta


def test_a_network_of_the_zoo_is_made_without_torchs_compiler() -> None:
    program = (
        "import sys, convlens.zoo as zoo; from convlens.layers import unallocated\n"
        "with unallocated(): zoo.create('resnet18', num_classes=2); zoo.create('lstm_rows')\n"
        "print('torch._dynamo' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
