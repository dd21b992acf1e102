"""The training loop: one step after another, validated each epoch, saved so that nothing is lost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from signal import SIGINT
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save as pack
from torch import Tensor, nn

from convlens.data import Batches, batch_seed, plain_view
from convlens.errors import RunError, Stopped
from convlens.pictures import Preprocess
from convlens.runs import RunFolder, append_history
from convlens.storage import write_bytes
from convlens.training.average import WeightAverage
from convlens.training.budget import Budget
from convlens.training.checkpoint import read_checkpoint, restore, write_checkpoint
from convlens.training.distillation import Teacher, distillation_loss
from convlens.training.first_look import show_pictures
from convlens.training.freeze import freeze_stem, keep_statistics, thawed_afterwards
from convlens.training.head_first import SHARE, fit_classifier
from convlens.training.machine import nearest_to
from convlens.training.optimisers import Optimiser
from convlens.training.plan import Plan
from convlens.training.precision import Choice
from convlens.training.rates import build_optimiser, decayed_parameters, norm_scales, sum_of_sizes
from convlens.training.readings import Readings
from convlens.training.recipe import Recipe
from convlens.training.replayed import Learn, Replayed, can_record
from convlens.training.schedule import progress_at, rate_factor, size_at
from convlens.training.signals import StopRequest
from convlens.training.tally import Tally
from convlens.training.validation import logits_of, loss_and_accuracy
from convlens.training.watching import Watch, first_layer

Progress = Callable[[str, int, int, str], None]
FEW = 8  # pictures that tell whether there are answers
SAVING = 0.05  # share of the time that saving at the ends of short epochs may take


@dataclass(frozen=True)
class Task:
    """What is learnt: batches to train on, decoded pictures to validate on, and facts that resume needs."""

    batches: Batches
    val_pixels: Tensor
    val_labels: Tensor
    preprocess: Preprocess
    class_weights: Tensor | None
    facts: dict[str, Any]  # everything else that the run's manifest will say, as JSON
    teacher: Teacher | None = None


class Training:
    """Trains `network` by `plan` into `folder`; `run()` returns when the schedule has ended."""

    def __init__(self, network: nn.Module, task: Task, recipe: Recipe, plan: Plan, folder: RunFolder) -> None:
        self.task, self.recipe, self.plan, self.folder = task, recipe, plan, folder
        self.choice = Choice(plan.precision, plan.layout, plan.threads, plan.allocator)
        self.device = torch.device(plan.device)
        self.batches = nearest_to(self.device, task.batches)
        self.network = self.choice.laid_out(network.to(self.device)).train()
        self.forward = self.choice.forward_of(self.network, self.device)
        if plan.pretrained:
            keep_statistics(self.network)
        self.teacher = task.teacher
        if self.teacher is not None:
            channels_last = self.choice.memory_format is torch.channels_last
            self.teacher = self.teacher.laid_out(self.device, channels_last=channels_last)
        self.class_weights = None if task.class_weights is None else task.class_weights.to(self.device)
        self.learn: Learn = self._learn
        its_own = not task.facts.get("own_network") and self.teacher is None  # whose Python may do as it likes
        self.records = can_record(self.device) and its_own
        if self.records:
            self.learn = Replayed(self._learn, self.network)
        self.grouping: str | None = "matrices"  # None in a training that an earlier version began
        self.optimiser = self._optimiser()
        self.average = WeightAverage(self.network, recipe.ema) if recipe.ema else None
        self.resumed = False  # the first checkpoint comes after the beginning, before any step
        self.tally = Tally()
        self.readings = Readings(self.tally)
        self.budget: Budget | None = None
        self.watch: Watch | None = None
        self.best: dict[str, Tensor] | None = None  # not yet on disk
        self.rate = 0.0  # of the last step, which groups have a share of
        self.saved_at = time.monotonic()
        self.validation_s = 0.0  # what the last one took
        self.saving_s = 0.0

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and saved."""
        return self.average.network if self.average else self.network

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return (self.task.preprocess.channels, *self.task.preprocess.size)

    def resume(self) -> None:
        tensors, facts = read_checkpoint(self.folder.last)
        self.grouping = facts.get("grouping")
        self.optimiser = self._optimiser()
        restore(tensors, self.network, self.optimiser, self.average)
        self.tally = Tally(**facts["tally"])
        self.readings = Readings(self.tally)
        self.resumed = True

    def _optimiser(self) -> Optimiser:
        dtype = self.choice.dtype  # Muon's steps need no more digits than the gradients that they are made of
        how = {"pretrained": self.plan.pretrained, "by_dimensions": self.grouping is None}
        optimiser = build_optimiser(self.network, self.recipe, muon_dtype=dtype, **how)
        if self.records:
            optimiser.keep_rates_on(self.device)
        return optimiser

    def run(self, *, progress: Progress | None = None) -> None:
        """Raises Stopped, after saving, when a signal asked; StorageError when a checkpoint cannot be written."""
        torch.set_num_threads(self.choice.threads)
        torch.set_flush_denormal(True)  # near-zero weights make a convolution 5 to 50 times slower
        with StopRequest() as request, self.choice.memory(), thawed_afterwards(self.network):
            if self.watch:
                self.watch.begin(self)
            if not self.resumed:
                self._begin(progress)
                self.save()
            while self.tally.step < self.plan.total_steps:
                self._one_step()
                if progress:
                    progress("train", self.tally.step, self.plan.total_steps, self.tally.line)
                self._between_steps()
                if self.watch:
                    self.watch.look(self)
                    if self.watch.stop_asked and request.signal is None:
                        request.signal = SIGINT
                if request.signal is not None:
                    self._stop(request)
        self._flush_best()

    def _begin(self, progress: Progress | None) -> None:
        """Head first: a new classifier on a trained body starts from its optimum (then all layers learn)."""
        path, batches = self.plan.classifier, self.task.batches
        if path is not None:
            until = None if self.budget is None else self.budget.started + SHARE * self.budget.seconds
            fit_classifier(self.network, path, batches, self.choice, until=until, progress=progress)
        elif not (self.plan.pretrained or self.plan.goes_on):
            show_pictures(self.network, batches)
        if self.average:
            self.average.network.load_state_dict(self.network.state_dict())

    def _one_step(self) -> None:
        began, step = time.monotonic(), self.tally.step
        torch.manual_seed(batch_seed(self.recipe.seed, step))  # dropout, the same when this step is run again
        progress = progress_at(step, self.plan.segments)
        self.rate = self.plan.learning_rate * rate_factor(self.recipe.schedule, progress)
        self.optimiser.set_rate(self.rate)
        if self.recipe.freeze_stem is not None and progress >= self.recipe.freeze_stem:
            freeze_stem(self.network)
        size = size_at(self.task.preprocess.size, self.recipe.progressive, progress)
        images, labels = self.batches(step, size)
        images = images.to(self.device).contiguous(memory_format=self.choice.memory_format)
        loss, logits = self.learn(images, labels.to(self.device))
        self.optimiser.settle()
        if self.average:
            self.average.update(self.network, step)
        self.readings.note(loss, logits, labels)
        self.tally.train_seconds += time.monotonic() - began
        if self.readings.due:
            self._read()

    def _learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Forward, backward, and the weights moved: loss and logits."""
        logits = self.forward(images)
        loss = self._loss(logits.float(), labels)
        if self.teacher is not None:
            loss = self._taught(loss, images, logits.float())
        loss.backward()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.move()
        return loss.detach(), logits.detach()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        weight = self.class_weights
        loss = F.cross_entropy(logits, labels, weight=weight, label_smoothing=self.recipe.label_smoothing)
        if weight is not None and labels.ndim == 2:  # soft labels have the mean by weight that hard ones have
            loss = loss * len(labels) / (labels @ weight).sum()
        if self.recipe.l1:
            decayed = decayed_parameters(self.network, by_dimensions=self.grouping is None)
            loss = loss + self.recipe.l1 * sum_of_sizes(decayed)
        if self.recipe.l1_scales:
            loss = loss + self.recipe.l1_scales * sum_of_sizes(norm_scales(self.network))
        return loss

    def _read(self) -> None:
        broken = self.readings.read()
        if broken is not None:
            step, loss = broken
            raise self._diverged(f"the loss became {'NaN' if math.isnan(loss) else 'infinite'} at step {step}")

    def check_answers(self, logits: Tensor | None = None) -> None:
        """RunError where the network that would be saved gives no numbers any more: a loss comes before its step."""
        if logits is None:
            few = plain_view(self.task.batches.pixels[:FEW], self.task.preprocess.size)
            logits = logits_of(self.judged, few, self.task.preprocess, self.choice, device=self.device)
        if not logits.isfinite().all():
            raise self._diverged(f"the network's answers became NaN or infinite by step {self.tally.step:,}")

    def _diverged(self, what: str) -> RunError:
        precise = "" if self.plan.precision == "fp32" else " or --precision fp32"
        return RunError(
            f"{what}; begin again in another folder (--out), with "
            f"--learning-rate {self.plan.learning_rate / 5:.1g}{precise}"
        )

    def _taught(self, loss: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        assert self.teacher is not None
        weight = self.recipe.distil_weight
        with self.choice.autocast(self.device):
            taught = self.teacher.logits(images, self.task.preprocess)
        return (1 - weight) * loss + weight * distillation_loss(logits, taught.float(), self.recipe.distil_temperature)

    def _between_steps(self) -> None:
        step = self.tally.step
        if self.budget and not self.budget.begun:
            self.budget.begin(step)
        looked = self._look()
        ended = step % self.plan.steps_per_epoch == 0 or step == self.plan.total_steps
        if ended:
            self._end_epoch()
        since = time.monotonic() - self.saved_at
        if looked or since >= self.recipe.checkpoint_seconds or (ended and since >= max(1, self.saving_s / SAVING)):
            self.save()

    def _look(self) -> bool:
        """Plan the rest again where a budget asks for it; the checkpoint that follows records it."""
        step = self.tally.step
        if self.budget is None or step >= self.plan.total_steps or not self.budget.wants_look(step, self.plan):
            return False
        self.plan = self.budget.replan(step, self.plan)
        return True

    def _end_epoch(self) -> None:
        self._read()
        tally = self.tally
        row = {
            "step": tally.step,
            "epoch": round(tally.step / self.plan.steps_per_epoch, 3),
            "loss": tally.loss / tally.steps,
            "accuracy": tally.right / tally.pictures,
            **self._validate(),
            "learning_rate": self.rate,
            "images_per_second": round(tally.speed, 1),
            "seconds": round(tally.train_seconds, 3),
        }
        append_history(self.folder.history, row)
        if self.watch:
            self.watch.end_epoch(row)
        tally.clear_epoch()

    def _validate(self) -> dict[str, float]:
        if len(self.task.val_labels) == 0:
            return {}
        began = time.monotonic()
        logits = self.val_logits()
        self.validation_s = time.monotonic() - began
        self.check_answers(logits)
        loss, accuracy = loss_and_accuracy(logits, self.task.val_labels)
        if self._is_better(accuracy, loss):
            self.tally.best_accuracy, self.tally.best_loss = accuracy, loss
            self.tally.best_step = self.tally.step
            self.best = {k: v.detach().cpu().clone() for k, v in self.judged.state_dict().items()}
        self.tally.last_val = {"val_loss": loss, "val_accuracy": accuracy}
        return self.tally.last_val

    def _is_better(self, accuracy: float, loss: float) -> bool:
        """A higher accuracy, or the same one at a lower loss."""
        best = self.tally.best_loss
        return best is None or (accuracy, -loss) > (self.tally.best_accuracy, -best)

    def val_logits(self) -> Tensor:
        """(N, C, H, W) validation pictures -> (N, K) logits of the network that would be saved now."""
        pixels, preprocess = self.task.val_pixels, self.task.preprocess
        return logits_of(self.judged, pixels, preprocess, self.choice, device=self.device)

    def save(self) -> None:
        """Best weights first, then the checkpoint that says they are the best."""
        began = time.monotonic()
        self._read()
        self._flush_best()
        if self.budget:
            self.tally.spent_s = self.budget.spent()
        facts = {
            "tally": self.tally.__dict__,
            "plan": self.plan.to_dict(),
            "recipe": self.recipe.to_dict(),
            "task": self.task.facts,
            "first_layer": first_layer(self.network, self.input_shape),
            **({"grouping": self.grouping} if self.grouping else {}),
        }
        write_checkpoint(self.folder.last, self.network, self.optimiser, self.average, facts)
        self.saved_at = time.monotonic()
        self.saving_s = self.saved_at - began
        if self.budget:
            # after the last step: its validation, the same once more for the temperature, and the saved run
            self.budget.ending_s = 0.2 + 2 * self.validation_s + self.saving_s

    def _flush_best(self) -> None:
        if self.best is not None:
            write_bytes(self.folder.best, pack({k: v.contiguous() for k, v in self.best.items()}))
            self.best = None

    def _stop(self, request: StopRequest) -> None:
        self.save()
        done, total = self.tally.step, self.plan.total_steps
        again = f"convlens train --resume {quote(str(self.folder.path))}"
        if own := self.task.facts.get("own_network"):
            again += f" --network {quote(own)}"
        raise Stopped(f"stopped and saved at step {done:,} of {total:,}; go on with: {again}", request.exit_status)
