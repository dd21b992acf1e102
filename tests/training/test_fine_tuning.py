"""Fine-tuning: the head first, from its optimum; then all layers, the earlier the slower, norms as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import convlens.zoo as zoo
from convlens.data import Augment, Batches
from convlens.errors import Stopped
from convlens.pictures import Preprocess
from convlens.runs import Run
from convlens.storage import sha256_file
from convlens.training.head_first import fit_classifier, softmax_regression
from convlens.training.precision import Choice
from convlens.training.rates import RATES, build_optimiser
from convlens.training.recipe import Recipe
from convlens.workbench import train

CHOICE = Choice("fp32", "channels_first", 1)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*body, nn.Dropout(0.5), nn.Linear(8, 3)).train()


def colours(count: int = 90) -> Batches:
    """Noise whose mean is red, green or blue: (N, 3, 12, 12), larger than the 10 px that the network sees."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 3
    pixels = draw.integers(0, 200, (count, 3, 12, 12))
    pixels[np.arange(count), labels] += 50
    preprocess = Preprocess((10, 10))
    tensors = torch.from_numpy(pixels.astype(np.uint8)), torch.from_numpy(labels.astype(np.int64))
    return Batches(*tensors, preprocess, Augment(), batch=30, seed=0)


def accuracy(model: nn.Module, batches: Batches) -> float:
    images = batches.preprocess.normalise(batches.pixels[:, :, 1:11, 1:11])
    with torch.no_grad():
        return float((model.eval()(images).argmax(1) == batches.labels).double().mean())


def test_a_fitted_classifier_reads_what_a_fresh_one_cannot() -> None:
    model, batches = network(), colours()
    fresh = accuracy(model.train(), batches)
    assert fit_classifier(model, "6", batches, CHOICE)
    assert accuracy(model, batches) > 0.9 > fresh + 0.2


def test_only_the_classifier_changes_and_no_hook_or_mode_is_left_behind() -> None:
    model, batches = network(), colours()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit_classifier(model, "6", batches, CHOICE)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"6.weight", "6.bias"}
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert [module.training for module in model] == [True, False, True, True, True, True, True]


class Times(nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits / 8


class Squares(nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.square()


HEADS = {
    "a convolution": [nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
    "SqueezeNet's": [nn.Conv2d(3, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
    "no bias, and a factor": [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3, bias=False), Times()],
}


@pytest.mark.parametrize("head", HEADS)
def test_other_classifiers_are_fitted_too(head: str) -> None:
    model, batches = nn.Sequential(*HEADS[head]), colours()
    place = next(name for name, module in model.named_modules() if hasattr(module, "weight"))
    assert fit_classifier(model, place, batches, CHOICE)
    assert accuracy(model, batches) > 0.9
    with torch.no_grad():
        logits = model(batches.preprocess.normalise(batches.pixels[:, :, 1:11, 1:11]))
    assert nn.functional.cross_entropy(logits, batches.labels, label_smoothing=0.1) < 0.7


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 3, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten()],
        [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3), Squares()],
        [nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5), nn.Linear(5, 3)],
    ],
    ids=["the largest of a map", "their squares", "of 3 x 3", "not the last"],
)
def test_what_does_not_give_the_logits_is_left_to_the_steps(layers: list[nn.Module]) -> None:
    model = nn.Sequential(*layers)
    place, layer = next((name, module) for name, module in model.named_modules() if hasattr(module, "weight"))
    before = [parameter.clone() for parameter in layer.parameters()]
    assert not fit_classifier(model, place, colours(), CHOICE)
    assert all(torch.equal(*pair) for pair in zip(layer.parameters(), before, strict=True))


def test_time_that_is_up_leaves_the_first_pictures_to_go_by() -> None:
    model, batches = network(), colours(900)
    assert fit_classifier(model, "6", batches, CHOICE, until=0.0)
    assert accuracy(model, batches) > 0.9


def test_the_softmax_regression_is_at_its_optimum_whatever_the_scale_of_a_feature() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(200, 5), torch.randint(0, 4, (200,))
    weight, bias = softmax_regression(features, labels, 4)
    again, bias_again = softmax_regression(features * torch.tensor([1.0, 10, 100, 0.1, 1]) + 3, labels, 4)
    logits = features @ weight.T + bias
    other = (features * torch.tensor([1.0, 10, 100, 0.1, 1]) + 3) @ again.T + bias_again
    torch.testing.assert_close(logits, other, atol=2e-2, rtol=2e-2)
    probabilities = torch.softmax(logits, 1).mean(0)
    smoothed = 0.9 * torch.bincount(labels, minlength=4) / 200 + 0.1 / 4
    torch.testing.assert_close(probabilities, smoothed, atol=1e-3, rtol=1e-3)  # as the unpenalised biases ask


def test_every_parameter_has_one_rate_and_earlier_layers_learn_slower() -> None:
    model = zoo.create("mobilenet_v2", num_classes=5, image_size=32, width=0.25)
    built = build_optimiser(model, Recipe(), pretrained=True)
    built.set_rate(2.0)
    rates = {id(p): group.rate for group in built.groups for p in group.parameters}
    assert sorted(rates) == sorted(id(p) for p in model.parameters())
    assert sum(len(group.parameters) for group in built.groups) == len(rates)
    in_order = [rates[id(p)] for p in model.parameters()]
    assert in_order == sorted(in_order)
    assert sorted(set(in_order)) == [2 * rate for rate in RATES]
    assert {rates[id(p)] for p in model.head.parameters()} == {2.0}


def test_only_what_makes_a_number_of_several_decays_whatever_its_shape() -> None:
    model = nn.Sequential(nn.LayerNorm([8, 4, 4]), nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3)))
    model.append(nn.Conv2d(8, 8, 3, groups=8)).append(zoo.create("lenet5_1998"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for optimiser in ("adamw", "muon"):
        built = build_optimiser(model, Recipe(optimiser=optimiser, weight_decay=0.1))
        decayed = {names[id(p)] for group in built.groups if group.weight_decay for p in group.parameters}
        assert {"1.parametrizations.weight.original1", "2.weight", "3.head.f6.weight"} <= decayed
        assert not decayed & {"0.weight", "0.bias", "1.parametrizations.weight.original0"}
        assert not [name for name in decayed if name.startswith(("3.stages.s2", "3.stages.s4"))]


def test_a_network_from_scratch_has_one_rate() -> None:
    built = build_optimiser(network(), Recipe())
    built.set_rate(0.5)
    assert {group.rate for group in built.groups} == {0.5}


def test_a_weight_that_two_layers_share_is_moved_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    built = build_optimiser(model, Recipe(lookahead=0.5))
    assert sorted(id(p) for group in built.groups for p in group.parameters) == sorted(map(id, model.parameters()))


@pytest.fixture
def tuned(tmp_path: Path) -> dict:
    """Options of a fine-tuning of two steps an epoch: twelve photographs, and weights of another number of classes."""
    for number in range(40):
        shade = np.random.default_rng(number).integers(0, 150, (48, 48, 3))
        shade[..., number % 2] += 100
        (tmp_path / "data" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(shade.astype(np.uint8)).save(tmp_path / "data" / "ab"[number % 2] / f"{number}.png")
    source = zoo.create("mobilenet_v2", num_classes=7, image_size=32, width=0.25)
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    return {
        "data": tmp_path / "data", "model": "mobilenet_v2", "weights": str(tmp_path / "w.pth"), "image_size": 32,
        "epochs": 2, "precision": "fp32", "threads": 1, "out": tmp_path / "run",
    }  # fmt: skip


def test_norms_keep_their_statistics_and_all_other_tensors_learn(tuned) -> None:
    run = Run.load(train(**tuned).run)
    assert run.manifest.plan["pretrained"] is True
    assert run.manifest.plan["classifier"] == "head.linear"
    assert run.manifest.architecture["options"] == {"width": 0.25}
    source = torch.load(tuned["weights"], weights_only=True)
    for name, tensor in run.model.state_dict().items():
        kept = tensor.shape == source[name].shape and torch.equal(tensor, source[name])
        assert kept == ("running" in name or "num_batches" in name), name


def test_a_fine_tuning_that_was_interrupted_ends_with_the_same_bits(tuned, tmp_path) -> None:
    whole = sha256_file(train(**tuned).run / "weights.safetensors")

    def stop(stage: str, done: int, total: int, detail: str) -> None:
        if stage == "train" and done == 3:
            raise Stopped("enough", 130)

    again = {**tuned, "out": tmp_path / "again", "checkpoint_seconds": 1e-6}
    with pytest.raises(Stopped):
        train(**again, progress=stop)
    run = train(resume=tmp_path / "again").run
    assert sha256_file(run / "weights.safetensors") == whole
