"""Every kind of operation of the zoo's networks, taken apart: the numbers served give the network's own value."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.arithmetic import record_values
from tests.arithmetic.recomputed import check, floating, units
from tests.zoo.conftest import SMALLEST
from tests.zoo.test_contract import pictures, settled

QUICK = ("lenet5_1998", "mobilenet_v3_small", "shufflenet_v1", "vgg11_lrn_bn", "gru_rows")
UNITS = 2  # of each node


@pytest.mark.parametrize(
    "network", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in sorted(SMALLEST)]
)
def test_any_unit_of_any_node_is_the_sum_of_the_numbers_that_are_shown(network: str) -> None:
    model = settled(network)
    recording = record_values(model, pictures(model, 1))
    random = np.random.default_rng(0)
    seen = 0
    for node in floating(recording):
        if network in QUICK and network != "lenet5_1998" and random.random() < 0.5:
            continue  # a random half is quick enough
        for position in units(recording, node, UNITS, random):
            check(recording, node, position)
            seen += 1
    assert seen >= 4
    check(recording, "probabilities", (3,), temperature=1.7)
