"""Which network reads which pictures, at which size and how: stated rules, and a plan for the time."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import convlens.zoo as room
from convlens.data import Augment
from convlens.errors import DownloadError, UsageError
from convlens.runs import Run, read_weights
from convlens.training import Recipe
from convlens.workbench import create
from convlens.workbench import design as design_file
from convlens.workbench import planner as planner_file
from convlens.workbench.design import Request, design, picture_side
from convlens.workbench.gather import gather
from convlens.workbench.planner import PHOTO, TUNED, Candidate, candidates, choose_candidate, wanted_epochs
from convlens.workbench.task import chosen_augment, class_balance, default_augment, prepare, with_statistics


def silent(_):
    pass


@pytest.fixture
def pictures(tmp_path):
    """pictures(height, width, grey=False) -> a gathered folder of two classes of that size."""

    def make(height, width, grey=False, count=12):
        source = tmp_path / f"{height}x{width}{grey}"
        if source.exists():
            return gather(source, tell=silent)
        draw = np.random.default_rng(height * 1000 + width)
        for name in ("cat", "dog"):
            (source / name).mkdir(parents=True)
            for number in range(count):
                shape = (height, width) if grey else (height, width, 3)
                Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(source / name / f"{number}.png")
        return gather(source, tell=silent)

    return make


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise DownloadError("cannot download weights (no network); put the file somewhere")

    monkeypatch.setattr("convlens.storage.download", refuse)


def designed(gathered, tell=silent, recipe=None, **ask):
    return design(Request(**ask), gathered, recipe or Recipe(epochs=1), started=time.monotonic(), tell=tell)


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [(8, 8, 28), (28, 28, 28), (32, 40, 32), (64, 64, 64), (70, 90, 64), (130, 300, 128), (500, 400, 224)],
)
def test_small_pictures_keep_their_size_and_photographs_come_in_steps(pictures, height, width, side):
    assert picture_side(pictures(height, width, count=3)) == side


def test_long_pictures_are_letterboxed_and_others_cropped(pictures):
    assert designed(pictures(40, 60), model="lenet5").preprocess.fit == "crop"
    assert designed(pictures(30, 90), model="lenet5").preprocess.fit == "letterbox"
    assert designed(pictures(30, 91), model="lenet5", fit="resize").preprocess.fit == "resize"


@pytest.mark.parametrize(
    ("height", "width", "fit", "says"),
    [(40, 56, "auto", True), (40, 42, "auto", False), (40, 56, "crop", False), (300, 400, "auto", False)],
)
def test_what_a_crop_of_small_pictures_leaves_out_is_said(pictures, height, width, fit, says):
    told = []
    designed(pictures(height, width), told.append, model="lenet5", image_size=28, fit=fit)
    line = "of pictures 1.4 times as long as wide the middle 71% of their length is seen; "
    assert [one for one in told if "the middle" in one] == [line + "--fit letterbox keeps both ends"] * says


def test_grey_pictures_make_a_network_of_one_channel(pictures):
    made = designed(pictures(28, 28, grey=True), model="lenet5")
    assert made.preprocess.channels == made.architecture["in_channels"] == 1


def test_a_zoo_network_reads_photographs_at_its_papers_size_and_says_that_it_starts_from_scratch(pictures):
    told = []
    made = designed(pictures(300, 300, count=4), tell=told.append, model="mobilenet_v3_small")
    assert made.preprocess.size == (224, 224)
    assert not made.pretrained and made.weights == "scratch"
    assert any("cannot download" in line for line in told) and any("from scratch" in line for line in told)


def test_weights_that_were_asked_for_and_cannot_be_had_are_an_error(pictures):
    with pytest.raises(DownloadError):
        designed(pictures(300, 300, count=4), model="mobilenet_v3_small", weights="imagenet")


def test_a_file_of_weights_is_fine_tuned(pictures, tmp_path):
    from safetensors.torch import save_file

    source = room.create("lenet5", num_classes=10, in_channels=3, image_size=32)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    made = designed(pictures(32, 32), model="lenet5", weights=str(tmp_path / "w.safetensors"))
    assert made.pretrained
    first = next(iter(source.state_dict()))
    assert torch.equal(made.network.state_dict()[first], source.state_dict()[first])


def test_weights_of_a_run_bring_its_statistics_and_may_be_grey(pictures, trained_run):
    made = designed(pictures(28, 28, grey=True), model="lenet5", weights=str(trained_run / "weights.safetensors"))
    before = Run.load(trained_run)
    assert made.pretrained and made.has_statistics and made.preprocess.channels == 1
    assert made.preprocess.mean == before.preprocess.mean and made.preprocess.std == before.preprocess.std


@pytest.mark.parametrize("grey", [True, False])
def test_weights_of_one_channel_say_that_colours_are_not_seen(pictures, tmp_path, grey):
    path, told = tmp_path / "w.pt", []
    torch.save(room.create("lenet5", num_classes=2, in_channels=1, image_size=28).state_dict(), path)
    made = designed(pictures(28, 28, grey=grey), told.append, model="lenet5", weights=str(path))
    line = "pictures are read as greys: the weights are of a network of one channel; --weights none learns colours"
    assert made.preprocess.channels == 1 and (line in told) != grey


def written(path, classes):
    """The folder of a run of LeNet-5 with these classes, made by `create`."""
    return create("lenet5", classes=classes, image_size=28, in_channels=3, out=path).run


def as_if_trained(run):
    """The weights of a run by `create`, as if some training had made them."""
    manifest = run / "run.json"
    manifest.write_text(manifest.read_text().replace('"from": "random"', '"from": "scratch"'))
    return str(run / "weights.safetensors")


def test_a_run_is_fine_tuned_with_its_options_at_its_size(pictures, tmp_path):
    """Of another width or another stem its tensors would fit nothing."""
    options = {"width": 0.25, "padding": "same"}
    run = create("mobilenet_v2", model_options=options, num_classes=5, image_size=64, out=tmp_path / "run").run
    made = designed(pictures(28, 28), model="mobilenet_v2", weights=as_if_trained(run))
    assert made.architecture["options"] == options
    assert made.preprocess.size == (64, 64)
    assert made.classifier == "head.linear"
    assert designed(pictures(28, 28), weights=as_if_trained(run)).network.architecture == made.network.architecture


def test_a_file_of_weights_needs_the_network_it_belongs_to(pictures, tmp_path):
    torch.save(room.create("lenet5", num_classes=2, image_size=28).state_dict(), tmp_path / "w.pt")
    with pytest.raises(UsageError, match="name it with --model"):
        designed(pictures(28, 28), weights=str(tmp_path / "w.pt"))


def test_weights_of_a_network_of_one_s_own_are_its_own_affair(copied_run):
    """What --model or --network would answer is said at once."""
    weights, manifest = str(copied_run / "weights.safetensors"), copied_run / "run.json"
    described = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**described, "architecture": {"network": "net.py:Net"}}))
    remedy = "load the weights of a network of your own in its __init__, and leave --weights out$"
    with pytest.raises(UsageError, match=f"is of a network of your own, --network net.py:Net; {remedy}"):
        Request(weights=weights)
    with pytest.raises(UsageError, match=f"--weights {weights} came with --network; {remedy}"):
        Request(weights=weights, network="net.py:Net")


def test_imagenet_weights_that_were_asked_for_are_never_left_out_silently(pictures, monkeypatch):
    monkeypatch.setattr(planner_file, "training_speed", lambda *_: 1e9)
    with pytest.raises(DownloadError):
        designed(pictures(28, 28), weights="imagenet")


def test_no_further_candidate_is_timed_once_that_has_taken_its_share(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(planner_file.time, "perf_counter", lambda: now[0])

    def slow(*_):
        now[0] += 10
        return 0.1

    monkeypatch.setattr(planner_file, "training_speed", slow)
    offered = [Candidate(name, 32) for name in "abcd"]
    chosen, measured = choose_candidate(offered, num_pictures=1000, channels=3, num_classes=2, seconds=100, tuned=False)
    assert chosen.name == "d" and [row["name"] for row in measured] == ["a"]


def test_the_seed_decides_the_first_weights(pictures):
    gathered = pictures(28, 28)
    networks = [designed(gathered, model="lenet5", recipe=Recipe(epochs=1, seed=seed)).network for seed in (1, 1, 2)]
    first, same, other = (next(network.parameters()) for network in networks)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_an_unknown_network_names_the_nearest(pictures):
    with pytest.raises(UsageError, match="resnet50"):
        designed(pictures(28, 28), model="resnet5")


def test_the_first_candidate_that_fits_the_time_is_taken(monkeypatch):
    speeds = {"slow": 10.0, "middle": 100.0, "fast": 1000.0}
    monkeypatch.setattr(planner_file, "training_speed", lambda candidate, *_: speeds[candidate.name])
    offered = [Candidate(name, 32) for name in speeds]

    def chosen(seconds):
        return choose_candidate(offered, num_pictures=1000, channels=3, num_classes=2, seconds=seconds, tuned=False)

    needed = wanted_epochs(1000, tuned=False) * 1000
    assert chosen(needed / 10)[0].name == "slow"
    assert chosen(needed / 50)[0].name == "middle"
    assert chosen(6.0)[0].name == "fast"
    assert chosen(1.0) == (offered[-1], ())
    assert [row["name"] for row in chosen(needed / 50)[1]] == ["slow", "middle"]


def test_a_resolution_that_was_asked_for_is_kept(pictures, monkeypatch):
    monkeypatch.setattr(planner_file, "training_speed", lambda *_: 1e9)
    made = designed(pictures(300, 300, count=4), image_size=96)
    assert made.preprocess.size == (96, 96)
    assert len(made.measured) == 1


def test_every_candidate_can_be_built():
    for table, tuned in ((PHOTO, False), (TUNED, True)):
        for candidate in candidates(200, 3, tuned=tuned):
            room.create(candidate.name, num_classes=3, image_size=candidate.image_size, **candidate.options)
        assert table
    for channels in (1, 3):
        for candidate in candidates(28, channels, tuned=False):
            room.create(candidate.name, num_classes=3, in_channels=channels, image_size=28, **candidate.options)


def test_tuned_weights_are_tried_before_a_photograph_is_learnt_from_scratch(pictures, monkeypatch):
    monkeypatch.setattr(planner_file, "training_speed", lambda *_: 1e9)
    asked = []
    monkeypatch.setattr(design_file, "_can_load", lambda name, _: bool(asked.append(name)))
    assert designed(pictures(200, 200, count=4)).label == PHOTO[0][0]
    assert asked == [TUNED[0][0]]


def test_the_mean_is_that_of_whole_pictures_even_when_they_are_letterboxed(pictures):
    gathered = pictures(30, 90)
    made = designed(gathered, model="lenet5")
    measured = with_statistics(made.preprocess, gathered)
    assert measured.fit == "letterbox"
    assert all(0.4 < mean < 0.6 for mean in measured.mean)  # noise of 0 to 255, no ground


def test_photographs_are_kept_larger_than_they_are_read(pictures):
    gathered = pictures(120, 120)
    made = designed(gathered, model="lenet5", image_size=70)
    lessons = prepare(gathered, made.preprocess, default_augment(made.preprocess), Recipe())
    assert lessons.train_pixels.shape[2:] == (80, 80) and lessons.val_pixels.shape[2:] == (70, 70)
    assert lessons.train_pixels.is_contiguous(memory_format=torch.channels_last)  # crops are twice as fast
    assert lessons.batches(4, seed=0)(0)[0].shape == (4, 3, 70, 70)


@pytest.mark.parametrize(("side", "kept"), [(400, 80), (80, 80), (74, 74), (70, 70), (50, 50)])
def test_photographs_are_never_kept_larger_than_they_are(pictures, side, kept):
    gathered = pictures(side, side + 30, count=4)
    preprocess = designed(gathered, model="lenet5", image_size=70, fit="crop").preprocess
    lessons = prepare(gathered, preprocess, default_augment(preprocess), Recipe())
    assert lessons.train_pixels.shape[2:] == (kept, kept)
    assert lessons.batches(4, seed=0)(0)[0].shape == (4, 3, 70, 70)


def test_shuffled_labels_are_the_same_ones_on_other_pictures_and_nothing_is_validated(pictures):
    gathered = pictures(40, 40, count=40)
    preprocess, said = designed(gathered, model="lenet5").preprocess, []
    given = (gathered, preprocess, default_augment(preprocess))
    plain = prepare(*given, Recipe())
    shuffled = prepare(*given, Recipe(shuffle_labels=True), tell=said.append)
    assert torch.equal(plain.train_pixels, shuffled.train_pixels)
    assert torch.equal(plain.train_labels.sort().values, shuffled.train_labels.sort().values)
    assert not torch.equal(plain.train_labels, shuffled.train_labels)
    assert len(plain.val_labels) and not len(shuffled.val_labels) and "shuffled" in said[-1]
    assert torch.equal(shuffled.train_labels, prepare(*given, Recipe(shuffle_labels=True)).train_labels)
    other = prepare(*given, Recipe(shuffle_labels=True, seed=1)).train_labels
    assert not torch.equal(shuffled.train_labels, other)


def test_grey_pictures_are_never_mirrored(pictures):
    grey = designed(pictures(28, 28, grey=True), model="lenet5").preprocess
    colour = designed(pictures(28, 28), model="lenet5").preprocess
    assert not default_augment(grey).flip and default_augment(colour).flip


def test_what_is_named_changes_the_usual_augmentation_and_false_turns_it_off(pictures):
    preprocess = designed(pictures(28, 28), model="lenet5").preprocess
    usual = default_augment(preprocess)
    assert chosen_augment(True, preprocess) == chosen_augment({}, preprocess) == usual
    assert chosen_augment({"rotate": 10}, preprocess) == replace(usual, rotate=10)
    assert chosen_augment(False, preprocess) == Augment()


def test_colours_of_grey_pictures_are_refused_before_they_are_decoded(pictures):
    grey = designed(pictures(28, 28, grey=True), model="lenet5").preprocess
    with pytest.raises(UsageError, match=r"saturation came as 0\.2, and these pictures are grey"):
        chosen_augment({"saturation": 0.2}, grey)


def test_class_weights_let_every_class_count_the_same():
    labels = torch.tensor([0] * 8 + [1] * 2)
    weights = class_balance(labels, 3)
    assert weights.tolist() == pytest.approx([10 / 24, 10 / 6, 0])


@pytest.mark.parametrize(
    ("classes", "classifier"),
    [(["cat", "dog"], None), (["dog", "cat"], "head.linear3"), (["a", "b"], "head.linear3")],
)
def test_a_classifier_of_other_classes_is_fitted_anew(pictures, tmp_path, classes, classifier):
    gathered, said = pictures(28, 28), []
    weights = as_if_trained(written(tmp_path / "run", classes))
    made = designed(gathered, said.append, model="lenet5", weights=weights)
    assert made.pretrained and (made.classifier is None) == (classifier is None)
    assert any("is learnt anew" in line for line in said) == (classifier is not None)
    if classifier is not None:
        assert made.classifier == list(made.network.state_dict())[-1].rpartition(".")[0]


@pytest.mark.parametrize(
    ("model", "path"), [("squeezenet1_1", "head.conv"), ("lenet5_1998", "head.f6"), ("sprint_cifar", "head.classifier")]
)
def test_a_last_layer_of_other_classes_is_drawn_anew(pictures, tmp_path, model, path):
    size = None if model == "lenet5_1998" else 64 if model == "squeezenet1_1" else 32
    channels = {} if size is None else {"in_channels": 3}
    run = create(model, classes=["a", "b"], image_size=size, seed=7, out=tmp_path / "run", **channels).run
    kept = read_weights(run / "weights.safetensors")
    made = designed(pictures(32, 32, grey=size is None), model=model, weights=as_if_trained(run), image_size=size)
    assert made.classifier == path
    for name, value in made.network.state_dict().items():
        begins_anew = name.startswith(f"{path}.") and bool(value.any())  # a bias of SqueezeNet's begins at 0
        assert torch.equal(value, kept[name]) != begins_anew, name


def test_a_classifier_that_nothing_is_known_of_is_fitted_anew(pictures, tmp_path):
    weights = as_if_trained(written(tmp_path / "run", ["cat", "dog"]))
    alone = tmp_path / "some.safetensors"
    alone.write_bytes((tmp_path / "run" / "weights.safetensors").read_bytes())
    said = []
    assert designed(pictures(28, 28), said.append, model="lenet5", weights=str(alone)).classifier is not None
    assert designed(pictures(28, 28), said.append, model="lenet5", weights=weights).classifier is None


def test_weights_that_create_made_at_random_are_no_training(pictures, tmp_path):
    run, said = written(tmp_path / "run", ["cat", "dog"]), []
    made = designed(pictures(28, 28), said.append, model="lenet5", weights=str(run / "weights.safetensors"))
    assert not made.pretrained and made.classifier is None and made.weights == "scratch"
    assert "these weights were made at random, by `create`: all layers learn as from scratch" in said
