"""A fine-tuned network made small: bytes, latency and accuracy before and after, over five folds of photographs.

    python benchmarks/flowers_small.py FOLDER WEIGHTS [--folds 5] [--model mobilenet_v2] [--tune 120] [--teach 240]
        [--resolution 192] [--prune 0.7] [--only 'stages.7.*']

FOLDER holds a subfolder for each class. Each fold tests on a fifth of every class; of the rest convlens takes its
validation part. Before: WEIGHTS fine-tuned for `--tune` seconds, as float32 ONNX and by the engine that is fastest here
(OpenVINO, ONNX Runtime or torch, in float32 or bf16). After: `convlens shrink RUN --resolution 192 --prune 0.7 --only
'stages.7.*' --importance scales --budget 240`, which learns from the run, then `--quantise int8`, exported (which
proves it) and answering as that file, by the fastest engine that runs it. Latencies are of one picture, both files in
turn. The test part is seen once by each.

Aims: a quarter of the bytes, half of the latency, a point of accuracy at most. The way was chosen without a test part.
8 bits alone leave 0.279 of the bytes of MobileNet v2 for five classes, so channels must go (`--sizes` prints this,
without training). Which ones was asked of a run of 96 px, 82.7 % right on its 150 validation pictures: before any
learning, a tenth of the channels of every layer less leaves 20 %; 0.7 of those of the last convolution less, chosen by
the scales of its norm, 81.3 %, and 0.869 of the parameters.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import numpy as np
import torch
from finetune import divided

import convlens
from convlens import zoo
from convlens.data import usable_cpus
from convlens.engines import Engine
from convlens.errors import ExportError
from convlens.exporting import int8_network_bytes
from convlens.measurement import compare_predictions
from convlens.runs import Run
from convlens.shrinking import prune, quantise
from convlens.workbench.same_pictures import Answers, answers_of
from convlens.workbench.shipped import opened, shipped_file, shipped_network, steady_latencies

AT_ONCE = 32


@dataclass(frozen=True)
class Fold:
    """Predicted classes before and after, (N,), and the true ones; bytes and ms before and after; what ran them."""

    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray
    sizes: tuple[int, int]
    latencies_ms: tuple[float, float]
    noise: float
    engines: tuple[str, str]
    validation: tuple[float, float]
    seconds: float

    @property
    def accuracies(self) -> tuple[float, float]:
        return float((self.before == self.labels).mean()), float((self.after == self.labels).mean())


def measured(data: Path, scratch: Path, asked: argparse.Namespace) -> Fold:
    began = monotonic()
    tuned = convlens.train(data, model=asked.model, weights=asked.weights, budget=asked.tune, out=scratch / "tuned")
    wanted = {"resolution": asked.resolution} if asked.resolution else {}
    wanted |= {"prune": asked.prune, "only": asked.only, "importance": "scales"} if asked.prune else {}
    small = convlens.shrink(tuned.run, **wanted, budget=asked.teach, out=scratch / "small").shrunk[0]
    int8 = convlens.shrink(small.run, quantise="int8", epochs=asked.learn or None, out=scratch / "int8").shrunk[0]
    before, after = Run.load(tuned.run), Run.load(int8.run)
    files = [
        convlens.export(run.path, format=kind).files[0].path for run, kind in ((before, "onnx"), (after, "onnx-int8"))
    ]
    answers = answers_of([before, after], tell=print)
    shown = [pictures(run, answers) for run in (before, after)]
    ways = [
        shipped_network(before.model, shown[0][:128], before.temperature),
        shipped_file(files[1].read_bytes(), shown[1]),
    ]
    with opened(ways) as engines:
        one, two = steady_latencies(engines)
        said = [predicted(engine, images) for engine, images in zip(engines, shown, strict=True)]
    sizes, times = [file.stat().st_size for file in files], (one.p50_ms, two.p50_ms)
    known = (before.manifest.metrics["val"]["accuracy"], Run.load(small.run).manifest.metrics["val"]["accuracy"])
    names = (str(ways[0].settings), str(ways[1].settings))
    noise = max(one.noise, two.noise)
    return Fold(*said, answers.labels, (sizes[0], sizes[1]), times, noise, names, known, monotonic() - began)


def pictures(run: Run, answers: Answers) -> torch.Tensor:
    """As the run reads those that neither run was trained on: (N, C, H, W)."""
    side, read = run.preprocess.decode_side, answers.images.reader.read
    return torch.cat([run.preprocess([read(int(index), short_side=side)]) for index in answers.shown])


def predicted(engine: Engine, images: torch.Tensor) -> np.ndarray:
    return torch.cat([engine(part) for part in images.split(AT_ONCE)]).argmax(1).numpy()


def tell_sizes(asked: argparse.Namespace) -> None:
    """Bytes and latencies of what could be made, by weights that were never trained."""
    torch.manual_seed(0)
    network, pictures = zoo.create(asked.model, num_classes=5).eval(), torch.rand(16, 3, 224, 224)
    whole = shipped_network(network, pictures, 1.0)
    for share, side in product((0.0, asked.prune), (224, 192, 160)):
        images = pictures[:, :, :side, :side].contiguous()
        cut = prune(network, (1, 3, side, side), share, only=asked.only).network if share else network
        rounding = quantise(cut.eval(), images.split(8), method="minmax")
        file = shipped_file(int8_network_bytes(rounding, images.shape[1:], [images.numpy()], method="minmax"), images)
        with opened([whole, file]) as engines:
            slow, fast = steady_latencies(engines)
        print(
            f"int8, {side} px, {share:.0%} of the channels of {asked.only} gone: {file.size_bytes:,} bytes "
            f"({file.size_bytes / whole.size_bytes:.3f}), {slow.p50_ms:.3f} ms ({whole.settings}) to {fast.p50_ms:.3f} "
            f"ms ({file.settings}) ({fast.p50_ms / slow.p50_ms:.3f}, noise {max(slow.noise, fast.noise):.0%})",
            flush=True,
        )


def tell_fold(number: int, fold: Fold) -> None:
    (before, after), (slow, fast), (large, small) = fold.accuracies, fold.latencies_ms, fold.sizes
    print(
        f"fold {number}: {before:.2%} to {after:.2%} on {len(fold.labels)} pictures (validation, float32: "
        f"{fold.validation[0]:.2%} to {fold.validation[1]:.2%}); {large:,} to {small:,} bytes ({small / large:.3f}); "
        f"{slow:.3f} ms ({fold.engines[0]}) to {fast:.3f} ms ({fold.engines[1]}) ({fast / slow:.3f}, noise "
        f"{fold.noise:.0%}); {fold.seconds:.0f} s",
        flush=True,
    )


def tell_all(folds: list[Fold]) -> None:
    before, after, labels = (
        np.concatenate([getattr(fold, name) for fold in folds]) for name in ("before", "after", "labels")
    )
    pair = compare_predictions(before, after, labels)
    for name, place in (("before", 0), ("after", 1)):
        print(f"accuracy {name}: {spread([100 * fold.accuracies[place] for fold in folds])} %")
    sizes = [fold.sizes[1] / fold.sizes[0] for fold in folds]
    times = [fold.latencies_ms[1] / fold.latencies_ms[0] for fold in folds]
    print(
        f"difference, paired, on {pair.num_pictures:,} pictures: {100 * pair.difference:+.2f} points (95 %: "
        f"{100 * pair.low:+.2f} to {100 * pair.high:+.2f}), p = {pair.p_value:.3g}; agreement {pair.agreement:.2%}"
    )
    print(f"bytes after / before: {spread(sizes)}; latency after / before: {spread(times)}")
    aims = {
        "a quarter of the bytes": max(sizes) <= 0.25,
        "half of the latency": max(times) <= 0.5,
        "within a point": pair.difference >= -0.01,
        "the whole interval within a point": pair.low >= -0.01,
    }
    print("; ".join(f"{name}: {'met' if met else 'missed'}" for name, met in aims.items()))


def spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--tune", type=float, default=120, help="seconds of fine-tuning, before")
    parser.add_argument("--resolution", type=int, default=192, help="0 leaves it")
    parser.add_argument("--prune", type=float, default=0.7, help="share of the channels; 0 leaves them")
    parser.add_argument("--only", default="stages.7.*", help="parameters of the layers that lose channels")
    parser.add_argument("--teach", type=float, default=240, help="seconds of learning from the run, after")
    parser.add_argument("--learn", type=int, default=0, help="epochs in 8 bits")
    parser.add_argument("--sizes", action="store_true", help="only bytes and latencies of ways, without training")
    parser.add_argument("--folds", type=int, default=5, help="to be run, of five")
    asked = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    if asked.sizes:
        return tell_sizes(asked)
    folds = []
    for number in range(asked.folds):
        with TemporaryDirectory() as folder:
            data = divided(asked.folder, Path(folder) / "data", number, 5)
            try:
                folds.append(measured(data, Path(folder), asked))
                tell_fold(number + 1, folds[-1])
            except ExportError as error:  # its figures are in none of the means
                print(f"fold {number + 1}: {error}", flush=True)
    if folds:
        tell_all(folds)
    print(f"files that were proved: {len(folds)} of {asked.folds}")


if __name__ == "__main__":
    main()
