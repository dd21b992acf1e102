"""The verb: targets, layers, refusals, and the network given back as it was."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, UsageError
from convlens.explanation import METHODS, Explanation, Method, Question, check_method, explain
from convlens.explanation.contract import difference, network_state

# CAM is not defined for the plain network, which flattens its feature maps
CASES = [
    (method, network)
    for method in METHODS
    for network in ("residual", "plain")
    if (method, network) != ("cam", "plain")
]


@pytest.mark.parametrize(("method", "network"), CASES)
def test_every_method_keeps_the_contract(
    method: str, network: str, images: Tensor, request: pytest.FixtureRequest
) -> None:
    last = {"residual": "stages.2" if method == "cam" else "stages.0", "plain": "3"}[network]
    layer = last if METHODS[method].uses_layer else None
    assert len(check_method(method, request.getfixturevalue(network), images, layer=layer)) == 12


def test_the_default_layer_is_the_last_with_an_extent(residual: nn.Module, images: Tensor) -> None:
    found = explain(residual, images)
    assert found.layer is not None and found.layer.startswith("stages.2")
    np.testing.assert_array_equal(found.maps, explain(residual, images, layer=found.layer).maps)
    assert explain(residual, images, method="saliency").layer is None


@pytest.mark.parametrize("dashes", ["grad-cam", "Grad_CAM"])
def test_a_method_may_be_spelled_with_dashes(dashes: str, residual: nn.Module, images: Tensor) -> None:
    assert explain(residual, images, method=dashes).method == "grad_cam"


def test_the_predicted_class_is_explained_by_default(residual: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        predicted = residual(images).argmax(1).tolist()
    assert list(explain(residual, images, method="saliency").targets) == predicted


def test_a_target_function_explains_any_score(plain: nn.Module, images: Tensor) -> None:
    contrast = explain(plain, images, lambda logits: logits[:, 1] - logits[:, 2], method="saliency")
    assert contrast.targets == ()
    assert not np.allclose(contrast.maps, explain(plain, images, 1, method="saliency").maps)


MIXING = {
    "a mean over the pictures": lambda logits: logits[:, 0] * logits[:, 0].mean(),
    "a softmax over the pictures": lambda logits: logits.softmax(0)[:, 1],
    "the first picture": lambda logits: logits[:, 1] - logits[0, 1],
    "the picture before": lambda logits: logits[:, 1] - logits[:, 1].roll(1),
}


@pytest.mark.parametrize("mixing", MIXING)
def test_a_target_function_that_mixes_pictures_is_refused(mixing: str, plain: nn.Module, images: Tensor) -> None:
    for method in ("saliency", "occlusion"):
        with pytest.raises(UsageError, match="gives a picture another number beside other pictures"):
            explain(plain, images, MIXING[mixing], method=method)
    assert explain(plain, images[:1], MIXING[mixing], method="occlusion").maps.shape == (1, *images.shape[2:])


def test_a_target_function_may_know_the_pictures_by_their_place(
    plain: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes, asked = torch.tensor([2, 0, 1]), []

    def theirs(logits: Tensor) -> Tensor:
        asked.append(len(logits))
        return logits.log_softmax(1)[torch.arange(3), classes]

    together = explain(plain, images, theirs, method="saliency").maps
    assert len(asked) == 5  # once for the map, and beside two times two other halves
    monkeypatch.setattr("convlens.explanation.memory.BOUND", 1)
    np.testing.assert_allclose(explain(plain, images, theirs, method="saliency").maps, together, rtol=1e-5, atol=1e-7)


WRONG = [
    (5, "target 5 is not a class of this network; it has 0 to 4"),
    (-1, "target -1 is not a class"),
    ([0, 1], r"\(2,\) targets for 3 pictures"),
    (torch.tensor([0.0, 1.0, 2.0]), "integers"),
    (lambda logits: logits.sum(), "one number a picture"),
]


@pytest.mark.parametrize(("target", "message"), WRONG)
def test_a_wrong_target_is_refused(target: object, message: str, residual: nn.Module, images: Tensor) -> None:
    before = network_state(residual)
    with pytest.raises(UsageError, match=message):
        explain(residual, images, target, method="saliency")  # type: ignore[arg-type]
    assert difference(before, network_state(residual)) == ""


def test_wrong_pictures_are_refused(residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"float tensor \(N, C, H, W\).*uint8"):
        explain(residual, images.to(torch.uint8), method="saliency")
    with pytest.raises(UsageError, match=r"float tensor"):
        explain(residual, images[0], method="saliency")
    with pytest.raises(UsageError, match="no pictures"):
        explain(residual, images[:0], method="saliency")
    images[1, 0, 0, 0] = float("nan")
    with pytest.raises(UsageError, match="picture 1 holds NaN"):
        explain(residual, images, method="saliency")


def test_unknown_names_get_the_nearest(residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"no explanation method is called 'gradcam' \(near: grad_cam"):
        explain(residual, images, method="gradcam")
    with pytest.raises(UsageError, match=r"no layer is called 'stage.2'.*stages.2"):
        explain(residual, images, layer="stage.2")


def test_a_layer_for_a_method_that_looks_at_none_is_refused(residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match="saliency looks at no layer"):
        explain(residual, images, method="saliency", layer="stages")


def test_a_network_without_feature_maps_is_told_to_use_saliency(mlp: nn.Module, images: Tensor) -> None:
    with pytest.raises(ExplanationError, match="saliency"):
        explain(mlp, images)
    with pytest.raises(ExplanationError, match=r"gave no feature maps.*saliency"):
        explain(mlp, images, layer="1")
    assert explain(mlp, images, method="saliency").maps.any()


def test_a_layer_that_never_runs_is_refused(residual: nn.Module, images: Tensor) -> None:
    residual.unused = nn.Conv2d(3, 3, 1)
    with pytest.raises(ExplanationError, match="'unused' gave no feature maps"):
        explain(residual, images, layer="unused")


def test_a_layer_that_runs_several_times_is_told(residual: nn.Module, images: Tensor) -> None:
    assert explain(residual, images).note == ""
    twice = nn.Sequential(residual.stem[0], nn.Conv2d(8, 8, 3, padding=1))
    twice.append(twice[1]).append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten())
    found = explain(twice, images, 0, method="cam", layer="1")
    assert found.note == "layer '1' runs 2 times in a pass, and only what its last run gave was looked at"


def test_a_network_that_cuts_the_gradient_is_refused(images: Tensor) -> None:
    class Cut(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x)

    with pytest.raises(ExplanationError, match="no gradient to the pictures"):
        explain(Cut(nn.Flatten(), nn.Linear(3 * 32 * 24, 2)), images, method="saliency")


def test_an_output_that_is_not_logits_is_refused(images: Tensor) -> None:
    with pytest.raises(ExplanationError, match=r"gave \(3, 4, 30, 22\) for 3 pictures"):
        explain(nn.Conv2d(3, 4, 3), images, method="saliency")


def test_a_map_that_is_not_finite_is_never_shown(plain: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        plain[6].weight[2].fill_(float("nan"))
    with pytest.raises(ExplanationError, match="Saliency map of picture 0 holds NaN"):
        explain(plain, images, 2, method="saliency")


def test_a_map_of_zeros_is_said_to_be_empty_and_drawn_without_nan(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    nn.init.zeros_(model[3].weight)
    found = explain(model, images, 0, layer="0")
    assert found.note == "3 of 3 maps (Grad-CAM) are the same everywhere: nothing speaks for the class"
    assert not found.heat().any()


def test_heat_lies_in_0_to_1_and_keeps_zero(residual: nn.Module, images: Tensor) -> None:
    found = explain(residual, images, layer="stages.0")
    heat = found.heat()
    assert heat.shape == found.maps.shape and heat.dtype == np.float32
    assert heat.min() >= 0 and (heat.max((1, 2)) == 1).all()
    assert not heat[found.maps == 0].any()


def test_a_map_of_another_shape_or_a_method_of_the_user_is_checked(residual: nn.Module, images: Tensor) -> None:
    def coarse(question: Question) -> Tensor:
        question.target.score(question.model(question.images))
        return question.images.abs().sum(1)[:, ::4, ::4]

    mine = Method("mine", coarse, title="Mine", sign="0 and up", source="here")
    assert explain(residual, images, method=mine).maps.shape == (3, 32, 24)
    wrong = Method("wrong", lambda question: question.images.flatten(1), title="Wrong", sign="", source="")
    with pytest.raises(ExplanationError, match=r"wrong gave \(3, 2304\).*\(3, 32, 24\)"):
        explain(residual, images, method=wrong)
    wrong = Method("wrong", lambda question: question.images[..., ::2], title="Wrong", sign="", source="")
    with pytest.raises(
        ExplanationError, match=r"wrong gave \(3, 3, 32, 12\); attributions are as large as the pictures"
    ):
        explain(residual, images, method=wrong)


def test_the_mode_of_each_module_is_restored(residual: nn.Module, images: Tensor) -> None:
    residual.train()
    residual.stem.eval()  # as in fine-tuning with frozen statistics
    before = network_state(residual)
    explain(residual, images, layer="stages")
    assert difference(before, network_state(residual)) == ""


def test_threads_that_explain_one_network_do_not_disturb_each_other(residual: nn.Module, images: Tensor) -> None:
    expected = {m: explain(residual, images, method=m).maps for m in METHODS}
    before, wrong = network_state(residual), []

    def work(method: str) -> None:
        for _ in range(10):
            if not np.allclose(explain(residual, images, method=method).maps, expected[method], atol=1e-6):
                wrong.append(method)

    threads = [threading.Thread(target=work, args=(m,)) for m in (*METHODS, *METHODS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert difference(before, network_state(residual)) == ""


def test_wrappers_are_looked_through(residual: nn.Module, images: Tensor) -> None:
    bare = explain(residual, images)
    for wrapped in (nn.DataParallel(residual), torch.compile(residual, backend="eager")):
        found = explain(wrapped, images)
        assert found.layer == bare.layer
        np.testing.assert_array_equal(found.maps, bare.maps)
    with pytest.raises(UsageError, match=r"no layer is called 'module\.stem'; .* it is 'stem'"):
        explain(nn.DataParallel(residual), images, layer="module.stem")


def test_a_network_that_cannot_be_traced_does_not_keep_the_pictures(images: Tensor) -> None:
    class Odd(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            if pictures.shape[0] == 1:
                raise RuntimeError("not alone")
            return pictures.mean((2, 3))

    kept = weakref.ref(model := Odd())
    for _ in range(3):
        explain(model, images, 0, method="saliency")
    del model
    gc.collect()
    assert kept() is None


STRANGE = ["cat", ["a", "b", "c"], [1, None, 2], {"a": 1}, 10**30]


@pytest.mark.parametrize("target", STRANGE)
def test_a_target_of_another_kind_is_refused(target: object, residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match="the target came as"):
        explain(residual, images, target, method="saliency")  # type: ignore[arg-type]


def test_other_kinds_of_networks_methods_and_pictures_are_refused(residual: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"the network came as function; expected an nn\.Module"):
        explain(lambda x: x, images)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the method came as function"):
        explain(residual, images, method=lambda question: question.images)  # type: ignore[arg-type]
    with pytest.raises(ExplanationError, match=r"failed on pictures \(3, 2, 32, 24\) under saliency: Runtime"):
        explain(residual, images[:, :2], method="saliency")
    for value in (float("nan"), float("inf"), "much", True):
        with pytest.raises(UsageError, match="noise came as"):
            explain(residual, images, method="smooth_grad", noise=value)
    assert explain(residual, images, method="smooth_grad", samples=np.int64(2)).maps.any()


def test_a_method_that_asks_for_no_score_has_classes_too(residual: nn.Module, images: Tensor) -> None:
    light = Method("light", lambda question: question.images.abs().sum(1), title="Light", sign="", source="")
    assert len(explain(residual, images, method=light).targets) == 3
    with pytest.raises(ExplanationError, match="maps of all classes are the same"):
        check_method(light, residual, images)


class Attending(nn.Module):
    """A patch embedding, then attention over the patches."""

    def __init__(self, written_out: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head, self.written_out = nn.Linear(16, 4), written_out

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = (tokens @ tokens.transpose(1, 2)).softmax(-1) @ tokens if self.written_out else self.block(tokens)
        return self.head(tokens.mean(1))


def test_the_contract_takes_the_options_of_a_method(residual, images):
    assert len(check_method("occlusion", residual, images, window=9, stride=9)) == 12
    with pytest.raises(UsageError, match="windw"):
        check_method("occlusion", residual, images, windw=9)


@pytest.mark.parametrize("written_out", [False, True])
def test_a_patch_embedding_before_attention_is_not_chosen(written_out: bool) -> None:
    network, images = Attending(written_out).eval(), torch.randn(1, 3, 32, 32)
    with pytest.raises(ExplanationError, match=r"layer 'patches', attention mixes all positions .* use saliency"):
        explain(network, images, 1, method="grad_cam")
    assert explain(network, images, 1, method="grad_cam", layer="patches").maps.shape == (1, 32, 32)
    assert explain(network, images, 1, method="saliency").maps.any()


def test_signed_pixels_are_summed_up_to_be_seen() -> None:
    """A corner of shares that all speak for the class outshines one of stronger ones that cancel out."""
    checks = torch.ones(75, 75)
    checks[::2, ::2], checks[1::2, 1::2] = -1, -1
    maps = torch.zeros(1, 75, 75)
    maps[0, :20, :20], maps[0, 50:, 50:] = 0.5, 2 * checks[50:, 50:]
    shares = Explanation("any", maps.numpy(), (0,), None, "", attributions=maps[:, None].numpy(), signed=True)
    heat = shares.heat()[0]
    assert heat[10, 10] > 0.9 > 0.5 > np.abs(heat[60:65, 60:65]).max()
    plain = Explanation("any", maps.numpy(), (0,), None, "", signed=True).heat()[0]
    assert np.abs(plain[60, 60]) == 1 and plain[10, 10] == 0.25


def test_occlusion_of_a_float64_network_keeps_its_digits() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    pictures = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    found = []
    for offset in (0.0, 1e6):
        with torch.no_grad():
            model[-1].bias.fill_(offset)
        found.append(explain(model.double(), pictures, 1, method="occlusion", window=4).maps)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-8)
