"""Trace any network once: its operations, shapes, module calls, receptive fields, and which channels go together."""

from __future__ import annotations

from convlens.graph.channel_plan import ChannelPlan, apply_channel_plan
from convlens.graph.fields import ReceptiveField
from convlens.graph.graph import Graph, SpatialLayer
from convlens.graph.modes import evaluating
from convlens.graph.nodes import ModuleCall, Node, Operand
from convlens.graph.recording import is_pointwise
from convlens.graph.tracing import bare_network, check_values, trace

__all__ = [
    "ChannelPlan",
    "Graph",
    "ModuleCall",
    "Node",
    "Operand",
    "ReceptiveField",
    "SpatialLayer",
    "apply_channel_plan",
    "bare_network",
    "check_values",
    "evaluating",
    "is_pointwise",
    "trace",
]
