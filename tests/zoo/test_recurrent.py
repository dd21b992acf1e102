"""Recurrent readers against their equations written out row by row, and their multiplications against the formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import convlens.zoo as zoo
from convlens.errors import UsageError
from convlens.measurement import measure_network

GATES = {"rnn": 1, "lstm": 4, "gru": 3, "cifg": 3}
WRITTEN_OUT = {"peephole_lstm_rows", "cifg_rows"}  # with one bias
Layer = list[Tensor]  # W, U, b, c


def rnn(rows: Tensor, layer: Layer) -> Tensor:
    """(N, T, D) -> (N, T, hidden)."""
    w, u, b, c = layer
    h, states = rows.new_zeros(len(rows), u.shape[1]), []
    for x in rows.unbind(1):
        h = torch.tanh(x @ w.T + b + h @ u.T + c)
        states.append(h)
    return torch.stack(states, 1)


def lstm(rows: Tensor, layer: Layer) -> Tensor:
    w, u, b, c = layer
    h = memory = rows.new_zeros(len(rows), u.shape[1])
    states = []
    for x in rows.unbind(1):
        enter, keep, new, out = (x @ w.T + b + h @ u.T + c).chunk(4, dim=1)
        memory = keep.sigmoid() * memory + enter.sigmoid() * new.tanh()
        h = out.sigmoid() * memory.tanh()
        states.append(h)
    return torch.stack(states, 1)


def gru(rows: Tensor, layer: Layer) -> Tensor:
    w, u, b, c = layer
    h, states = rows.new_zeros(len(rows), u.shape[1]), []
    for x in rows.unbind(1):
        (reset, update, new), (reset_h, update_h, new_h) = (x @ w.T + b).chunk(3, 1), (h @ u.T + c).chunk(3, 1)
        z = (update + update_h).sigmoid()
        h = (1 - z) * torch.tanh(new + (reset + reset_h).sigmoid() * new_h) + z * h
        states.append(h)
    return torch.stack(states, 1)


def peephole(rows: Tensor, layer: Layer) -> Tensor:
    (i_m, f_m, o_m), w, b, u = layer
    h = memory = rows.new_zeros(len(rows), u.shape[1])
    states = []
    for x in rows.unbind(1):
        enter, keep, new, out = (x @ w.T + b + h @ u.T).chunk(4, dim=1)
        memory = (keep + f_m * memory).sigmoid() * memory + (enter + i_m * memory).sigmoid() * new.tanh()
        h = (out + o_m * memory).sigmoid() * memory.tanh()
        states.append(h)
    return torch.stack(states, 1)


def coupled(rows: Tensor, layer: Layer) -> Tensor:
    w, b, u = layer
    h = memory = rows.new_zeros(len(rows), u.shape[1])
    states = []
    for x in rows.unbind(1):
        keep, new, out = (x @ w.T + b + h @ u.T).chunk(3, dim=1)
        memory = new.tanh() + keep.sigmoid() * (memory - new.tanh())
        h = out.sigmoid() * memory.tanh()
        states.append(h)
    return torch.stack(states, 1)


def last_features(name: str, rows: Tensor, tensors: list[Tensor]) -> Tensor:
    first, second = tensors[:4], tensors[4:]
    if name == "bilstm_rows":
        return torch.cat([lstm(rows, first)[:, -1], lstm(rows.flip(1), second)[:, -1]], 1)
    if name == "stacked_lstm_rows":
        return lstm(lstm(rows, first), second)[:, -1]
    cells: dict[str, Callable[[Tensor, Layer], Tensor]] = {
        "rnn_rows": rnn,
        "lstm_rows": lstm,
        "gru_rows": gru,
        "peephole_lstm_rows": peephole,
        "cifg_rows": coupled,
    }
    return cells[name](rows, tensors)[:, -1]


READERS = [name for name in zoo.names() if name.endswith("_rows")]


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_gives_the_logits_of_its_equations(reader: str) -> None:
    torch.manual_seed(0)
    network = zoo.create(reader, num_classes=7, in_channels=2, image_size=(5, 6), hidden=8).double()
    images = torch.randn(3, 2, 5, 6, dtype=torch.float64)
    rows = torch.stack([images[:, :, row].reshape(3, 12) for row in range(5)], 1)
    *tensors, weight, bias = network.state_dict().values()
    expected = last_features(reader, rows, tensors) @ weight.T + bias
    torch.testing.assert_close(network(images).detach(), expected)


@pytest.mark.parametrize("reader", READERS)
def test_parameters_and_macs_follow_the_formula(reader: str) -> None:
    """A layer and direction: gates x hidden x (inputs + hidden) multiplications a row, two biases a unit of a gate.

    Of the cells that torch does not have one bias; peepholes are three weights a unit, by element.
    """
    rows, row, hidden, classes = 28, 28, 128, 10
    gates = next(gates for cell, gates in GATES.items() if cell in reader)
    directions = 2 if reader == "bilstm_rows" else 1
    inputs = [row, hidden] if reader == "stacked_lstm_rows" else [row]
    products = sum(directions * gates * hidden * (size + hidden) for size in inputs)
    head = directions * hidden * classes
    measured = measure_network(zoo.create(reader, num_classes=classes, in_channels=1), (1, 1, rows, row))
    assert measured.complete
    assert measured.macs == rows * products + head == zoo.FACTS[reader].macs
    biases = 1 if reader in WRITTEN_OUT else 2
    peepholes = 3 * hidden if reader == "peephole_lstm_rows" else 0
    assert (
        measured.parameters
        == products + biases * directions * gates * hidden * len(inputs) + peepholes + head + classes
        == zoo.FACTS[reader].parameters
    )


@pytest.mark.parametrize("reader", [name for name in READERS if "lstm" in name or "cifg" in name])
def test_the_forget_gate_of_every_lstm_starts_at_1_and_no_other_gate_does(reader: str) -> None:
    biases: dict[str, Tensor] = {}
    for name, tensor in zoo.create(reader, hidden=16).state_dict().items():
        if name.startswith("stages") and "bias" in name:
            layer = name.replace("bias_hh", "bias_ih")  # two biases of one gate add up
            biases[layer] = biases.get(layer, 0) + tensor
    assert len(biases) == (2 if reader in {"bilstm_rows", "stacked_lstm_rows"} else 1)
    for bias in biases.values():
        gates = bias.view(-1, 16)
        place = len(gates) - 3  # f stands before g and o
        assert torch.equal(gates[place], torch.ones(16))
        assert torch.cat([gates[:place], gates[place + 1 :]]).abs().max() <= 2 / 16**0.5


@pytest.mark.parametrize("hidden", [0, 2.5, True, "many"])
def test_a_hidden_size_that_is_no_count_is_refused(hidden: Any) -> None:
    with pytest.raises(UsageError, match=f"hidden is {hidden!r}, expected a whole number of at least 1"):
        zoo.create("gru_rows", hidden=hidden)


def test_every_row_changes_the_logits() -> None:
    for reader in READERS:
        torch.manual_seed(0)
        network = zoo.create(reader, num_classes=4, in_channels=1, image_size=6, hidden=16)
        images = torch.zeros(1, 1, 6, 6, requires_grad=True)
        network(images)[0, 0].backward()
        assert images.grad is not None and images.grad.abs().sum((0, 1, 3)).all(), reader
