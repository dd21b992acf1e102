"""One unit of a network as the sum it is, from what gathers its inputs through the gates behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlens.arithmetic import (  # noqa: F401  they enter their rules
    branches,
    convolution,
    dense,
    gates,
    moves,
    normalisation,
    pooling,
    reducing,
)
from convlens.arithmetic.asked import RULES, Asked, Read
from convlens.arithmetic.places import Index, Place, broadcast_index, checked_index, place_of
from convlens.arithmetic.probabilities import PROBABILITIES, of_logits
from convlens.arithmetic.recording import Recording
from convlens.arithmetic.steps import MovedStep, NumbersStep, Step, Term, UnknownStep
from convlens.errors import UsageError
from convlens.graph.nodes import NETWORK_INPUT

WRONG = 2e-2  # of the larger of 1 and the value


@dataclass(frozen=True)
class Field:
    """What of the picture the unit sees, in pixels, the last ones included, padding not cut off.

    Gates are left out: `gated` says that through one, as of squeeze and excite, it sees the whole picture too.
    """

    top: int
    bottom: int
    left: int
    right: int
    exact: bool
    gated: bool = False


@dataclass(frozen=True, eq=False)
class UnitSum:
    """`value` is the network's own, `computed` what the last step gives; None where no rule is known for it.

    The steps begin with the one that gathers and end with the unit. Of the picture itself there are none.
    """

    node: int | str
    layer: str
    kind: str
    position: Place
    value: float
    computed: float | None
    receptive_field: Field | None
    steps: tuple[Step, ...]

    @property
    def agrees(self) -> bool:
        return not self.steps or self.steps[-1].agrees

    def to_dict(self) -> dict[str, Any]:
        """As `/v1/unit` answers."""
        field = self.receptive_field
        return {
            "node": self.node,
            "layer": self.layer,
            "kind": self.kind,
            "position": {**dict(self.position.named), "index": list(self.position.index)},
            "value": self.value,
            "computed": self.computed,
            "agrees": self.agrees,
            "receptive_field": None if field is None else dict(vars(field)),
            "steps": [step.to_dict() for step in self.steps],
        }


def take_apart(recording: Recording, node: int | str, position: Sequence[int], *, temperature: float = 1.0) -> UnitSum:
    """The unit of a node at (channel, row, column), or at a whole index, as a sum.

    Node -1 is the picture. "probabilities" is the softmax of the network's output at this temperature, whose position
    is (class,). UsageError for a node or a position that is not there, and where the weights were changed since.
    """
    recording.check_weights()
    with np.errstate(all="ignore"):  # of networks whose numbers overflow
        return _taken_apart(recording, node, position, temperature)


def _taken_apart(recording: Recording, node: int | str, position: Sequence[int], temperature: float) -> UnitSum:
    if node == PROBABILITIES:
        return _probability(recording, position, temperature)
    if isinstance(node, bool) or not isinstance(node, int):
        raise UsageError(f"the node came as {node!r}; expected its number, or '{PROBABILITIES}'")
    index = checked_index(recording, node, position)
    place = place_of(recording, node, index)
    if node == NETWORK_INPUT:
        value = float(recording.picture[index])
        return UnitSum(node, place.layer, "picture", place, value, value, field_of(recording, node, index), ())
    steps = _chain(recording, node, index)
    last = steps[-1]
    kind = _kind(recording, node)
    field = field_of(recording, node, index)
    return UnitSum(node, place.layer, kind, place, last.value, last.computed, field, steps)


def _probability(recording: Recording, position: Sequence[int], temperature: float) -> UnitSum:
    given = tuple(position)
    if len(given) not in (1, 2) or not all(isinstance(at, int) for at in given):
        raise UsageError(f"the position is {given}; expected the number of a class")
    step = of_logits(recording, temperature, given[-1])
    place = Place(step.node, (0, given[-1]), PROBABILITIES, 0, (("channel", given[-1]),))
    field = field_of(recording, step.node, (0, given[-1]))
    return UnitSum(PROBABILITIES, PROBABILITIES, "Softmax", place, step.value, step.computed, field, (step,))


def _chain(recording: Recording, node: int, index: Index) -> tuple[Step, ...]:
    """Back from the unit through what is done to this one number, to what gathers."""
    steps: list[Step] = []
    asked: Asked | None = Asked(recording, recording.graph.nodes[node], index)
    while asked is not None:
        step, asked = _step(asked)
        steps.insert(0, step)
    return tuple(steps)


def _step(asked: Asked) -> tuple[Step, Asked | None]:
    """The step, and where its one number comes from if it does not gather."""
    if moves.moves(asked):
        return _moved(asked)
    rule = RULES.get(asked.node.op)
    # a second output, such as the places of a maximum, is another thing than the rule's
    if rule is None or asked.output or not asked.recording.tensor(asked.node.index).is_floating_point():
        return _unknown(asked), None
    try:
        step = rule(asked)
    except Exception:  # arguments that no rule was written for, of another torch or an odd call
        return _unknown(asked), None
    if not step.agrees and _is_wrong(step):
        return _unknown(asked), None
    return step, _before(asked) if isinstance(step, NumbersStep) else None


def _is_wrong(step: Step) -> bool:
    """Farther from the network's value than rounding in half precision is: the operator did something else."""
    computed = math.nan if step.computed is None else step.computed
    return not abs(computed - step.value) <= WRONG * max(1.0, abs(step.value))


def _moved(asked: Asked) -> tuple[Step, Asked | None]:
    try:
        found = moves.origin(asked)
    except moves.NotMoved:
        return _unknown(asked), None
    if found is not None and not _same_number(found[0].number(found[1]), asked.value):
        return _unknown(asked), None
    read = None if found is None else found[0]
    place = None if found is None else asked.place(*found)
    value = asked.value if found is None else found[0].number(found[1])
    step = MovedStep(op="moved", title=moves.title(asked, read), formula="x", reads=place, computed=value, **asked.own)
    return step, _at(asked, *found) if found is not None else None


def _same_number(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _before(asked: Asked) -> Asked | None:
    """The one number that a gate or a norm takes: the first operand that a node made, the data before parameters."""
    made = [read for read in asked.reads() if read.node is not None]
    return _at(asked, made[0], _own_index(asked, made[0])) if made else None


def _own_index(asked: Asked, read: Read) -> Index:
    return broadcast_index(asked.index, read.shape)


def _at(asked: Asked, read: Read, index: Index) -> Asked | None:
    if read.node is None or read.node == NETWORK_INPUT:
        return None
    return Asked(asked.recording, asked.recording.graph.nodes[read.node], index, read.output)


def _unknown(asked: Asked) -> UnknownStep:
    own = asked.own
    terms = []
    for read in asked.reads():
        same = read.shape == tuple(asked.recording.tensor(asked.node.index, asked.output).shape)
        if same:
            terms.append(asked.term(read))
        else:
            whole = None if read.node is None else asked.window(read, ())
            terms.append(Term(read.name, whole, None))
    return UnknownStep(
        op=asked.node.op,
        title=f"{asked.node.op}: no rule is known for it",
        formula="",
        operands=tuple(terms),
        computed=None,
        **own,
    )


def _kind(recording: Recording, node: int) -> str:
    """The module's class where the node is what it gave, else the operation."""
    one = recording.graph.nodes[node]
    gave = recording.layers[node].partition(":")[0] == one.module and bool(one.module)
    return one.module_type if gave else one.op


def field_of(recording: Recording, node: int, index: Index) -> Field | None:
    """The receptive field of a unit; None where it hangs on no picture of rows and columns."""
    graph = recording.graph
    if node == NETWORK_INPUT:
        return Field(index[-2], index[-2], index[-1], index[-1], True) if len(index) == 4 else None
    own, whole = graph.unit_field(node, index, gates=False), graph.unit_field(node, index)
    if own is None or len(own.windows) != 2:
        return None
    (top, bottom), (left, right) = own.windows
    return Field(top, bottom, left, right, own.exact, whole is not None and whole.windows != own.windows)
