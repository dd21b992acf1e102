"""`convlens train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convlens.cli import STARTED, options
from convlens.cli.guard import guarded
from convlens.cli.named_values import augmentations, model_options, typed_in
from convlens.cli.next_steps import next_steps
from convlens.cli.output import print_facts, print_json, share
from convlens.cli.progress import Bars
from convlens.cli.watched import Port, Serve, watched
from convlens.errors import counted

EXAMPLE = "convlens train digits --model lenet5 --epochs 5 --out runs/digits"


# fmt: off
@guarded
def train(
    ctx: typer.Context,
    data: Annotated[str | None, typer.Argument(help="A folder with a subfolder for each class, a CSV or Parquet table of path,label, a zip or tar, IDX, CIFAR or NPZ files, or: digits, mnist, fashion_mnist, cifar10, cifar100.")] = None,  # noqa: E501
    model: Annotated[str, typer.Option(help="A network of the zoo, or auto.")] = "auto",
    recipe: Annotated[str | None, typer.Option(help="A published recipe, which decides about all else.")] = None,
    network: Annotated[str | None, typer.Option(help="Your own network, as file.py:Class.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time from now to the saved run, like 90s, 5m or 1h.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Times to see each picture.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put the run; runs/DATA-MODEL by default.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted training.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    image_size: Annotated[int | None, typer.Option(help="Side in pixels.")] = None,
    fit: Annotated[str, typer.Option(help="How other shapes fit: crop, letterbox, resize or auto.")] = "auto",
    split: Annotated[str, typer.Option(help="Shares of train, val and test where the source has none.")] = "0.8,0.1,0.1",  # noqa: E501
    weights: Annotated[str, typer.Option(help="To begin with: auto, none, imagenet, a file or a run.")] = "auto",
    teacher: Annotated[Path | None, typer.Option(metavar="RUN", help="Learn from this run's answers too.")] = None,
    teacher_network: Annotated[str | None, typer.Option(help="Of a teacher of your own, as file.py:Class.")] = None,
    option: options.ModelOption = None, data_dir: options.DataDir = None, augmentation: options.Augmentation = None,
    max_bad: options.MaxBad = 0.1, no_pictures: options.NoPictures = False,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    optimiser: Annotated[str, typer.Option(help="adamw, sgd or muon.")] = "adamw",
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    schedule: Annotated[str, typer.Option(help="one_cycle, cosine or linear.")] = "one_cycle",
    weight_decay: Annotated[float, typer.Option(help="On filters and matrices only.")] = 0.05,
    label_smoothing: Annotated[float, typer.Option(help="0 to below 1.")] = 0.1,
    l1: Annotated[float, typer.Option(help="Weight of the sum of |w| in the loss.")] = 0.0,
    ema: Annotated[float | None, typer.Option(help="Decay of a running mean of the weights, like 0.999.")] = None,
    progressive: Annotated[float, typer.Option(help="Share of the side at which training begins, like 0.75.")] = 1.0,
    class_weights: Annotated[bool, typer.Option("--class-weights", help="Let each class count the same.")] = False,
    shuffle_labels: Annotated[bool, typer.Option("--shuffle-labels", help="For explain --shuffled.")] = False,
    augment: Annotated[bool, typer.Option(help="Shift, crop, mirror and light the training pictures.")] = True,
    checkpoint_seconds: options.CheckpointSeconds = 60.0, as_json: options.Json = False,
    precision: options.Precision = "auto", threads: options.Threads = None, serve: Serve = False, port: Port = None,
) -> None:
    """Train a network on your pictures: scanned, divided, planned, and saved so that nothing is lost."""
    from convlens import workbench
    with watched(serve, port) as page:
        with Bars() as bars:
            result = workbench.train(
                data, model=model, recipe=recipe, network=network, budget=budget, epochs=epochs, out=out, resume=resume,
                seed=seed, device=device, image_size=image_size, fit=fit, split=options.shares(split), weights=weights,
                teacher=teacher, teacher_network=teacher_network, model_options=model_options(option), ema=ema, l1=l1,
                data_dir=data_dir, max_bad=max_bad, batch=batch, keep_pictures=not no_pictures, optimiser=optimiser,
                learning_rate=learning_rate, schedule=schedule, started=STARTED, weight_decay=weight_decay,
                label_smoothing=label_smoothing, progressive=progressive, class_weights=class_weights,
                shuffle_labels=shuffle_labels, augment=augmentations(augment, augmentation), precision=precision,
                given=typed_in(ctx), threads=threads, checkpoint_seconds=checkpoint_seconds, progress=bars,
                tell=bars.tell, watch=page.watch)
        if as_json:
            return print_json(result)
        excluded = f", {result.num_excluded:,} left out" if result.num_excluded else ""
        print_facts(f"{result.name}: trained in {result.seconds:.1f} s", [
            ("validation accuracy", share(result.val_accuracy)),
            ("seen", f"{counted(result.epochs, 'epoch')}, {counted(result.steps, 'step')}{excluded}"),
            ("the run", f"{result.run}/"), ("the report", result.report), *next_steps(result.run, network)])
        page.stay(result.run, network)
