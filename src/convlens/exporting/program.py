"""A network as a program of torch.export (https://docs.pytorch.org/docs/stable/export.html): graph and weights, .pt2.

It runs wherever torch does, without the network's Python. Its facts are the archive's extra file `convlens.json`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import torch
from torch import nn

from convlens.errors import ExportError
from convlens.exporting.deployed import Given, at_rest, example
from convlens.exporting.quiet import quietly, reason

FACTS_FILE = "convlens.json"


def program_bytes(network: nn.Module, given: Given, *, metadata: Mapping[str, str] | None = None) -> bytes:
    """A network and the shape of one picture (C, H, W), or an input -> the bytes of one .pt2 file, its batch free.

    Raises ExportError for what torch.export cannot express.
    """
    copied = at_rest(network)
    archive = io.BytesIO()
    try:
        with quietly(), torch.no_grad():
            program = torch.export.export(
                copied,
                (example(copied, given),),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
            _forget_the_source(program)
            torch.export.save(program, archive, extra_files={FACTS_FILE: json.dumps(dict(metadata or {}))})
    except Exception as error:
        raise ExportError(f"{type(network).__name__} does not go into torch.export: {reason(error)}") from error
    return archive.getvalue()


def _forget_the_source(program: torch.export.ExportedProgram) -> None:
    """No lines of whose files, and no example, which would be pickled."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    program.example_inputs = None
