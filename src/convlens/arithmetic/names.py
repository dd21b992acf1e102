"""What a node of a graph is called on a page: by the module that gave it, as `measure` lists the layers."""

from __future__ import annotations

from collections import Counter

from convlens.graph import Graph
from convlens.graph.nodes import NETWORK_INPUT

PICTURE = "picture"


def layer_names(graph: Graph) -> dict[int, str]:
    """Node -> a name that no other has: "stages.0.conv" for what that module gave, "stages.0/add" for an operation.

    Of a module that runs several times the last run has its path, the earlier ones "path:1", "path:2", …
    """
    names = {NETWORK_INPUT: PICTURE}
    runs = Counter(call.path for call in graph.finished if call.is_leaf)
    seen: Counter[str] = Counter()
    for call in graph.finished:
        if not call.is_leaf:
            continue
        seen[call.path] += 1
        if call.node is not None and call.first <= call.node < call.last:  # Identity gives what another made
            last = seen[call.path] == runs[call.path]
            names[call.node] = call.path if last else f"{call.path}:{seen[call.path]}"
    taken: Counter[str] = Counter()
    for node in graph.nodes:
        if node.index in names:
            continue
        name = f"{node.module}/{node.op}" if node.module else node.op
        taken[name] += 1
        names[node.index] = name if taken[name] == 1 else f"{name}:{taken[name]}"
    return names
