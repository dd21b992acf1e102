"""`convlens measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from convlens.cli.guard import guarded
from convlens.cli.named_values import model_options
from convlens.cli.options import Json, ModelOption, Network
from convlens.cli.output import count, print_facts, print_json, print_table

EXAMPLE = "convlens measure resnet18 --image-size 32 --num-classes 10"


@guarded
def measure(
    target: Annotated[str, typer.Argument(metavar="MODEL|RUN", help="A network of the zoo, or a run folder.")],
    image_size: Annotated[int | None, typer.Option(help="Side in pixels; the paper's or the run's by default.")] = None,
    in_channels: Annotated[int | None, typer.Option(help="Channels of the pictures.")] = None,
    num_classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    option: ModelOption = None,
    latency: Annotated[bool, typer.Option("--latency", help="Time it on this machine, too.")] = False,
    batch: Annotated[int, typer.Option(help="Pictures at a time, for --latency.")] = 1,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Print what a network costs: shapes, parameters, MACs, FLOPs, memory and receptive field, layer by layer."""
    from convlens import workbench

    result = workbench.measure(
        target,
        image_size=image_size,
        in_channels=in_channels,
        num_classes=num_classes,
        model_options=model_options(option),
        latency=latency,
        batch=batch,
        network=network,
    )
    if as_json:
        return print_json(result)
    found = result.network
    rows = [
        (
            layer.path,
            layer.kind,
            "×".join(str(side) for side in layer.output_shape[1:]),
            f"{layer.parameters:,}" if layer.parameters else None,
            count(layer.macs),
            f"{max(layer.receptive_field)} px" if layer.receptive_field else None,
        )
        for layer in found.layers
    ]
    columns = ["layer", "kind", ">output", ">parameters", ">MACs", ">receptive field"]
    print_table(f"{result.name} at {'×'.join(str(side) for side in result.input_shape[1:])}", columns, rows)
    facts = [
        ("parameters", f"{found.parameters:,} ({found.weight_bytes / 1e6:.2f} MB)"),
        ("MACs", f"{found.macs:,}" if found.complete else f"at least {found.macs:,}"),
        ("FLOPs", f"{found.flops:,}"),
        (
            "activations",
            f"{found.activation_bytes / 1e6:.2f} MB, at most {found.peak_activation_bytes / 1e6:.2f} MB at a time",
        ),
    ]
    if found.unknown_operators:
        facts.append(("not counted", ", ".join(found.unknown_operators)))
    if result.latency:
        timed = result.latency
        facts.append(
            (
                "latency",
                f"p50 {timed.p50_ms:.2f} ms, p90 {timed.p90_ms:.2f}, p99 {timed.p99_ms:.2f} ({timed.num_runs} runs)",
            )
        )
    print_facts("In total", facts)
