"""What `convlens measure` prints: layers, totals, times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convlens.cli.output import console, count, print_facts, print_table

if TYPE_CHECKING:
    from convlens.workbench import MeasureResult
    from convlens.workbench.timing import Latency, Timing

LAYERS = ("layer", "kind", ">output", ">parameters", ">MACs", ">field", ">FLOPs", ">activations", ">stride", ">centre")
WIDE = 130  # columns of a terminal that has room for the last four


def print_layers(result: MeasureResult) -> None:
    rows = [
        (
            layer.path,
            layer.kind,
            "×".join(str(side) for side in layer.output_shape[1:]),
            f"{layer.parameters:,}" if layer.parameters else None,
            count(layer.macs),
            f"{'' if layer.exact else '≤ '}{'whole' if layer.whole_picture else pixels(layer.receptive_field)}",
            count(layer.flops),
            f"{layer.activation_bytes / 1e6:.2f} MB",
            pixels(layer.stride),
            pixels(layer.centre),
        )
        for layer in result.network.layers
    ]
    shown = len(LAYERS) if console().width >= WIDE else -4
    about = "field: receptive field in pixels; stride: from one to the next; centre: of the first"
    print_table(f"{title_of(result)}; {about}", LAYERS[:shown], [row[:shown] for row in rows])


def title_of(result: MeasureResult) -> str:
    return f"{result.name} at {'×'.join(str(side) for side in result.input_shape[1:])}"


def pixels(sides: Sequence[float] | None) -> str | None:
    """(7, 7) -> 7; (3, 5) -> 3×5."""
    if sides is None:
        return None
    return "×".join(f"{side:g}" for side in (sides[:1] if len(set(sides)) == 1 else sides))


def print_cost(result: MeasureResult) -> None:
    found = result.network
    least = "" if found.complete else "at least "
    most = f"at most {found.peak_activation_bytes / 1e6:.2f} MB at a time"
    facts = [
        ("parameters", f"{found.parameters:,} ({found.weight_bytes / 1e6:.2f} MB)"),
        ("MACs", f"{least}{found.macs:,}"),
        ("FLOPs", f"{least}{found.flops:,}"),
        ("activations", f"{found.activation_bytes / 1e6:.2f} MB, {most}"),
    ]
    if found.receptive_field:
        seen = f"{pixels(found.receptive_field)} px, {pixels(found.stride)} from one to the next, of the last map"
        facts.append(("receptive field", ("" if found.exact_field else "≤ ") + seen))
    if found.unknown_operators:
        facts.append(("not counted", ", ".join(found.unknown_operators)))
    print_facts("In total", facts)


def print_timing(timing: Timing) -> None:
    ways = (("at a time", timing.model), (f"end to end, {timing.picture}", timing.end_to_end))
    rows = [_times(f"{one.batch} {way}", one) for way, each in ways for one in each]
    columns = ["pictures", ">p50 ms", ">p90", ">p99", ">pictures/s", ">noise", ">memory", ">runs"]
    print_table(f"Latency, float32, threads: {timing.model[0].threads}", columns, rows)
    for one, two in timing.not_told_apart:
        console().print(f"{one} and {two} at a time: their times for a picture cannot be told apart")


def _times(name: str, one: Latency) -> tuple[object, ...]:
    memory = None if one.peak_memory_bytes is None else f"{one.peak_memory_bytes / 1e6:.0f} MB"
    times = (f"{one.p50_ms:.2f}", f"{one.p90_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.images_per_second:,.1f}")
    return (name, *times, f"{100 * one.noise:.0f} %", memory, one.num_runs)
