"""The memory that results take: all together, and at the worst moment."""

from __future__ import annotations

from collections.abc import Iterable

from convlens.graph import Graph, Node


def activation_bytes(nodes: Iterable[Node]) -> int:
    """Bytes of all results; views and writes in place live in memory that is counted already."""
    return sum(node.output_bytes for node in nodes if not node.is_view and not node.is_in_place)


def peak_activation_bytes(graph: Graph) -> int:
    """The most bytes held at once when each result is freed after its last use; input and output stay to the end."""
    sizes, freed_after = _lifetimes(graph)
    held = peak = graph.input_bytes
    for node in graph.nodes:
        if not node.is_view and not node.is_in_place:
            held += node.output_bytes
        peak = max(peak, held)
        held -= sum(sizes[storage] for storage in freed_after.get(node.index, ()))
    return peak


def _lifetimes(graph: Graph) -> tuple[dict[int, int], dict[int, list[int]]]:
    """The bytes of each memory that results lie in, and which ones no node after this one reads or writes."""
    sizes: dict[int, int] = {}
    last_use: dict[int, int] = {}
    for node in graph.nodes:
        storage = node.storages[0]
        if not node.is_view and not node.is_in_place:
            sizes[storage] = node.output_bytes
        for used in (storage, *(graph.nodes[i].storages[0] for i in node.inputs if i >= 0)):
            if used in sizes:
                last_use[used] = node.index
    for index in graph.output_nodes:
        if index >= 0:
            last_use.pop(graph.nodes[index].storages[0], None)
    freed_after: dict[int, list[int]] = {}
    for storage, index in last_use.items():
        freed_after.setdefault(index, []).append(storage)
    return sizes, freed_after
