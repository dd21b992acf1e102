"""Who watches a training sees it as it is, can stop it, and changes nothing of it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from convlens.errors import Stopped
from convlens.runs import read_history
from convlens.training import watching
from convlens.training.checkpoint import read_checkpoint
from convlens.training.watching import Watch, as_filters, first_layer
from convlens.zoo import create


class EveryStep(Watch):
    """Looks as often as it can, and remembers what it saw of the filters."""

    def look(self, training):
        self._looked = self._copied = 0.0
        super().look(training)


def watched(made, watch: Watch):
    made.watch = watch
    made.run(progress=watch.beside(None))
    return made


def test_watching_changes_no_bit_and_draws_no_number(training):
    plain = training(12, "plain")
    plain.run()
    seen = watched(training(12, "watched"), EveryStep())
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, seen.network.state_dict()[name])
    rows = [read_history(made.folder.history) for made in (plain, seen)]
    timed = ("images_per_second", "seconds")
    one, other = ([{k: v for k, v in row.items() if k not in timed} for row in each] for each in rows)
    assert one == other


def test_it_tells_of_every_step_and_epoch_and_of_the_filters_as_they_are(training):
    watch = EveryStep()
    made = watched(training(12), watch)
    assert watch.phase == "train"
    assert (watch.reached.step, watch.reached.total_steps) == (12, 12)
    assert (watch.reached.epoch, watch.reached.epochs, watch.reached.seconds_left) == (2, 2, 0)
    assert watch.rows == read_history(made.folder.history)
    assert [point.step for point in watch.points] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]  # epochs end at 6 and 12
    first = np.mean([point.loss for point in watch.points[:5]])
    assert watch.rows[0]["loss"] == pytest.approx(first, rel=0.2)
    assert np.array_equal(watch.filters, made.network[0].weight.detach().numpy())
    before = watch.filters.copy()
    with torch.no_grad():
        made.network[0].weight.zero_()
    assert np.array_equal(watch.filters, before), "what is shown is a copy"


def test_stages_that_come_before_the_first_step_are_over_with_it(training):
    watch, made = EveryStep(), training(2)
    hear, seen = watch.beside(None), []
    made._begin = lambda progress: hear("features", 1, 2)
    watch.end_epoch = lambda row: seen.append(watch.phase)
    made.watch = watch
    made.run(progress=lambda *_: seen.append(watch.phase))
    assert (seen[0], watch.phase) == ("features", "train")


def test_a_stop_that_was_asked_for_saves_as_ctrl_c_does_and_goes_on_to_the_same_weights(training):
    whole = training(12, "whole")
    whole.run()

    class Stopping(EveryStep):
        def look(self, training):
            super().look(training)
            if training.tally.step == 7:
                threading.Thread(target=self.stop).start()
                while not self.stop_asked:
                    time.sleep(0.001)

    first = training(12, "stopped")
    with pytest.raises(Stopped, match="stopped and saved at step 7 of 12; go on with: convlens train --resume") as told:
        watched(first, Stopping())
    assert told.value.exit_status == 130
    second, watch = training(12, "stopped"), EveryStep()
    second.resume()
    watched(second, watch)
    assert [row["step"] for row in watch.rows] == [6, 12], "what came before the stop is there"
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])


def test_a_long_curve_is_thinned_and_ends_where_the_training_is(training, monkeypatch):
    monkeypatch.setattr(watching, "MOST_POINTS", 16)
    watch = EveryStep()
    watched(training(60), watch)
    assert 8 < len(watch.points) <= 16
    assert watch.points[0].step == 1
    assert watch.points[-1].step == 59
    assert sorted(point.step for point in watch.points) == [point.step for point in watch.points]


def test_stages_before_the_first_step_are_told_and_handed_on():
    heard: list[tuple] = []
    watch = Watch()
    hear = watch.beside(lambda *told: heard.append(told))
    hear("decode", 3, 1797)
    assert (watch.phase, watch.words, watch.version) == ("decode", "3 of 1,797", 1)
    hear("decode", 4, 1797)
    assert watch.version == 1, "not faster than anyone reads"
    hear("train", 1, 10, "loss 1")
    assert heard == [("decode", 3, 1797, ""), ("decode", 4, 1797, ""), ("train", 1, 10, "loss 1")]


@pytest.mark.parametrize(
    ("name", "first", "kernel"), [("lenet5", "stages.c1", (6, 1, 5, 5)), ("perceptron", None, (10, 1, 28, 28))]
)
def test_the_first_layer_is_what_sees_the_pictures(name, first, kernel):
    shape = (1, 28, 28)
    network = create(name, num_classes=10, in_channels=1, image_size=28)
    layer = first_layer(network, shape)
    assert first in (None, layer)
    assert as_filters(network.get_submodule(layer).weight, shape).shape == kernel
    assert first_layer(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), shape) is None
    assert first_layer(nn.Sequential(nn.Flatten()), shape) is None


def test_a_checkpoint_names_the_layer_whose_filters_others_may_look_at(training):
    made = training(6)
    made.run()
    tensors, facts = read_checkpoint(made.folder.last)
    assert f"network.{facts['first_layer']}.weight" in tensors
