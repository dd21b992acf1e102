"""Groups of parameters, each moved by its own rule at its own rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

State = dict[str, Tensor]
Rate = float | Tensor  # a tensor, of one number, where a recorded step reads it


class Rule(Protocol):
    """How weights follow their gradients."""

    def new_state(self, weight: Tensor) -> State:
        """What is remembered of one parameter between steps."""
        ...

    def move(
        self, weights: list[Tensor], gradients: list[Tensor], states: list[State], *, rate: Rate, weight_decay: float
    ) -> None:
        """One step, in place."""
        ...


@dataclass
class Group:
    """Parameters that share a rule. `scale` is their share of the schedule's rate; `rate` is that of the next step."""

    parameters: list[nn.Parameter]
    rule: Rule
    weight_decay: float = 0.0
    scale: float = 1.0
    rate: Rate = 0.0


class Optimiser:
    def __init__(self, groups: list[Group]) -> None:
        self.groups = groups
        self._states: dict[nn.Parameter, State] = {}  # made when a parameter first moves

    def set_rate(self, rate: float) -> None:
        """The schedule's rate; each group takes its share of it."""
        for group in self.groups:
            if isinstance(group.rate, Tensor):
                group.rate.fill_(rate * group.scale)
            else:
                group.rate = rate * group.scale

    def keep_rates_on(self, device: torch.device) -> None:
        """As tensors there, which `set_rate` writes to."""
        for group in self.groups:
            group.rate = torch.tensor(group.rate, device=device)

    def step(self) -> None:
        self.move()
        self.settle()

    def settle(self) -> None:
        """What follows when all have moved."""

    @torch.no_grad()
    def move(self) -> None:
        """Move every parameter that has a gradient, and drop the gradients."""
        for group in self.groups:
            gradients = {p: p.grad for p in group.parameters if p.grad is not None}
            if gradients:
                states = [self._state(p, group.rule) for p in gradients]
                decay = group.weight_decay
                group.rule.move([*gradients], [*gradients.values()], states, rate=group.rate, weight_decay=decay)
            for parameter in gradients:
                parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """All state as "3.momentum_buffer" -> tensor; parameters are numbered through all groups."""
        return {
            f"{number}.{name}": value
            for number, (parameter, _) in enumerate(self._ruled())
            for name, value in self._states.get(parameter, {}).items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`; RuntimeError where they are of parameters of other shapes."""
        for number, (parameter, rule) in enumerate(self._ruled()):
            saved = {key.partition(".")[2]: value for key, value in tensors.items() if key.startswith(f"{number}.")}
            for name, value in saved.items():
                own = self._state(parameter, rule)[name]
                if own.shape != value.shape:  # which copy_ might stretch
                    raise RuntimeError(f"state {number}.{name} is of {tuple(value.shape)} and not {tuple(own.shape)}")
                own.copy_(value)

    def _state(self, parameter: nn.Parameter, rule: Rule) -> State:
        if parameter not in self._states:
            self._states[parameter] = rule.new_state(parameter)
        return self._states[parameter]

    def _ruled(self) -> list[tuple[nn.Parameter, Rule]]:
        return [(parameter, group.rule) for group in self.groups for parameter in group.parameters]
