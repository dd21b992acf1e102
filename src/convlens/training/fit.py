"""Plan, train, judge, save: from a network and a task to a run."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.data import Batches
from convlens.errors import ConvlensError, NetworkError, RunError, UsageError
from convlens.graph import check_values
from convlens.layers.computed_weights import check_copyable
from convlens.measurement import calibration_error, fit_temperature, measure_network
from convlens.runs import Manifest, Run, RunFolder, installed_versions, rewind_history, save_run
from convlens.training.budget import Budget
from convlens.training.checkpoint import read_checkpoint
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

Tell = Callable[[str], None]

FEW = 8  # pictures that tell whether a size can be trained on
PROBABILITIES = (
    "the network's rows are probabilities already, as after a softmax; let it return what goes into that, for the loss "
    "takes a softmax of its own, and of probabilities it tells little"
)
COLD_S = 1.0  # a first step that is shorter may have compiled kernels for most of its time


def make_plan(
    network: nn.Module, batches_of: Callable[[int], Batches], recipe: Recipe, setting: Setting, tell: Tell | None = None
) -> Plan:
    """Resolve a recipe for this data and machine; times a copy of the network on its first batch.

    Raises UsageError where a stem shall be frozen, or scales made small, and there are none, or where a part of the
    network has no values; NetworkError when one training step on a copy of the network fails.
    """
    check_values(network)
    check_copyable(network)
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


def check_step(network: nn.Module, images: Tensor, labels: Tensor, num_classes: int, tell: Tell | None = None) -> float:
    """One step on a copy, so that what does not fit is said before anything is written; the seconds that it took."""
    began = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        logits = _tried(images, lambda: copy.deepcopy(network).train()(images))
        if not isinstance(logits, Tensor) or tuple(logits.shape) != (len(images), num_classes):
            came = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise NetworkError(
                f"the network gave {came}; expected a tensor of logits ({len(images)}, {num_classes}): one row a "
                "picture, one number a class"
            )
        _check_parameters(network)
        if tell is not None and are_probabilities(logits.detach().float()):
            tell(PROBABILITIES)
        _tried(images, lambda: F.cross_entropy(logits.float(), labels).backward())
    return time.perf_counter() - began


def are_probabilities(logits: Tensor) -> bool:
    """Is each row from 0 to 1 and of sum 1, as a softmax leaves it?"""
    return bool((logits >= 0).all() and (logits.sum(1) - 1).abs().max() < 1e-3)


def _check_parameters(network: nn.Module) -> None:
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise NetworkError(
            f"{type(network).__name__} has no parameter that learns (requires_grad); unfreeze some, or take a network "
            "that has weights"
        )
    for name, parameter in network.named_parameters():
        if parameter.is_complex():
            raise NetworkError(f"the parameter {name} is of {parameter.dtype}; expected real numbers: split it in two")


def _tried(images: Tensor, step: Callable[[], Any]) -> Any:
    """Whatever it raises is the network's own, and said in a line."""
    try:
        return step()
    except ConvlensError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or "no reason given"
        raise NetworkError(
            f"the network cannot be trained on batches of shape {tuple(images.shape)}: {type(error).__name__}: "
            f"{reason}; see that it takes pictures alone, try another --image-size, or a larger --batch where it "
            "normalises over the batch"
        ) from error


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
