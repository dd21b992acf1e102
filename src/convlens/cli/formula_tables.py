"""What `convlens measure --formulas` prints: what each count is the product of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlens.cli.cost_tables import pixels, title_of
from convlens.cli.output import print_facts, print_table

if TYPE_CHECKING:
    from convlens.workbench import MeasureResult


def print_formulas(result: MeasureResult) -> None:
    found = result.network
    rows = [
        (layer.path, layer.kind, layer.macs_formula, layer.macs_numbers, f"{layer.macs:,}", layer.flops_formula)
        if layer.macs is not None
        else (layer.path, layer.kind, "unknown", None, None, None)
        for layer in found.layers
        if layer.flops != 0
    ]
    print_table(title_of(result), ["layer", "kind", "MACs", "in numbers", ">MACs", "FLOPs"], rows)
    print_facts("Letters", found.symbols.items())
    if not found.separable:
        return
    pairs = [
        (
            f"{one.depthwise} + {one.pointwise}",
            pixels(one.kernel),
            " → ".join(map(str, one.channels)),
            f"{one.macs:,}",
            f"{one.standard_macs:,}",
            f"{one.share:.3f}",
        )
        for one in found.separable
    ]
    about = "K·K·M·D·D + M·N·D·D in place of K·K·M·N·D·D, a share of 1/N + 1/K²"
    columns = ["depthwise + pointwise", ">K", ">channels", ">MACs", ">of one convolution", ">share"]
    print_table(f"Depthwise-separable convolutions: {about}", columns, pairs)
