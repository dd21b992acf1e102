"""A time budget: the schedule's length is planned so that it ends, annealed, when the time does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from convlens.training.plan import Plan

LOOKS = (0.03, 0.06, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)  # shares after which the plan is made again
FEWEST_STEPS = 3  # from which a pace can be told


@dataclass
class Budget:
    """`started` is a time.monotonic() reading: the start of the command, not of the loop.

    The plan is made again whenever the time or the steps have passed one of the shares above, always at a checkpoint.
    Both count: a machine that becomes faster would otherwise end the schedule before the next look.
    """

    seconds: float
    started: float
    ending_s: float = 0.5  # what saving takes after the last step, learnt from checkpoints
    _begun: tuple[int, float] | None = field(default=None, init=False)
    _looked: tuple[int, float] = field(default=(0, 0.0), init=False)

    def spent(self) -> float:
        return time.monotonic() - self.started

    @property
    def begun(self) -> bool:
        return self._begun is not None

    def begin(self, step: int) -> None:
        """The clock of the pace starts after the first step, which compiles kernels."""
        self._begun = self._looked = (step, time.monotonic())

    def wants_look(self, step: int, plan: Plan) -> bool:
        """Is the time up, or has a share of the time or of the steps been passed since the plan was last made?"""
        assert self._begun is not None
        now = time.monotonic()
        if self.left(now) <= 0:
            return True
        steps, seconds = step - self._looked[0], now - self._looked[1]
        if steps == 0 or (steps < FEWEST_STEPS and seconds < LOOKS[0] * self.seconds):
            return False  # too little was seen to tell a pace, and little time went by
        first, begun = self._begun
        whole = max(self.started + self.seconds - begun, 1e-9)
        passed_time = [(at - begun) / whole for at in (self._looked[1], now)]
        passed_steps = [(at - first) / max(1, plan.total_steps - first) for at in (self._looked[0], step)]
        return any(before < look <= now for look in LOOKS for before, now in (passed_time, passed_steps))

    def left(self, now: float) -> float:
        """Seconds that remain for steps."""
        return self.started + self.seconds - now - self.ending_s

    def replan(self, step: int, plan: Plan) -> Plan:
        """As many steps as fit into what is left, at the pace since the last look, validation and saving included.

        None at all where the time is up: a budget shorter than its start ends after the first step.
        """
        before, at = self._looked
        now = time.monotonic()
        self._looked = (step, now)
        left = self.left(now)
        if left <= 0 or step == before:
            return plan.replanned(step, step)
        return plan.replanned(step, step + max(1, int(left * (step - before) / (now - at))))
