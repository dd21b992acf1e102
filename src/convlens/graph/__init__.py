"""Trace any network once: its operations, shapes, module calls and receptive fields."""

from __future__ import annotations

from convlens.graph.fields import ReceptiveField
from convlens.graph.graph import Graph, SpatialLayer
from convlens.graph.nodes import ModuleCall, Node, Operand
from convlens.graph.recording import is_pointwise
from convlens.graph.tracing import bare_network, trace

__all__ = [
    "Graph",
    "ModuleCall",
    "Node",
    "Operand",
    "ReceptiveField",
    "SpatialLayer",
    "bare_network",
    "is_pointwise",
    "trace",
]
