"""Recurrent cells, each written out as its equations, and what reads a sequence with them.

    rnn        Elman, 1990: https://doi.org/10.1207/s15516709cog1402_1
    lstm       Hochreiter and Schmidhuber, 1997, with the forget gate of Gers, Schmidhuber and Cummins (2000),
               https://doi.org/10.1162/089976600300015015
    peephole   the same whose gates see the memory: Gers and Schmidhuber, 2000, "Recurrent Nets that Time and Count",
               https://doi.org/10.1109/IJCNN.2000.861302
    coupled    what enters is what is forgotten, i = 1 - f: "CIFG" in Greff et al., 2017, https://arxiv.org/abs/1503.04069
    gru        Cho et al., 2014: https://arxiv.org/abs/1406.1078

N sequences of T steps with D numbers each; x is a step, h the state (N, hidden), m the memory of an LSTM.
Departures: "coupled" has no peepholes, which the LSTM of Greff et al. has. GRU resets after the product with U, as
torch does, and so has a second bias; the paper resets before it.
Weights start uniform in +-1 / sqrt(hidden), biases at 0 but for the forget gate's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from convlens.errors import UsageError, check_count, check_number, unknown_name

State = tuple[Tensor, ...]  # the state that others see, then what the cell keeps to itself


class Cell(nn.Module, ABC):
    """One step: (x, state) -> state, from the sums W x + b and U h of its `num_gates` gates, stacked."""

    num_gates = 1
    num_states = 1
    second_bias = False

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        check_count("inputs", inputs)
        self.hidden = check_count("hidden", hidden)
        self.w = nn.Linear(inputs, self.num_gates * hidden)
        self.u = nn.Linear(hidden, self.num_gates * hidden, bias=self.second_bias)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(self, x: Tensor, state: State) -> State:
        """(N, D) and a state -> the next. UsageError for another shape."""
        _check_numbers("a step", x, "(N, {})", self.w.in_features)
        return self.step(self.w(x), self.checked(state, x))

    @abstractmethod
    def step(self, wx: Tensor, state: State) -> State:
        """The equations, given W x + b: of all steps of a sequence it is one product."""

    def start(self, like: Tensor) -> State:
        """(N, ...) -> zeros, (N, hidden) each."""
        return tuple(like.new_zeros(like.shape[0], self.hidden) for _ in range(self.num_states))

    def checked(self, state: State, like: Tensor) -> State:
        """The state of as many sequences as there are in `like` (N, ...); UsageError for anything else."""
        came = state if isinstance(state, tuple | list) else (state,)
        shapes = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in came]
        expected = (like.shape[0], self.hidden)
        if came is not state or shapes != [expected] * self.num_states:
            raise UsageError(
                f"a state of {', '.join(map(str, shapes))} came as {type(state).__name__}; expected a tuple of "
                f"{self.num_states} x {expected}: what `run` or `start` gave"
            )
        return state


class RNNCell(Cell):
    """h = tanh(W x + U h + b)."""

    def step(self, wx: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(wx + self.u(h)),)


class LSTMCell(Cell):
    """i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b); m = f m + i g, h = o tanh(m).

    `forget_bias` is where the bias of f starts: at 0 half of the memory is lost at every step of a new network, at 1
    to 2 a quarter to an eighth (Gers et al. 2000; Jozefowicz et al. 2015).
    """

    num_gates = 4  # i, f, g, o, in torch's order
    num_states = 2

    def __init__(self, inputs: int, hidden: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(inputs, hidden)
        place = self.num_gates - 3  # f stands before g and o
        forget_bias = check_number("forget_bias", forget_bias)
        nn.init.constant_(self.w.bias.detach()[place * hidden : (place + 1) * hidden], forget_bias)

    def step(self, wx: Tensor, state: State) -> State:
        h, m = state
        i, f, g, o = (wx + self.u(h)).chunk(4, dim=1)
        m = f.sigmoid() * m + i.sigmoid() * g.tanh()
        return o.sigmoid() * m.tanh(), m


class PeepholeLSTMCell(LSTMCell):
    """LSTM with + p m in each gate: i and f see the memory before the step, o after it, each unit its own."""

    def __init__(self, inputs: int, hidden: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(inputs, hidden, forget_bias=forget_bias)
        self.p = nn.Parameter(torch.empty(3, hidden).uniform_(-(hidden**-0.5), hidden**-0.5))

    def step(self, wx: Tensor, state: State) -> State:
        h, m = state
        to_i, to_f, to_o = self.p.unbind()
        i, f, g, o = (wx + self.u(h)).chunk(4, dim=1)
        m = (f + to_f * m).sigmoid() * m + (i + to_i * m).sigmoid() * g.tanh()
        return (o + to_o * m).sigmoid() * m.tanh(), m


class CoupledLSTMCell(LSTMCell):
    """f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b); m = f m + (1 - f) g, h = o tanh(m)."""

    num_gates = 3  # f, g, o

    def step(self, wx: Tensor, state: State) -> State:
        h, m = state
        f, g, o = (wx + self.u(h)).chunk(3, dim=1)
        f = f.sigmoid()
        m = f * m + (1 - f) * g.tanh()
        return o.sigmoid() * m.tanh(), m


class GRUCell(Cell):
    """r, z = sigmoid(W x + b + U h + c), n = tanh(W x + b + r (U h + c)); h = z h + (1 - z) n."""

    num_gates = 3  # r, z, n, in torch's order
    second_bias = True

    def step(self, wx: Tensor, state: State) -> State:
        (h,) = state
        (r, z, n), (ur, uz, un) = wx.chunk(3, dim=1), self.u(h).chunk(3, dim=1)
        z = (z + uz).sigmoid()
        n = torch.tanh(n + (r + ur).sigmoid() * un)
        return (z * h + (1 - z) * n,)


class Recurrent(nn.Module):
    """A cell along a sequence: (N, T, D) -> (N, T, hidden), the state after every step."""

    def __init__(self, cell: Cell, *, backwards: bool = False) -> None:
        super().__init__()
        self.cell = cell
        self.backwards = backwards

    def forward(self, sequence: Tensor) -> Tensor:
        return self.run(sequence)[0]

    def run(self, sequence: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """From `state`, of zeros where none is given -> the states and the last one, from which it can go on.

        UsageError for a sequence or a state of another shape.
        """
        _check_numbers("a sequence", sequence, "(N, T, {})", self.cell.w.in_features)
        if not sequence.shape[1]:
            raise UsageError(f"a sequence came with shape {tuple(sequence.shape)}; expected T of at least 1, one step")
        state = self.cell.start(sequence) if state is None else self.cell.checked(state, sequence)
        steps = self.cell.w(sequence).unbind(1)
        states = []
        for wx in reversed(steps) if self.backwards else steps:
            state = self.cell.step(wx, state)
            states.append(state[0])
        return torch.stack(states[::-1] if self.backwards else states, dim=1), state


class Bidirectional(nn.Module):
    """(N, T, D) -> (N, T, 2 hidden): a cell from the first step on, one from the last (Schuster and Paliwal, 1997)."""

    def __init__(self, onward: Cell, back: Cell) -> None:
        super().__init__()
        self.onward = Recurrent(onward)
        self.back = Recurrent(back, backwards=True)

    def forward(self, sequence: Tensor) -> Tensor:
        return torch.cat([self.onward(sequence), self.back(sequence)], dim=2)


def _check_numbers(what: str, given: Tensor, shape: str, inputs: int) -> None:
    """By type and shape alone, so that it can be traced and exported."""
    expected = shape.format(inputs)
    if not isinstance(given, Tensor) or not given.is_floating_point():
        came = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise UsageError(f"{what} came as {came}; expected a floating tensor {expected}")
    if given.dim() != shape.count(",") + 1 or given.shape[-1] != inputs:
        raise UsageError(f"{what} came with shape {tuple(given.shape)}; expected {expected}")


CELLS: dict[str, type[Cell]] = {
    "rnn": RNNCell,
    "lstm": LSTMCell,
    "peephole": PeepholeLSTMCell,
    "coupled": CoupledLSTMCell,
    "gru": GRUCell,
}


def recurrent(
    kind: str, inputs: int, hidden: int, *, layers: int = 1, bidirectional: bool = False, **options: Any
) -> nn.Sequential:
    """(N, T, inputs) -> (N, T, hidden), twice as many of two directions; each layer reads the states of that below.

    `options` are the cell's, such as `forget_bias`. UsageError for a cell that is not known.
    """
    if kind not in CELLS:
        raise unknown_name("recurrent cell", kind, CELLS, f"choose {', '.join(CELLS)}")
    for what, value in (("inputs", inputs), ("hidden", hidden), ("layers", layers)):
        check_count(what, value)
    known = ["forget_bias"] if issubclass(CELLS[kind], LSTMCell) else []
    if unknown := [name for name in options if name not in known]:
        raise UsageError(
            f"the cell '{kind}' has no option {', '.join(unknown)}; its options are: {', '.join(known) or 'none'}"
        )
    if not isinstance(bidirectional, bool):
        raise UsageError(f"bidirectional is {bidirectional!r:.80}; expected True or False")
    stack = nn.Sequential()
    for layer in range(layers):
        size = inputs if layer == 0 else (1 + bidirectional) * hidden
        cells = [CELLS[kind](size, hidden, **options) for _ in range(1 + bidirectional)]
        stack.append(Bidirectional(*cells) if bidirectional else Recurrent(*cells))
    return stack
