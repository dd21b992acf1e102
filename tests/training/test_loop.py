"""The loop: it learns, it saves, it stops when asked, it goes on exactly."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convlens.data import Augment, Batches
from convlens.errors import RunError, Stopped, StorageError
from convlens.runs import read_history, read_weights
from convlens.storage import sha256_bytes
from convlens.training.budget import Budget
from convlens.training.checkpoint import read_checkpoint, restore
from convlens.training.fit import finish, go_on
from convlens.training.loop import Training
from convlens.training.optimisers import Muon
from convlens.training.schedule import progress_at, rate_factor
from convlens.training.validation import loss_and_accuracy


def digest(training: Training) -> str:
    return sha256_bytes(b"".join(v.numpy().tobytes() for v in training.judged.state_dict().values()))


def test_it_learns(training):
    made = training(60)
    made.run()
    rows = read_history(made.folder.history)
    assert rows[-1]["val_accuracy"] > 0.95
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert [row["epoch"] for row in rows] == list(range(1, 11))


@pytest.mark.parametrize(
    "options", [{}, {"optimiser": "sgd", "l1": 1e-4}, {"ema": 0.9, "class_weights": True}, {"lookahead": 0.5}]
)
@pytest.mark.parametrize("stop_at", [1, 5, 6, 9])
def test_a_stopped_training_goes_on_to_the_same_weights(training, options, stop_at):
    whole = training(12, "whole", **options)
    whole.run()
    first = training(12, "stopped", **options)
    with pytest.raises(Stopped) as stopped:
        first.run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGINT) if done == stop_at else None)
    assert stopped.value.exit_status == 130
    assert "--resume" in str(stopped.value)
    second = training(12, "stopped", **options)
    second.resume()
    assert second.tally.step == stop_at
    second.run()
    assert digest(second) == digest(whole)
    assert second.tally.__dict__.keys() == whole.tally.__dict__.keys()
    assert second.tally.best_accuracy == whole.tally.best_accuracy


def test_a_training_that_was_interrupted_before_its_first_step_does_not_begin_twice(training, monkeypatch):
    """Of a budget the head has had its share already: fitted again it would see one batch of pictures."""
    begun = []
    monkeypatch.setattr("convlens.training.loop.show_pictures", lambda network, batches: begun.append(network))
    first = training(6, "stopped")
    monkeypatch.setattr(first, "_one_step", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        first.run()
    second = training(6, "stopped")
    second.resume()
    assert second.tally.step == 0
    second.run()
    assert begun == [first.network]
    assert digest(second) == digest(_trained(training(6, "whole")))


def _trained(made: Training) -> Training:
    made.run()
    return made


def test_a_clipped_gradient_is_no_longer_than_asked_and_keeps_its_direction(training):
    """SGD without momentum moves by rate times gradient: a short gradient stays, a long one is cut to length."""
    moved = {}
    for clip in (None, 1e-3, 1e6):
        made = training(1, f"clip{clip}", optimiser="sgd", momentum=0.0, weight_decay=0.0, schedule="linear", clip=clip)
        before = [parameter.detach().clone() for parameter in made.network.parameters()]
        made.run()
        steps = [after.detach() - old for after, old in zip(made.network.parameters(), before, strict=True)]
        moved[clip] = torch.cat([step.flatten() for step in steps])
    assert torch.equal(moved[None], moved[1e6])
    cut = moved[1e-3].norm()
    assert cut < 0.1 * moved[None].norm()
    assert torch.dot(moved[1e-3], moved[None]) / (cut * moved[None].norm()) > 0.999
    assert float(cut) == pytest.approx(1e-3 * made.plan.learning_rate, rel=1e-3)


def test_l1_on_scales_adds_its_weight_to_the_gradient_of_every_scale_and_of_nothing_else(training):
    """SGD without momentum: scales, which are above zero, move by rate times weight further down."""
    after = {}
    for weight in (0.0, 0.5):
        made = training(
            1, f"scales{weight}", optimiser="sgd", momentum=0.0, weight_decay=0.0, schedule="linear", l1_scales=weight
        )
        made.run()
        after[weight] = dict(made.network.named_parameters())
    for name, plain in after[0.0].items():
        moved = (plain - after[0.5][name]).detach()
        expected = 0.5 * made.plan.learning_rate if name == "1.weight" else 0.0
        torch.testing.assert_close(moved, torch.full_like(moved, expected), rtol=1e-3, atol=1e-6)


def test_muon_iterates_in_the_precision_of_the_training(training):
    def dtypes(made: Training) -> set[torch.dtype | None]:
        return {group.rule.dtype for group in made.optimiser.groups if isinstance(group.rule, Muon)}

    assert dtypes(training(1, optimiser="muon")) == {torch.float32}
    assert dtypes(training(1, "fast", precision="bf16", optimiser="muon")) == {torch.bfloat16}


def mixing(made: Training) -> Training:
    """The same training, with pictures mixed two by two."""
    plain = made.task.batches
    ask = Augment(shift=1, mixup=0.4, cutmix=1.0)
    batches = Batches(plain.pixels, plain.labels, plain.preprocess, ask, batch=16, seed=0)
    made.task = replace(made.task, batches=batches)
    return made


def test_it_learns_from_mixed_pictures(training):
    made = mixing(training(60))
    made.run()
    rows = read_history(made.folder.history)
    assert rows[-1]["val_accuracy"] > 0.95 > rows[-1]["accuracy"] > 0.5


def test_a_stopped_training_of_mixed_pictures_goes_on_to_the_same_weights(training):
    whole = mixing(training(12, "whole"))
    whole.run()
    first = mixing(training(12, "stopped"))
    with pytest.raises(Stopped):
        first.run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGINT) if done == 5 else None)
    second = mixing(training(12, "stopped"))
    second.resume()
    second.run()
    assert digest(second) == digest(whole)


@pytest.mark.parametrize("balance", [None, torch.tensor([0.5, 1.0, 2.5])])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_soft_labels_of_one_class_have_the_loss_of_hard_ones(training, balance, label_smoothing):
    made = training(1, label_smoothing=label_smoothing)
    made.task = replace(made.task, class_weights=balance)
    logits, labels = torch.randn(16, 3), torch.arange(16) % 3
    torch.testing.assert_close(made._loss(logits, F.one_hot(labels, 3).float()), made._loss(logits, labels))


def test_a_mixed_picture_is_right_when_the_larger_share_is(training):
    made = training(1)
    labels = torch.tensor([[0.7, 0.3, 0.0], [0.2, 0.0, 0.8], [0.4, 0.6, 0.0]])
    made.readings.note(torch.tensor(1.0), torch.eye(3), labels)
    assert made.readings.read() is None
    assert (made.tally.step, made.tally.right, made.tally.pictures) == (1, 1, 3)


def test_the_step_of_a_loss_that_is_no_number_is_told_when_it_is_read_later(training):
    made = training(12)
    for loss in (1.0, 2.0, float("inf"), float("nan")):
        made.readings.note(torch.tensor(loss), torch.eye(3), torch.arange(3))
    assert made.tally.steps == 0
    assert made.readings.read() == (2, float("inf"))
    assert (made.tally.step, made.tally.steps) == (4, 4)


def test_sigterm_saves_and_asks_for_status_143(training):
    made = training(12)
    with pytest.raises(Stopped) as stopped:
        made.run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGTERM) if done == 4 else None)
    assert stopped.value.exit_status == 143
    assert read_checkpoint(made.folder.last)[1]["tally"]["step"] == 4


def test_handlers_are_given_back(training):
    before = signal.getsignal(signal.SIGINT)
    training(2).run()
    assert signal.getsignal(signal.SIGINT) is before


def test_there_is_a_checkpoint_before_the_first_step(training):
    made = training(3)
    seen = []
    made.run(progress=lambda *_: seen.append(made.folder.last.exists()))
    assert seen[0]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(training, monkeypatch):
    made = training(12, checkpoint_seconds=1e-9)
    real = os.replace
    done = []

    def full(source, target, **kwargs):
        done.append(target)
        if len(done) > 3:
            raise OSError(28, "No space left on device")
        return real(source, target, **kwargs)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="full"):
        made.run()
    monkeypatch.undo()
    _, facts = read_checkpoint(made.folder.last)
    assert facts["tally"]["step"] == 2
    assert not [path for path in made.folder.last.parent.iterdir() if "tmp" in path.name]


@pytest.mark.parametrize(("bias", "named"), [(float("nan"), "NaN"), (-float("inf"), "infinite")])
def test_a_loss_that_is_no_finite_number_stops_with_advice(training, bias, named):
    made = training(6)
    made.network[-1].bias.data[0] = bias
    with pytest.raises(RunError, match=rf"became {named} at step 0.*--learning-rate"):
        made.run()


def test_the_running_mean_is_what_is_judged(training):
    made = training(6, ema=0.5)
    made.run()
    mean, last = made.judged.state_dict(), made.network.state_dict()
    assert not torch.equal(mean["0.weight"], last["0.weight"])
    assert torch.equal(mean["1.running_mean"], last["1.running_mean"])


@pytest.mark.parametrize("validates", [True, False])
def test_a_network_that_diverged_at_its_last_step_is_no_run(training, validates):
    made = training(6, learning_rate=0.01)
    if not validates:
        made.task = replace(made.task, val_pixels=made.task.val_pixels[:0], val_labels=made.task.val_labels[:0])
        made.run()
    with torch.no_grad():
        made.network[5].weight.fill_(torch.inf)
    with pytest.raises(
        RunError, match=r"the network's answers became NaN or infinite by step .*--learning-rate 0\.002$"
    ):
        made._validate() if validates else finish(made)
    assert not made.folder.manifest.exists()


class Scaled(nn.Module):
    """Its norm's scale and bias have three dimensions."""

    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.LayerNorm([1, 8, 8]), nn.Linear(64, 3)

    def forward(self, images):
        return self.head(self.norm(images).flatten(1))


def test_a_training_begun_before_norms_were_told_by_kind_goes_on_as_it_began(training):
    """Its state is numbered by groups in which whatever has several dimensions is a matrix."""

    def begun(name):
        torch.manual_seed(0)
        made = training(12, name=name, network=Scaled(), weight_decay=0.5)
        made.grouping = None
        made.optimiser = made._optimiser()
        return made

    whole, half = begun("whole"), begun("half")
    whole.run()
    with pytest.raises(Stopped):
        half.run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGINT) if done == 5 else None)
    again = training(12, name="half", network=Scaled(), weight_decay=0.5)
    again.resume()
    again.run()
    assert digest(again) == digest(whole)


@pytest.mark.parametrize("grouping", ["matrices", None])
def test_l1_is_of_what_counts_as_a_matrix_in_this_training(training, grouping):
    network, logits, labels = Scaled(), torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    made = training(network=network, l1=0.1, label_smoothing=0.0)
    made.grouping = grouping
    sizes = network.head.weight.abs().sum() + (64.0 if grouping is None else 0.0)  # 64 scales of 1, biases of 0
    torch.testing.assert_close(made._loss(logits, labels), F.cross_entropy(logits, labels) + 0.1 * sizes)


def test_a_resumed_training_whose_steps_are_recorded_keeps_its_rates_on_the_device(training, monkeypatch):
    """In a recording a number would stay what it was."""
    with pytest.raises(Stopped):
        training(12).run(progress=lambda _, done, *__: os.kill(os.getpid(), signal.SIGINT) if done == 5 else None)
    monkeypatch.setattr("convlens.training.loop.can_record", lambda device: True)
    monkeypatch.setattr("convlens.training.loop.Replayed", lambda learn, network: learn)
    tensors, facts = read_checkpoint(training(12).folder.last)
    del facts["grouping"]
    monkeypatch.setattr("convlens.training.loop.read_checkpoint", lambda path: (tensors, facts))
    again = training(12)
    again.resume()
    assert all(isinstance(group.rate, torch.Tensor) for group in again.optimiser.groups)


def test_state_of_other_shapes_is_one_clear_line(training):
    made = training(6)
    made.run()
    tensors, _ = read_checkpoint(made.folder.last)
    key = f"optimiser.{next(iter(made.optimiser.tensors()))}"
    with pytest.raises(RunError, match=r"the checkpoint is of another network \(state 0\..* is of \(1, 3\)"):
        restore(tensors | {key: torch.zeros(1, 3)}, made.network, made.optimiser, None)


def test_the_rate_of_the_history_is_the_schedule_s_and_not_a_group_s(training):
    made = training(6)
    made.optimiser.groups[0].scale = 0.025
    made.run()
    factor = rate_factor(made.recipe.schedule, progress_at(5, made.plan.segments))
    assert read_history(made.folder.history)[-1]["learning_rate"] == 0.01 * factor


def test_best_weights_are_those_of_the_best_epoch(training):
    made = training(24, learning_rate=0.1)
    made.run()
    rows = read_history(made.folder.history)
    best = max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert made.tally.best_step == best["step"]
    made.network.load_state_dict(read_weights(made.folder.best))
    loss, accuracy = loss_and_accuracy(made.val_logits(), made.task.val_labels)
    assert (accuracy, loss) == (best["val_accuracy"], best["val_loss"])


def test_a_run_is_written_and_the_checkpoint_for_resuming_dropped(training):
    made = training(12)
    made.run()
    run = finish(made)
    assert run.manifest.metrics["val"]["num_pictures"] == 24
    assert run.temperature > 0
    assert not made.folder.last.exists() and made.folder.best.exists()


@pytest.fixture
def clock(monkeypatch) -> Callable[[float], list[float]]:
    """clock(10.0) -> [10.0], which is the time from then on: for this thread alone, as others wait by the real one."""

    def start(at: float) -> list[float]:
        now, real, here = [at], time.monotonic, threading.get_ident()
        monkeypatch.setattr(time, "monotonic", lambda: now[0] if threading.get_ident() == here else real())
        return now

    return start


def test_a_budget_plans_the_rest_at_the_pace_measured(training, clock):
    """With a clock on which every step takes a second, a budget of 50 s ends after about 50 steps."""
    now = clock(1000.0)
    made = training(10_000)
    made.budget = Budget(50.0, started=1000.0)

    def step(*_):
        now[0] += 1.0

    made.run(progress=step)
    assert 47 <= made.tally.step <= 50
    assert len(made.plan.segments) >= 5
    assert made.plan.total_steps == made.tally.step


def test_a_machine_that_slows_down_still_ends_in_time(training, clock):
    now = clock(0.0)
    made = training(10_000)
    made.budget = Budget(100.0, started=0.0)

    def step(*_):
        now[0] += 0.5 if now[0] < 50 else 1.5

    made.run(progress=step)
    assert 93 <= now[0] <= 103


@pytest.mark.parametrize("late", [0.0, 4.0, 1000.0])
def test_a_budget_that_is_used_up_before_the_first_step_ends_after_one(training, late):
    made = training(10_000)
    made.budget = Budget(4.0, started=time.monotonic() - 4.0 - late)
    made.run()
    assert made.tally.step == made.plan.total_steps == 1
    assert len(read_history(made.folder.history)) == 1


def test_a_step_that_takes_most_of_the_budget_is_not_followed_by_many(training, clock):
    now = clock(0.0)
    made = training(10_000)
    made.budget = Budget(20.0, started=0.0)

    def step(*_):
        now[0] += 7.0

    made.run(progress=step)
    assert made.tally.step <= 3


def test_a_budget_interrupted_before_its_first_look_goes_on_with_what_is_left(training, clock):
    now = clock(100.0)
    first = training(10_000, budget_s=50.0)
    first.budget = Budget(50.0, started=90.0)
    first.save()
    now[0] = 5000.0
    second = training(10_000, budget_s=50.0)

    def step(*_):
        now[0] += 1.0

    go_on(second.network, second.task, second.recipe, second.plan, second.folder, progress=step)
    steps = read_history(second.folder.history)[-1]["step"]
    assert 36 <= steps <= 40
