"""The examples of this room on what the suite of examples does not give them: MNIST, and a file to write."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_tutorial_network_reaches_its_accuracy_on_mnist(shared_data, capsys):
    runpy.run_path(str(EXAMPLES / "scratch_mnist.py"))["main"](str(shared_data))
    found = re.search(r"^([\d.]+)% of 1000 unseen digits", capsys.readouterr().out, re.MULTILINE)
    assert found is not None and float(found[1]) >= 82


def test_the_sheet_of_kernels_is_written_where_it_is_asked_for(tmp_path):
    runpy.run_path(str(EXAMPLES / "kernels.py"))["main"](str(tmp_path / "kernels.png"))
    with Image.open(tmp_path / "kernels.png") as sheet:
        assert sheet.width > 4 * 168
