"""Trainings that were tuned on a part of one set's training pictures and published with their result.

One file a network and set; each says command, machine, time and result with its spread.
"""

from __future__ import annotations

from convlens.errors import unknown_name
from convlens.training.recipes.cifar10 import CIFAR10, CIFAR10_96, CIFAR10_GPU
from convlens.training.recipes.lenet5 import LENET5_99_2, LENET5_99_4
from convlens.training.recipes.mnist import MNIST, MNIST_99_6
from convlens.training.recipes.perceptrons import MLP_99, PERCEPTRON_92
from convlens.training.recipes.record import Record
from convlens.training.recipes.rows import (
    BILSTM_ROWS_99,
    CIFG_ROWS_99,
    GRU_ROWS_99,
    LSTM_ROWS_99,
    PEEPHOLE_LSTM_ROWS_99,
    RNN_ROWS_95,
    STACKED_LSTM_ROWS_99,
)

# fmt: off
PUBLISHED = (
    MNIST, MNIST_99_6, LENET5_99_2, LENET5_99_4, PERCEPTRON_92, MLP_99,
    RNN_ROWS_95, LSTM_ROWS_99, PEEPHOLE_LSTM_ROWS_99, CIFG_ROWS_99, GRU_ROWS_99, BILSTM_ROWS_99,
    STACKED_LSTM_ROWS_99,
    CIFAR10, CIFAR10_GPU, CIFAR10_96,
)
# fmt: on
RECORDS = {record.name: record for record in PUBLISHED}

__all__ = ["RECORDS", "Record", "default_record", "record_named"]


def record_named(name: str) -> Record:
    """UsageError with the nearest names for one that is not there."""
    if name not in RECORDS:
        raise unknown_name("recipe", name, RECORDS, f"they are {', '.join(RECORDS)}")
    return RECORDS[name]


def default_record(data: str) -> Record | None:
    """The record that trains the set `data` where nothing else is asked."""
    return next((record for record in RECORDS.values() if record.is_default and record.data == data), None)
