"""Plan, train, judge, save: from a network and a task to a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import nn

from convlens.data import Batches
from convlens.errors import NetworkError, RunError, UsageError
from convlens.measurement import calibration_error, fit_temperature, measure_network
from convlens.runs import Manifest, Run, RunFolder, installed_versions, rewind_history, save_run
from convlens.training.budget import Budget
from convlens.training.checkpoint import read_checkpoint
from convlens.training.first_step import Tell, check_network, check_step
from convlens.training.freeze import check_stem
from convlens.training.loop import Progress, Task, Training
from convlens.training.machine import describe_machine, device_bytes
from convlens.training.plan import Plan, Setting, first_plan
from convlens.training.precision import Trial, choose
from convlens.training.rates import norm_scales
from convlens.training.recipe import Recipe
from convlens.training.schedule import sizes_of
from convlens.training.validation import loss_and_accuracy
from convlens.training.watching import Watch

FEW = 8  # pictures that tell whether a size can be trained on
COLD_S = 1.0  # a first step that is shorter may have compiled kernels for most of its time


def make_plan(
    network: nn.Module, batches_of: Callable[[int], Batches], recipe: Recipe, setting: Setting, tell: Tell | None = None
) -> Plan:
    """Resolve a recipe for this data and machine; times a copy of the network on its first batch.

    Raises UsageError where a stem shall be frozen, or scales made small, and there are none, or where a part of the
    network has no values; NetworkError when one training step on a copy of the network fails.
    """
    check_network(network)
    if recipe.freeze_stem is not None:
        check_stem(network)
    if recipe.l1_scales:
        norm_scales(network)
    one = batches_of(1)
    most = largest_batch(network, one(0)[0].shape, setting.device)
    plan = first_plan(recipe, len(one.labels), network, setting, most=most)
    images, labels = batches_of(plan.batch)(0)
    target = torch.device(setting.device)
    network, images, labels = network.to(target), images.to(target), labels.to(target)
    step_s = check_step(network, images, labels, setting.num_classes, tell)
    if step_s < COLD_S:
        step_s = check_step(network, images, labels, setting.num_classes)
    if recipe.progressive < 1:
        check_sizes(network, batches_of(FEW), setting, recipe.progressive)
    trial = Trial(network, images, labels, setting.seconds, plan.total_steps).shortened(step_s)
    choice, measured = choose(recipe, trial)
    return replace(plan, **asdict(choice), measured=measured)


def largest_batch(network: nn.Module, shape: tuple[int, ...], device: str) -> int:
    """Pictures whose activations, with as much again for their gradients, fill a quarter of the device's memory."""
    try:
        each = measure_network(network, (1, *shape[1:])).activation_bytes
    except NetworkError:  # a network that cannot be traced; the batch then follows the number of pictures alone
        return 1 << 20
    return max(1, device_bytes(torch.device(device)) // 4 // max(1, 2 * each))


def check_sizes(network: nn.Module, batches: Batches, setting: Setting, start: float) -> None:
    """UsageError where the network cannot be trained on a size that growing pictures have; the last was checked."""
    for size in sizes_of(batches.preprocess.size, start)[:-1]:
        images, labels = (part.to(setting.device) for part in batches(0, size))
        try:
            check_step(network, images, labels, setting.num_classes)
        except NetworkError as error:
            reason = " ".join(str(error.__cause__ or error).split())
            raise UsageError(
                f"--progressive {start:g} shows pictures of {size[0]}×{size[1]} px too, on which this network cannot "
                f"be trained ({reason[:200]}); leave it out, or take a network of any size, like --model resnet18"
            ) from error


def fit(
    network: nn.Module,
    task: Task,
    recipe: Recipe,
    plan: Plan,
    folder: RunFolder,
    *,
    started: float,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Run:
    """Train from the beginning. `started` (time.monotonic) is where a budget's clock began."""
    training = Training(network, task, recipe, plan, folder)
    if recipe.budget_s:
        training.budget = Budget(recipe.budget_s, started)
    training.watch = watch
    training.run(progress=progress)
    return finish(training)


def go_on(
    network: nn.Module,
    task: Task,
    recipe: Recipe,
    plan: Plan,
    folder: RunFolder,
    *,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Run:
    """Train from the last checkpoint; the recorded plan is replayed, nothing is measured again."""
    check_network(network)
    target = torch.device(plan.device)
    images, labels = (part.to(target) for part in task.batches(0))
    check_step(network.to(target), images, labels, len(task.facts["classes"]))
    training = Training(network, task, recipe, plan, folder)
    training.resume()
    if recipe.budget_s and len(plan.segments) == 1:  # it was interrupted before a pace was known: the length is a guess
        training.budget = Budget(recipe.budget_s, time.monotonic() - training.tally.spent_s)
    rewind_history(folder.history, training.tally.step)
    training.watch = watch
    training.run(progress=progress)
    return finish(training)


def interrupted(folder: RunFolder) -> tuple[Recipe, Plan, dict[str, Any]]:
    """What a folder's checkpoint says of its training: recipe, plan and the task's facts."""
    if folder.manifest.exists():
        raise RunError(f"{folder.path} holds a run that is whole: there is nothing to go on with")
    _, facts = read_checkpoint(folder.last)
    return Recipe(**facts["recipe"]), Plan.from_dict(facts["plan"]), facts["task"]


def finish(training: Training) -> Run:
    """Fit the temperature, score the validation part, write the run, drop the checkpoint that resume needed."""
    task, tally = training.task, training.tally
    training.check_answers()
    metrics: dict[str, Any] = {"train_seconds": round(tally.train_seconds, 3), "steps": tally.step}
    temperature = 1.0
    if len(task.val_labels):
        logits = training.val_logits()
        temperature = fit_temperature(logits, task.val_labels)
        loss, accuracy = loss_and_accuracy(logits / temperature, task.val_labels)
        metrics["val"] = {
            "num_pictures": len(logits),
            "accuracy": accuracy,
            "loss": loss,
            "expected_calibration_error": calibration_error(logits, task.val_labels, temperature),
        }
        metrics["best"] = {"step": tally.best_step, "accuracy": tally.best_accuracy, "loss": tally.best_loss}
    run = save_run(training.folder, _manifest(training, temperature, metrics), training.judged.state_dict())
    training.folder.last.unlink(missing_ok=True)
    return run


def _manifest(training: Training, temperature: float, metrics: dict[str, Any]) -> Manifest:
    facts = training.task.facts
    return Manifest(
        name=facts["name"],
        architecture=facts["architecture"],
        classes=tuple(facts["classes"]),
        preprocess=facts["preprocess"],
        weights={"from": facts["weights"]},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        temperature=temperature,
        metrics=metrics,
        recipe=training.recipe.to_dict(),
        plan=training.plan.to_dict(),
        data=facts["data"],
        channel_plan=facts.get("channel_plan"),
        seed=training.recipe.seed,
        keep_pictures=facts["keep_pictures"],
        versions=installed_versions(),
        machine=describe_machine(),
    )
