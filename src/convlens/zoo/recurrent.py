"""Recurrent readers: a picture as the sequence of its rows, from the top down, one row at every step.

    rnn_rows            Elman, 1990           h' = tanh(Wx + b + Uh + c)
    lstm_rows           Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al. (2000)
    bilstm_rows         Graves and Schmidhuber, 2005: one LSTM from the top, one from the bottom
    stacked_lstm_rows   Graves, Mohamed and Hinton, 2013: a second LSTM reads the states of the first
    gru_rows            Cho et al., 2014
    peephole_lstm_rows  Gers and Schmidhuber, 2000: the gates see the memory
    cifg_rows           Greff et al., 2017: an LSTM whose memory takes in what it forgets, "CIFG"

None of these papers reads pictures by rows: this is the textbooks' exercise for 28 x 28 digits, with `hidden` = 128.
The classes follow from the state after the last row; of two directions, from the last state of each.
Departures: the first five are torch's cells, with two biases where the papers have one, and GRU's reset applied after
the product with U; the last two, which torch does not have, are those of `layers.recurrent`, with one bias.
Weights start uniform in +-1 / sqrt(hidden), torch's custom; the forget gate's bias, of two their sum, starts at 1.
Parameters: gates x hidden x (row + hidden + 2) a layer and direction, with 1, 4 and 3 gates for RNN, LSTM and GRU; of
the last two 4 and 3 gates, + 1 in place of + 2, and 3 x hidden peepholes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlens.errors import check_count
from convlens.layers import Recurrent, sequence
from convlens.layers.recurrent import CoupledLSTMCell, PeepholeLSTMCell
from convlens.zoo.architecture import Network
from convlens.zoo.registry import Paper, register


def paper(year: int, title: str, authors: str, link: str) -> Paper:
    return Paper("recurrent", year, title, authors, link)


# fmt: off
ELMAN = paper(1990, "Finding Structure in Time", "Elman", "https://doi.org/10.1207/s15516709cog1402_1")
LSTM = paper(1997, "Long Short-Term Memory", "Hochreiter, Schmidhuber", "https://doi.org/10.1162/neco.1997.9.8.1735")
BIDIRECTIONAL = paper(2005, "Framewise Phoneme Classification with Bidirectional LSTM and Other Neural Network "
                      "Architectures", "Graves, Schmidhuber", "https://doi.org/10.1016/j.neunet.2005.06.042")
STACKED = paper(2013, "Speech Recognition with Deep Recurrent Neural Networks", "Graves, Mohamed, Hinton",
                "https://arxiv.org/abs/1303.5778")
GRU = paper(2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
            "Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio", "https://arxiv.org/abs/1406.1078")
PEEPHOLE = paper(2000, "Recurrent Nets that Time and Count", "Gers, Schmidhuber",
                 "https://doi.org/10.1109/IJCNN.2000.861302")
CIFG = paper(2017, "LSTM: A Search Space Odyssey", "Greff, Srivastava, Koutnik, Steunebrink, Schmidhuber",
             "https://arxiv.org/abs/1503.04069")
#                       cell,    layers, directions
READERS = {
    "rnn_rows":          (nn.RNN,  1,      1),
    "lstm_rows":         (nn.LSTM, 1,      1),
    "bilstm_rows":       (nn.LSTM, 1,      2),
    "stacked_lstm_rows": (nn.LSTM, 2,      1),
    "gru_rows":          (nn.GRU,  1,      1),
}
WRITTEN_OUT = {
    "peephole_lstm_rows": PeepholeLSTMCell,
    "cifg_rows":          CoupledLSTMCell,
}
# fmt: on


@torch.no_grad()
def keep_memory(cells: nn.LSTM, forget_bias: float = 1.0) -> None:
    """b + c of the forget gate starts at `forget_bias`: at 0 half the memory is lost at a row (Gers et al. 2000)."""
    forget = slice(cells.hidden_size, 2 * cells.hidden_size)  # torch's gates are i, f, g, o
    for name, bias in cells.named_parameters():
        if name.startswith("bias_ih"):
            bias[forget].fill_(forget_bias)
        elif name.startswith("bias_hh"):
            bias[forget].zero_()


class RowReader(nn.Module):
    """(N, C, H, W) -> (N, H, directions x hidden), the state after every row."""

    def __init__(self, cells: nn.RNNBase | Recurrent) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = images.transpose(1, 2).flatten(2)  # (N, H, C * W)
        read = self.cells(rows)
        return read[0] if isinstance(self.cells, nn.RNNBase) else read  # torch's give the last state too


class LastState(nn.Module):
    """(N, H, hidden) -> (N, hidden)."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states[:, -1]


class LastStates(nn.Module):
    """(N, H, 2 hidden) -> (N, 2 hidden): the way down ends at the last row, the way up at the first."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        down, up = states.chunk(2, dim=2)
        return torch.cat([down[:, -1], up[:, 0]], dim=1)


class RecurrentReader(Network):
    """Cells of `hidden` units that read one row after the other, then the classes."""

    def __init__(
        self,
        name: str,
        *,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        row = in_channels * image_size[1]
        size = check_count("hidden", hidden)
        directions = 1
        cells: nn.RNNBase | Recurrent
        if name in WRITTEN_OUT:
            cells = Recurrent(WRITTEN_OUT[name](row, size))
        else:
            cell, layers, directions = READERS[name]
            cells = cell(row, size, num_layers=layers, bidirectional=directions == 2, batch_first=True)
            if isinstance(cells, nn.LSTM):
                keep_memory(cells)
        self.stages = RowReader(cells)
        self.head = sequence(
            last=LastStates() if directions == 2 else LastState(), linear=nn.Linear(directions * size, num_classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (N, 1, 28, 28)
        return self.head(self.stages(images))  # (N, num_classes), logits


@register(ELMAN, RecurrentReader, resolution=28, in_channels=1, num_classes=10)
def rnn_rows(**options: Any) -> RecurrentReader:
    return RecurrentReader("rnn_rows", **options)


@register(LSTM, RecurrentReader, resolution=28, in_channels=1, num_classes=10)
def lstm_rows(**options: Any) -> RecurrentReader:
    return RecurrentReader("lstm_rows", **options)


@register(BIDIRECTIONAL, RecurrentReader, resolution=28, in_channels=1, num_classes=10)
def bilstm_rows(**options: Any) -> RecurrentReader:
    return RecurrentReader("bilstm_rows", **options)


@register(STACKED, RecurrentReader, resolution=28, in_channels=1, num_classes=10)
def stacked_lstm_rows(**options: Any) -> RecurrentReader:
    return RecurrentReader("stacked_lstm_rows", **options)


@register(GRU, RecurrentReader, resolution=28, in_channels=1, num_classes=10)
def gru_rows(**options: Any) -> RecurrentReader:
    return RecurrentReader("gru_rows", **options)


@register(PEEPHOLE, RecurrentReader, resolution=28, in_channels=1, num_classes=10)
def peephole_lstm_rows(**options: Any) -> RecurrentReader:
    return RecurrentReader("peephole_lstm_rows", **options)


@register(CIFG, RecurrentReader, resolution=28, in_channels=1, num_classes=10)
def cifg_rows(**options: Any) -> RecurrentReader:
    return RecurrentReader("cifg_rows", **options)
