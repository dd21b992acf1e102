"""MNIST row by row through recurrent readers of 128 units; 54,000 pictures are trained on, 6,000 validate.

    convlens train mnist --recipe lstm_rows_99
    convlens bench rnn_rows_95 gru_rows_99 --seeds 3

AMD EPYC, one thread beside other programs, torch 2.13.0; 3 seeds, last step, of the 10,000 test pictures, by
`python benchmarks/rows.py DATA --model lstm_rows`, whose training is the same, and so on:
`rnn_rows_95`             95.79 +- 0.65 %, 71 s of training (66 to 76)
`gru_rows_99`             99.22 +- 0.07 %, 113 s (94 to 120)
`lstm_rows_99`            99.26 +- 0.07 %, 63 s (58 to 149)
`peephole_lstm_rows_99`   99.26 +- 0.02 %, 104 s (103 to 141)
`cifg_rows_99`            99.29 +- 0.05 %, 129 s (96 to 260): coupled gates
`bilstm_rows_99`          99.39 +- 0.05 %, 225 s (161 to 256): one LSTM down, one up
`stacked_lstm_rows_99`    99.43 +- 0.01 %, 89 s (88 to 89)
Length as in benchmarks/rows.py, which chose it for `lstm_rows` on the validating pictures; all else is what
`convlens train` takes unasked.
"""

from __future__ import annotations

from convlens.data import Augment
from convlens.training.recipe import Recipe
from convlens.training.recipes.record import Record


def _read_by(model: str, percent: int) -> Record:
    recipe = Recipe(epochs=10, batch=128, learning_rate=0.006)
    return Record(f"{model}_{percent}", "mnist", model, recipe, Augment(shift=1))


RNN_ROWS_95 = _read_by("rnn_rows", 95)
GRU_ROWS_99 = _read_by("gru_rows", 99)
LSTM_ROWS_99 = _read_by("lstm_rows", 99)
PEEPHOLE_LSTM_ROWS_99 = _read_by("peephole_lstm_rows", 99)
CIFG_ROWS_99 = _read_by("cifg_rows", 99)
BILSTM_ROWS_99 = _read_by("bilstm_rows", 99)
STACKED_LSTM_ROWS_99 = _read_by("stacked_lstm_rows", 99)
