"""All of MNIST, as the benchmark trains it."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from convlens.data import open_images

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "scratch.py"


@pytest.mark.slow
@pytest.mark.timeout(900)  # three minutes of NumPy on one thread, longer where the machine is busy
def test_a_network_of_numpy_alone_reads_98_and_a_half_percent_of_mnist(shared_data, monkeypatch):
    for library in ("OMP", "OPENBLAS", "MKL"):  # the benchmark sets them; they are as before afterwards
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")
    benchmark = runpy.run_path(str(BENCHMARK))
    digits = open_images("mnist", data_dir=shared_data)
    images, parts = benchmark["prepared"](digits), np.array(digits.parts)
    network = benchmark["trained"](0, images[parts == "train"], digits.labels[parts == "train"])
    assert np.mean(network.predict(images[parts == "test"]) == digits.labels[parts == "test"]) >= 0.985
