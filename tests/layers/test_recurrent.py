"""Recurrent cells against torch's own, and where torch has none against their equations, a number at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens import layers
from convlens.errors import UsageError
from convlens.graph import trace
from convlens.layers.recurrent import CELLS, Cell, CoupledLSTMCell, LSTMCell, PeepholeLSTMCell, Recurrent
from convlens.measurement import measure_network

TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def sequences(*, steps: int = 7, inputs: int = 5) -> Tensor:
    return torch.randn(3, steps, inputs, generator=torch.Generator().manual_seed(0))


def copy_weights(theirs: nn.RNNBase, ours: nn.Module) -> None:
    """torch's into ours: where ours has one bias, it is the sum of their two."""
    stacks = list(theirs.all_weights)
    cells = [module for module in ours.modules() if isinstance(module, Cell)]
    with torch.no_grad():
        for cell, (w, u, b, c) in zip(cells, stacks, strict=True):
            cell.w.weight.copy_(w)
            cell.u.weight.copy_(u)
            cell.w.bias.copy_(b if cell.second_bias else b + c)
            if cell.second_bias:
                cell.u.bias.copy_(c)


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize(("depth", "bidirectional"), [(1, False), (2, False), (1, True), (3, True)])
def test_cells_give_the_states_and_the_gradients_of_torch_s_own(kind: str, depth: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    theirs = TORCH[kind](5, 8, num_layers=depth, bidirectional=bidirectional, batch_first=True)
    ours = layers.recurrent(kind, 5, 8, layers=depth, bidirectional=bidirectional)
    copy_weights(theirs, ours)
    first, second = sequences().requires_grad_(), sequences().requires_grad_()
    expected, got = theirs(first)[0], ours(second)
    assert (got - expected).abs().max() < 1e-6
    expected.square().sum().backward()
    got.square().sum().backward()
    assert first.grad is not None and second.grad is not None
    torch.testing.assert_close(second.grad, first.grad, atol=1e-5, rtol=1e-5)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_peepholes_show_two_gates_the_memory_before_the_step_and_one_the_memory_after_it() -> None:
    torch.manual_seed(0)
    cell = PeepholeLSTMCell(1, 1).double()
    wi, wf, wg, wo = cell.w.weight.flatten().tolist()
    ui, uf, ug, uo = cell.u.weight.flatten().tolist()
    bi, bf, bg, bo = cell.w.bias.tolist()
    pi, pf, po = cell.p.flatten().tolist()
    state: tuple[Tensor, ...] = cell.start(torch.zeros(1, dtype=torch.float64))
    h = m = 0.0
    for x in (0.7, -1.3, 0.4):
        state = cell(torch.tensor([[x]], dtype=torch.float64), state)
        i, f = sigmoid(wi * x + ui * h + bi + pi * m), sigmoid(wf * x + uf * h + bf + pf * m)
        m = f * m + i * math.tanh(wg * x + ug * h + bg)
        h = sigmoid(wo * x + uo * h + bo + po * m) * math.tanh(m)
        assert [one.item() for one in state] == pytest.approx([h, m], abs=1e-12)


def test_without_peepholes_the_cell_is_the_plain_lstm() -> None:
    torch.manual_seed(0)
    cell, plain = PeepholeLSTMCell(5, 8), LSTMCell(5, 8)
    nn.init.zeros_(cell.p)
    plain.load_state_dict({name: tensor for name, tensor in cell.state_dict().items() if name != "p"})
    torch.testing.assert_close(Recurrent(cell)(sequences()), Recurrent(plain)(sequences()))


def test_coupled_gates_let_in_what_they_forget() -> None:
    torch.manual_seed(0)
    cell = CoupledLSTMCell(1, 1).double()
    wf, wg, wo = cell.w.weight.flatten().tolist()
    uf, ug, uo = cell.u.weight.flatten().tolist()
    bf, bg, bo = cell.w.bias.tolist()
    state: tuple[Tensor, ...] = cell.start(torch.zeros(1, dtype=torch.float64))
    h = m = 0.0
    for x in (0.7, -1.3, 0.4):
        state = cell(torch.tensor([[x]], dtype=torch.float64), state)
        f = sigmoid(wf * x + uf * h + bf)
        m = f * m + (1 - f) * math.tanh(wg * x + ug * h + bg)
        h = sigmoid(wo * x + uo * h + bo) * math.tanh(m)
        assert [one.item() for one in state] == pytest.approx([h, m], abs=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "peephole", "coupled"])
@pytest.mark.parametrize("bias", [0.0, 1.0, 2.0])
def test_the_forget_gate_of_a_new_cell_keeps_the_share_of_its_bias(kind: str, bias: float) -> None:
    cell = CELLS[kind](5, 8, forget_bias=bias)  # type: ignore[call-arg]
    for parameter in (cell.w.weight, cell.u.weight, *([cell.p] if isinstance(cell, PeepholeLSTMCell) else [])):
        nn.init.zeros_(parameter)
    memory = torch.ones(1, 8)
    _, after = cell(torch.zeros(1, 5), (torch.zeros(1, 8), memory))
    torch.testing.assert_close(after, memory * sigmoid(bias))
    assert CELLS[kind](5, 8).w.bias.sum() == 8  # 1 for each unit of f, 0 elsewhere


@pytest.mark.parametrize("kind", CELLS)
def test_a_sequence_can_be_read_in_pieces(kind: str) -> None:
    torch.manual_seed(0)
    (reader,) = layers.recurrent(kind, 5, 8)
    whole, last = reader.run(sequences())
    first, state = reader.run(sequences()[:, :4])
    second, end = reader.run(sequences()[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(end, last)
    torch.testing.assert_close(whole[:, -1], last[0])


@pytest.mark.parametrize("kind", CELLS)
def test_gradients_of_a_cell_are_those_of_differences(kind: str) -> None:
    torch.manual_seed(0)
    reader = layers.recurrent(kind, 2, 3, layers=2).double()
    assert torch.autograd.gradcheck(reader, (sequences(steps=4, inputs=2).double().requires_grad_(),))


@pytest.mark.parametrize("kind", CELLS)
def test_the_products_of_a_reader_are_counted_and_its_depth_is_its_steps(kind: str) -> None:
    reader = layers.recurrent(kind, 5, 8)
    gates = CELLS[kind].num_gates
    measured = measure_network(reader, (1, 7, 5))
    assert measured.complete and measured.macs == 7 * gates * 8 * (5 + 8)
    assert trace(reader, (1, 7, 5)).depth == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "lstn"}, r"no recurrent cell is called 'lstn' \(near: lstm\); choose rnn, lstm, peephole"),
        ({"hidden": 0}, "hidden is 0, expected a whole number of at least 1"),
        ({"layers": 1.5}, "layers is 1.5, expected a whole number"),
        ({"kind": "gru", "forget_bias": 1.0}, "the cell 'gru' has no option forget_bias; its options are: none"),
        ({"forget_bias": float("nan")}, "forget_bias is nan; expected a finite number"),
        ({"forget_bias": "1"}, "forget_bias is '1'; expected a finite number"),
        ({"bidirectional": 2}, "bidirectional is 2; expected True or False"),
        ({"forget": 1.0}, "the cell 'lstm' has no option forget; its options are: forget_bias"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_was_expected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        layers.recurrent(**{"kind": "lstm", "inputs": 5, "hidden": 8, **arguments})


# fmt: off
SEQUENCES: list[tuple[Any, str]] = [
    (torch.zeros(1, 5),                        r"shape \(1, 5\); expected \(N, T, 5\)"),
    (torch.zeros(8, 5),                        r"shape \(8, 5\); expected \(N, T, 5\)"),
    (torch.zeros(2, 3, 4, 5),                  r"shape \(2, 3, 4, 5\); expected \(N, T, 5\)"),
    (torch.zeros(2, 3, 4),                     r"shape \(2, 3, 4\); expected \(N, T, 5\)"),
    (torch.zeros(2, 0, 5),                     r"shape \(2, 0, 5\); expected T of at least 1"),
    (torch.zeros(2, 3, 5, dtype=torch.int64),  r"as torch.int64; expected a floating tensor \(N, T, 5\)"),
    (torch.zeros(2, 3, 5).numpy(),             r"as ndarray; expected a floating tensor \(N, T, 5\)"),
    ([[[0.0]]],                                r"as list; expected a floating tensor"),
]
# fmt: on


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("sequence", "text"), SEQUENCES)
def test_a_sequence_that_does_not_fit_is_refused(kind: str, bidirectional: bool, sequence: Any, text: str) -> None:
    with pytest.raises(UsageError, match=f"a sequence came (with )?{text}"):
        layers.recurrent(kind, 5, 8, bidirectional=bidirectional)(sequence)


@pytest.mark.parametrize("kind", CELLS)
def test_a_state_that_does_not_fit_is_refused(kind: str) -> None:
    (reader,) = layers.recurrent(kind, 5, 8)
    num = CELLS[kind].num_states
    for wrong in (torch.zeros(1, 8), torch.zeros(3, 7), torch.zeros(8)):
        with pytest.raises(UsageError, match=rf"expected a tuple of {num} x \(3, 8\): what `run` or `start` gave"):
            reader.run(sequences(), (wrong,) * num)
    with pytest.raises(UsageError, match=r"a state of \(3, 8\) came as Tensor"):
        reader.run(sequences(), torch.zeros(3, 8))
    with pytest.raises(UsageError, match=rf"expected a tuple of {num} x"):
        reader.run(sequences(), (torch.zeros(3, 8),) * (num + 1))


def test_a_cell_alone_refuses_what_does_not_fit() -> None:
    cell = LSTMCell(5, 8)
    with pytest.raises(UsageError, match=r"a step came with shape \(3, 4\); expected \(N, 5\)"):
        cell(torch.zeros(3, 4), cell.start(torch.zeros(3, 4)))
    with pytest.raises(UsageError, match=r"a state of \(1, 8\), \(1, 8\) came .*; expected a tuple of 2 x \(3, 8\)"):
        cell(torch.zeros(3, 5), cell.start(torch.zeros(1, 5)))
    with pytest.raises(UsageError, match=r"hidden is 2\.5, expected a whole number"):
        LSTMCell(5, 2.5)  # type: ignore[arg-type]


def test_a_reader_is_exported_for_any_number_of_sequences() -> None:
    torch.manual_seed(0)
    reader = layers.recurrent("lstm", 5, 8, bidirectional=True).eval()
    many = {"input": {0: torch.export.Dim("sequences")}}
    exported = torch.export.export(reader, (sequences(),), dynamic_shapes=many).module()
    one = sequences()[:1].repeat(7, 1, 1)
    torch.testing.assert_close(exported(one), reader(one))
