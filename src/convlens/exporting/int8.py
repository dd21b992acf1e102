"""An ONNX file in 8-bit integers: static quantisation by ONNX Runtime, calibrated on real pictures.

Weights are int8 with a scale for each output channel, activations have one scale a tensor, written as pairs of
QuantizeLinear and DequantizeLinear (QDQ); batch norms are folded before. The logits stay float32: 256 levels for
1,000 classes would tie. Dynamic quantisation is not offered: for convolutions it is slower than float32.
"""

from __future__ import annotations

import logging
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from convlens.errors import DataError, ExportError, MissingExtra, UsageError
from convlens.exporting.calibration import FAR, METHODS, Range, Ranges, histograms
from convlens.exporting.onnx import onnx_bytes
from convlens.exporting.quantised_graph import (
    far_paddings,
    gates_beside_zero,
    metadata_of,
    prepared,
    ranges_before,
    tidied,
)
from convlens.layers.fake_quantised import float_network, input_scales

HELD_OUT = 4  # one calibration picture in so many chooses the method
BATCH = 8  # pictures whose activations are held at once
DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8"}  # as /proc/cpuinfo names them
X86 = {"x86_64", "amd64", "i386", "i686"}
# fmt: off
QUANTISED = [  # operators that ONNX Runtime computes in 8 bits on a CPU, and those that only move numbers
    "Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool",
    "Reshape", "Flatten", "Transpose", "Split", "Squeeze", "Unsqueeze", "Pad", "Resize", "Sigmoid", "LeakyRelu",
]
# fmt: on


def int8_bytes(
    onnx: bytes,
    calibration: Iterable[np.ndarray],
    *,
    validation: np.ndarray | None = None,
    method: str = "auto",
    ranges: Mapping[str, Range] | None = None,
    reduce_range: bool | None = None,
) -> bytes:
    """A float32 ONNX file and batches (N, C, H, W) of prepared training pictures -> the bytes of its int8 version.

    One file with a free batch, as `onnx_bytes` makes it, and its metadata. `method` is minmax, entropy, percentile, or
    auto: the one whose probabilities diverge least (Kullback and Leibler) from the float32 file's on `validation`,
    else on every fourth calibration picture, which then calibrates nothing; the metadata names it (`int8.method`).
    `ranges` are those of the inputs of layers, by their path, that are known already and not read off the pictures; a
    layer whose weights ONNX's optimiser renamed is read off them all the same.
    `reduce_range` gives weights 7 bits, for CPUs whose 8-bit products saturate; None: if this CPU is one.
    DataError for pictures that cannot calibrate, ExportError where ONNX Runtime refuses.
    """
    _check_installed()
    if method not in ("auto", *METHODS):
        raise UsageError(f"the calibration method is {method!r}; expected auto, {', '.join(METHODS)}")
    shape = _input_shape(onnx)
    pictures = _checked(list(calibration), shape, "calibration")
    held_out = None if validation is None else _checked([validation], shape, "validation")
    if held_out is None and method == "auto":
        pictures, held_out = _divided(pictures)
    reduce_range = saturates() if reduce_range is None else reduce_range
    with _refusals():
        candidates = _candidates(onnx, pictures, METHODS if method == "auto" else [method], ranges or {}, reduce_range)
        chosen = method if held_out is None or method != "auto" else _nearest(onnx, candidates, held_out)
        facts = {"int8.method": chosen, "int8.reduce_range": str(reduce_range).lower()}
        return tidied(candidates[chosen], {**metadata_of(onnx), **facts})


def int8_network_bytes(
    network: nn.Module,
    input_shape: Sequence[int],
    calibration: Iterable[np.ndarray],
    *,
    metadata: Mapping[str, str] | None = None,
    **options: Any,
) -> bytes:
    """`int8_bytes` of a network and the shape (C, H, W) of a picture; a fake-quantised one keeps its scales.

    The pictures then tell only of the tensors that its scales do not: sums, gates, what a layer without ReLU gives.
    """
    ranges = {path: scale.range for path, scale in input_scales(network).items()}
    onnx = onnx_bytes(float_network(network), input_shape, metadata=metadata)
    return int8_bytes(onnx, calibration, ranges=ranges, **options)


def saturates() -> bool:
    """Do sums of 8-bit products overflow here? Those of an x86 CPU without VNNI or AMX do; not known counts as yes."""
    if platform.machine().lower() not in X86:
        return False
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return True
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return not DOT_PRODUCTS & set(flags)


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime.quantization  # noqa: F401
    except Exception as error:
        raise MissingExtra("onnx with onnxruntime", "export", "an int8 file") from error


def _input_shape(onnx: bytes) -> list[Any]:
    """Of one picture, [C, H, W]; what is free has a name."""
    with _refusals():
        return list(_session(onnx).get_inputs()[0].shape[1:])


def _checked(batches: Sequence[np.ndarray], shape: list[Any], what: str) -> np.ndarray:
    """All batches as one (N, C, H, W) of float32; DataError where they can calibrate nothing."""
    wanted = f"expected (N, {', '.join(map(str, shape))}) of float32, prepared as for training"
    arrays = [np.asarray(batch) for batch in batches]
    if wrong := [array.shape for array in arrays if not _fits(array.shape[1:], shape)]:
        raise DataError(f"{what} pictures came as {wrong[0]}; {wanted}")
    if not sum(map(len, arrays)):
        raise DataError(f"no {what} pictures came; {wanted}")
    pictures = np.concatenate(arrays).astype(np.float32)
    if bad := int((~np.isfinite(pictures)).any(axis=(1, 2, 3)).sum()):
        raise DataError(f"{bad} of {len(pictures)} {what} pictures hold NaN or infinity; {wanted}")
    if pictures.min() == pictures.max():
        raise DataError(f"every pixel of the {what} pictures is {pictures.min():g}: no scale can be read off; {wanted}")
    return pictures


def _fits(found: tuple[int, ...], shape: list[Any]) -> bool:
    return len(found) == len(shape) == 3 and all(
        side == wanted or not isinstance(wanted, int) for side, wanted in zip(found, shape, strict=True)
    )


def _divided(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those that calibrate, and every fourth, which chooses; too few do both."""
    if len(pictures) < HELD_OUT:
        return pictures, pictures
    held = np.arange(len(pictures)) % HELD_OUT == HELD_OUT - 1
    return pictures[~held], pictures[held]


def _candidates(
    onnx: bytes, pictures: np.ndarray, methods: Iterable[str], ranges: Mapping[str, Range], reduce_range: bool
) -> dict[str, bytes]:
    """Method -> an int8 file."""
    model = prepared(onnx)
    known = ranges_before(model.graph, ranges)
    ground = FAR if far_paddings(model.graph) else -np.inf
    found = histograms(model, _batches(pictures), ground=ground)

    def quantised(method: str) -> bytes:
        return _quantised(model, {name: METHODS[method](seen) for name, seen in found.items()} | known, reduce_range)

    return {method: quantised(method) for method in methods}


def _quantised(model: Any, ranges: Ranges, reduce_range: bool) -> bytes:
    from onnxruntime.quantization import CalibrationMethod, QuantType, TensorsData, quantize_static, save_tensors_data

    signed = platform.machine().lower() not in X86  # ONNX Runtime's advice: x86 multiplies uint8 by int8, ARM int8
    values = {name: tuple(np.array(end, dtype=np.float32) for end in ends) for name, ends in ranges.items()}
    with tempfile.TemporaryDirectory() as folder:
        known, path = Path(folder) / "ranges.json", Path(folder) / "int8.onnx"
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, values), known)
        quantize_static(
            model,
            path,
            calibration_cache_path=known,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=[*far_paddings(model.graph), *gates_beside_zero(model.graph)],
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": signed},
        )
        return path.read_bytes()


def _nearest(onnx: bytes, candidates: dict[str, bytes], pictures: np.ndarray) -> str:
    """The method whose file's probabilities diverge least from the float32 file's."""
    wanted = _log_probabilities(onnx, pictures)
    far = {
        method: float((np.exp(wanted) * (wanted - _log_probabilities(data, pictures))).sum(1).mean())
        for method, data in candidates.items()
    }
    return min(far, key=far.__getitem__)


def _log_probabilities(onnx: bytes, pictures: np.ndarray) -> np.ndarray:
    session = _session(onnx)
    name = session.get_inputs()[0].name
    logits = np.concatenate([session.run(None, {name: batch})[0] for batch in _batches(pictures)]).astype(float)
    logits -= logits.max(1, keepdims=True)
    return np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)))


def _batches(pictures: np.ndarray) -> list[np.ndarray]:
    return np.array_split(pictures, -(-len(pictures) // BATCH))


def _session(onnx: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


@contextmanager
def _refusals() -> Iterator[None]:
    """What ONNX Runtime refuses, as ExportError; without what it tells its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise ExportError(f"the ONNX file cannot be quantised: {type(error).__name__}: {reason}") from error
    finally:
        logging.disable(before)
