"""Trace any network once: its operations, shapes, module calls and receptive fields."""

from __future__ import annotations

from convlens.graph.fields import ReceptiveField
from convlens.graph.nodes import Graph, ModuleCall, Node, Operand, SpatialLayer
from convlens.graph.tracing import trace

__all__ = ["Graph", "ModuleCall", "Node", "Operand", "ReceptiveField", "SpatialLayer", "trace"]
