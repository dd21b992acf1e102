"""Where replaying a network pays, and where it gives the same gradients."""

from __future__ import annotations

from dataclasses import replace

import torch

from convlens.errors import NetworkError
from convlens.explanation.memory import BOUND, traced
from convlens.explanation.question import Question
from convlens.explanation.replay import NotRecordedError, folded, record

WORTH_IT = 8 << 20  # bytes of feature maps of one picture; smaller networks are through before anything is gained
NEAR = 0.05  # of the gradient's norm: rounding moves some units over a kink, another rule for gradients moves most


def is_worth_replaying(question: Question) -> bool:
    """A network that takes long, in a precision that folding does not harm, whose maps fit in memory."""
    if question.images.dtype not in (torch.float32, torch.float64):
        return False
    try:
        graph = traced(question.model, question.images)
    except NetworkError:
        return False
    needed = sum(node.output_bytes for node in graph.nodes if not node.is_view)
    return WORTH_IT <= needed <= BOUND // 2


def replayed(question: Question) -> Question:
    """The same question, asked of the recorded operations where their gradients are those of the network.

    A network may have gradients that its operations do not tell: `detach`, `no_grad`, rules of its own. One pass of
    each shows it. The classes must be settled.
    """
    if not is_worth_replaying(question):
        return question
    try:
        fast = replace(question, network=folded(record(question.model, question.images[:1])))
        own, other = question.gradients_of(question.images[None]), fast.gradients_of(question.images[None])
    except NotRecordedError:
        return question
    return fast if (other - own).norm() <= NEAR * own.norm() else question
