"""OpenVINO leaves the signal stack of the thread as it was: Ctrl-C after it is no segmentation fault."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from convlens.exporting import signal_stack_kept
from convlens.exporting.signal_stack import signal_stack

if sys.platform != "linux":
    pytest.skip("signal stacks are looked at on Linux alone", allow_module_level=True)

PROGRAM = """
    import os, signal
    import torch
    from torch import nn
    from convlens.engines import Model, Settings
    from convlens.engines.open import open_with

    model = Model(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3)).eval(), (1, 8, 8))
    engines = [open_with(Settings("openvino", threads=number), model) for number in (1, 2)]
    for engine in engines:  # in the order in which they came
        engine(torch.rand(2, 1, 8, 8))
        engine.close()
    del engine, engines
    signal.signal(signal.SIGINT, lambda *_: print("asked"))
    os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.slow
def test_a_signal_after_two_networks_of_openvino_is_handled():
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "asked\n"), done.stderr


def test_the_stack_after_the_block_is_the_one_before():
    import ctypes

    from convlens.exporting.signal_stack import _Stack

    before = signal_stack()
    assert before is not None
    memory = ctypes.create_string_buffer(1 << 16)
    other = _Stack(ctypes.addressof(memory), 0, len(memory))
    with signal_stack_kept():
        ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None)
        inside = signal_stack()
        assert inside is not None and inside.size == 1 << 16
    after = signal_stack()
    assert after is not None and (after.start, after.size) == (before.start, before.size)
