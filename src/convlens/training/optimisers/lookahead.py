"""Lookahead: k steps forward, one step back (Zhang, Lucas, Hinton and Ba 2019), https://arxiv.org/abs/1907.08610."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from convlens.training.optimisers.optimiser import Group, Optimiser, Rule, State

EVERY = 5  # steps: the paper's k for pictures


class Lookahead(Optimiser):
    """After every fifth step slow weights go `share` (0 to 1) of the way to the fast ones, which go on from there.

    What the rules remember, momentum for one, stays as it is. Where the slow weights are is part of each parameter's
    state, so that a checkpoint holds it. Departure: what is validated and saved are the fast weights, which the paper
    leaves at the last fifth step; where a schedule ends at a rate of 0 they hardly differ.
    """

    def __init__(self, groups: list[Group], share: float) -> None:
        super().__init__(groups)
        self.share = share
        self.steps = 0

    @torch.no_grad()
    def settle(self) -> None:
        self.steps += 1
        if self.steps % EVERY == 0:
            # what was frozen since must not be pulled back
            moved = [p for p, _ in self._ruled() if p in self._states and p.requires_grad]
            slow = [self._states[parameter]["slow_weight"] for parameter in moved]
            fast: list[Tensor] = [parameter.detach() for parameter in moved]
            torch._foreach_lerp_(slow, fast, self.share)
            torch._foreach_copy_(fast, slow)

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {"steps": torch.tensor(self.steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        super().restore(tensors)
        self.steps = int(tensors["steps"])

    def _state(self, parameter: nn.Parameter, rule: Rule) -> State:
        """With the weight before its first step."""
        state = super()._state(parameter, rule)
        if "slow_weight" not in state:
            state["slow_weight"] = parameter.detach().clone()
        return state
