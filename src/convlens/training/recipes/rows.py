"""MNIST row by row through an LSTM of 128 units (82,186 parameters); 54,000 pictures are trained on, 6,000 validate.

    convlens train mnist --recipe lstm_rows_99
    convlens bench lstm_rows_99 --seeds 3

AMD EPYC, one thread beside many other programs, torch 2.13.0: 99.37 % of the 10,000 test pictures after 265 s
(one seed, 0, by `python benchmarks/rows.py DATA --seeds 1`, whose training is the same).
Length as in benchmarks/rows.py, which chose it on the validating pictures; all else is what `convlens train` takes
unasked.
"""

from __future__ import annotations

from convlens.data import Augment
from convlens.training.recipe import Recipe
from convlens.training.recipes.record import Record

LSTM_ROWS_99 = Record(
    "lstm_rows_99", "mnist", "lstm_rows", Recipe(epochs=10, batch=128, learning_rate=0.006), Augment(shift=1)
)
