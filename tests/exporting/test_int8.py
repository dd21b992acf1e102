"""An int8 ONNX file: a quarter of the bytes, the same answers, any batch, and bad pictures refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from convlens.data import open_images
from convlens.errors import DataError, ExportError, UsageError
from convlens.exporting import INPUT, int8, int8_bytes, onnx_bytes
from convlens.exporting.calibration import BINS, Histogram, entropy, histograms, minmax, percentile
from convlens.exporting.quantised_graph import prepared
from convlens.runs import Run


def network() -> nn.Module:
    """With a batch norm to fold, a residual sum, a gate over pooled means, and a classifier."""
    torch.manual_seed(0)
    normed = [nn.Conv2d(3, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*normed, Gated(64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 5)).eval()


class Gated(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) * self.gate(x)


@cache
def float_file() -> bytes:
    return onnx_bytes(network(), (3, 8, 8), metadata={"classes": '["a"]'})


@cache
def int8_file(method: str = "auto", reduce_range: bool | None = None) -> bytes:
    return int8_bytes(float_file(), [pictures(6), pictures(10, seed=1)], method=method, reduce_range=reduce_range)


def pictures(count: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3, 8, 8)).astype(np.float32)


def logits(data: bytes, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(data)
    return np.asarray(session.run(None, {INPUT: images})[0])


def test_the_digits_of_a_trained_network_are_recognised_in_a_quarter_of_the_bytes(trained_run: Path) -> None:
    run = Run.load(trained_run)
    assert run.splits is not None
    digits = open_images("digits")

    def images(part: str, count: int) -> np.ndarray:
        rows = run.splits.indices(part)[:count]  # type: ignore[union-attr]
        return run.preprocess([digits.reader.read(int(row)) for row in rows]).numpy()

    whole = onnx_bytes(run.model, (1, 28, 28))
    small = int8_bytes(whole, [images("train", 64)])
    tested = images("test", 180)
    agreement = (logits(whole, tested).argmax(1) == logits(small, tested).argmax(1)).mean()
    assert agreement >= 0.98
    assert len(small) < 0.32 * len(whole)  # 62,000 weights: the graph itself is a tenth


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_any_batch_gives_nearly_the_float_logits(batch: int) -> None:
    images = pictures(batch, seed=2)
    wanted = logits(float_file(), images)
    np.testing.assert_allclose(logits(int8_file(), images), wanted, atol=0.05 * np.abs(wanted).max())


def test_onnx_runtime_finds_nothing_left_to_compute_in_float_but_the_sum_of_the_classifier(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(int8_file(), options)
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert kinds["QLinearConv"] == 3 and kinds["QGemm"] == 1
    assert kinds["QLinearAdd"] == kinds["QLinearMul"] == kinds["QLinearSigmoid"] == 1
    assert kinds["QLinearGlobalAveragePool"] == 2
    assert not {"Conv", "Gemm", "Add", "Mul", "BatchNormalization", "ReduceMean"} & kinds.keys()


class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norms = nn.Conv2d(3, 3, 3, padding=1), nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
        self.head = nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm in self.norms:
            x = norm(self.conv(x)).relu()
        return self.head(x.mean((2, 3)))


class Maxout(CalledTwice):
    """ONNX Runtime's symbolic shapes have no rule for its largest values."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.wide(x)
        n, c, h, w = x.shape
        return self.head(self.conv(x.view(n, 2, c // 2, h, w).max(1)[0]).mean((2, 3)))


def normalised_locally() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.LocalResponseNorm(3), nn.Flatten(), nn.Linear(288, 5))


@pytest.mark.parametrize("make", [CalledTwice, Maxout, normalised_locally])
def test_tensors_that_the_optimiser_renamed_or_of_unknown_shape_do_no_harm(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    whole, images = onnx_bytes(make().eval(), (3, 8, 8)), pictures(6)
    wanted = logits(whole, images)
    found = logits(int8_bytes(whole, [images], method="minmax"), images)
    np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())


class Padded(nn.Module):
    """A max-pooling whose ground is a number that stands for infinity."""

    def __init__(self, ground: float) -> None:
        super().__init__()
        self.conv, self.head, self.ground = nn.Conv2d(3, 8, 3), nn.Linear(8 * 9, 5), ground

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        sign = 1 if self.ground < 0 else -1
        maps = nn.functional.pad(sign * (self.conv(images) - 0.3), (0, 1, 0, 1), value=self.ground)
        return self.head((sign * nn.functional.max_pool2d(sign * maps, 3, 2)).flatten(1))


@pytest.mark.parametrize("ground", [-np.inf, -1e9, float(np.finfo(np.float32).min), np.inf])
def test_a_padding_that_stands_for_infinity_is_no_range(ground: float) -> None:
    torch.manual_seed(0)
    whole, images = onnx_bytes(Padded(ground).eval(), (3, 8, 8)), pictures(24)
    wanted = logits(whole, images)
    found = logits(int8_bytes(whole, [images]), images)
    np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())


@pytest.mark.parametrize("ends", [(0.5, None), (None, -0.2), (0.3, 0.6), (-0.2, 0.3)])
def test_a_clip_that_never_gives_zero_is_kept(ends: tuple[float | None, float | None]) -> None:
    torch.manual_seed(0)
    network = Clipped(ends).eval()
    images = torch.randn(64, 3, 12, 12)
    with torch.inference_mode():
        expected = network(images)
    file = int8_bytes(onnx_bytes(network, (3, 12, 12)), [images.numpy()])
    found = torch.from_numpy(logits(file, images.numpy()))
    assert float((found - expected).abs().max()) < 3 * float(expected.std(0).mean())


class Clipped(nn.Module):
    def __init__(self, ends: tuple[float | None, float | None]) -> None:
        super().__init__()
        self.ends = ends
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.two(self.one(x).clamp(*self.ends)).relu().mean((2, 3)))


def test_the_logits_are_not_rounded() -> None:
    found = logits(int8_file(), pictures(200, seed=3))
    assert len(np.unique(found)) > 700  # of 1,000; 256 levels would leave 256


def test_a_mean_that_gives_the_logits_stays_in_float() -> None:
    torch.manual_seed(0)
    pooled = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = logits(int8_bytes(onnx_bytes(pooled, (3, 8, 8)), [pictures(8)], method="minmax"), pictures(200, seed=3))
    assert len(np.unique(found)) > 600


def test_metadata_is_kept_and_tells_what_was_chosen() -> None:
    session = onnxruntime.InferenceSession(int8_file())
    found = session.get_modelmeta().custom_metadata_map
    assert found["classes"] == '["a"]'
    assert found["int8.method"] in ("minmax", "entropy", "percentile")
    assert set(found) == {"classes", "int8.method", "int8.reduce_range"}


@pytest.mark.parametrize(("reduced", "largest"), [(False, 127), (True, 64)])
def test_a_reduced_range_keeps_weights_to_seven_bits(reduced: bool, largest: int) -> None:
    model = onnx.load_from_string(int8_file("minmax", reduced))
    weights = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith("weight_quantized")]
    assert max(int(np.abs(w).max()) for w in weights) == largest
    for w in weights:  # every output channel uses its whole range
        assert (np.abs(w.reshape(len(w), -1)).max(1) >= largest - 1).all() or w.ndim == 2


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "flags : fpu avx2", True),
        ("x86_64", "flags : fpu avx2 avx512_vnni", False),
        ("AMD64", "flags : avx_vnni", False),
        ("x86_64", "", True),
        ("aarch64", "flags : fpu", False),
    ],
)
def test_an_x86_without_dot_products_saturates(
    machine: str, flags: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(Path, "read_text", lambda *_: flags)
    assert int8.saturates() is expected


def test_the_method_that_diverges_least_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that halves every range clips everywhere, so that it must lose."""
    bad: Callable[[Histogram], tuple[float, float]] = lambda h: (h.lowest / 50, h.highest / 50)  # noqa: E731
    monkeypatch.setattr(int8, "METHODS", {"bad": bad, "minmax": minmax})
    found = onnxruntime.InferenceSession(int8_bytes(float_file(), [pictures(8)], validation=pictures(4, seed=5)))
    assert found.get_modelmeta().custom_metadata_map["int8.method"] == "minmax"


# fmt: off
BAD = {
    "none":     (list,                                    r"no calibration pictures came; expected \(N, 3, 8, 8\)"),
    "empty":    (lambda: [pictures(0)],                         "no calibration pictures came"),
    "NaN":      (lambda: [np.where(pictures(2) > 3, 0, np.nan).astype(np.float32)], "2 of 2 calibration pictures hold"),
    "infinity": (lambda: [pictures(3), pictures(1) * np.inf],   "1 of 4 calibration pictures hold NaN or infinity"),
    "shape":    (lambda: [np.zeros((2, 1, 8, 8))],              r"came as \(2, 1, 8, 8\); expected \(N, 3, 8, 8\)"),
    "single":   (lambda: list(pictures(2)),                     r"came as \(3, 8, 8\); expected"),
    "constant": (lambda: [np.ones((2, 3, 8, 8))],               "every pixel of the calibration pictures is 1"),
}
# fmt: on


@pytest.mark.parametrize("kind", BAD)
def test_bad_calibration_pictures_are_one_line(kind: str) -> None:
    given, text = BAD[kind]
    with pytest.raises(DataError, match=text) as found:
        int8_bytes(float_file(), given())
    assert "\n" not in str(found.value)


def test_what_is_no_onnx_file_and_what_is_no_method_are_refused() -> None:
    with pytest.raises(ExportError, match="cannot be quantised") as found:
        int8_bytes(b"no graph", [pictures(2)])
    assert "\n" not in str(found.value)
    with pytest.raises(UsageError, match="'mean'; expected auto, minmax, entropy, percentile"):
        int8_bytes(float_file(), [pictures(2)], method="mean")


def test_histograms_count_what_torch_computes() -> None:
    images = pictures(12)
    found = histograms(prepared(float_file()), [images[:8], images[8:]])
    relu = network()[:3](torch.from_numpy(images)).detach()
    seen = found["relu"]
    assert seen.lowest == 0 and seen.highest == pytest.approx(relu.max().item(), rel=1e-5)
    assert seen.counts[:BINS].sum() == 0
    assert seen.counts[BINS] / seen.counts.sum() == pytest.approx(
        (relu < seen.reach / BINS).float().mean().item(), abs=1e-3
    )
    assert found[INPUT].lowest == images.min() and found[INPUT].counts.sum() == images.size


def histogram_of(values: np.ndarray) -> Histogram:
    found = Histogram(float(values.min()), float(values.max()), np.zeros(2 * BINS, dtype=np.int64))
    found.add(values)
    return found


def test_methods_cut_off_a_lonely_outlier_and_leave_even_values_whole() -> None:
    drawn = np.random.default_rng(0)
    outlier = histogram_of(np.append(drawn.normal(size=60_000), 100.0))
    assert minmax(outlier)[1] == 100.0
    assert percentile(outlier)[1] < 6 and entropy(outlier)[1] < 20
    even = histogram_of(drawn.uniform(-1, 1, 60_000))
    for method in (minmax, percentile, entropy):
        assert method(even) == pytest.approx((-1, 1), abs=0.02)


def test_a_tensor_that_is_always_zero_has_a_range_by_every_method() -> None:
    still = histogram_of(np.zeros(10))
    assert minmax(still) == percentile(still) == entropy(still) == (0, 0)
