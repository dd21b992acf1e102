"""A run in fewer bits: arithmetic of 8 bits, or weights that share few values, stored as in Deep Compression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from convlens import shrinking
from convlens.data import decode_pixels, usable_cpus
from convlens.engines import Settings, open_engine
from convlens.errors import RunError, UsageError
from convlens.exporting import int8_network_bytes, load, onnx_bytes
from convlens.layers.fake_quantised import float_network, input_scales, scales_to_json
from convlens.measurement import Latency, time_in_turn
from convlens.reports import write_report
from convlens.runs import Run, RunFolder, installed_versions, save_run
from convlens.shrinking.clustering import DENSE_BITS, check_cluster_bits, check_sparsity
from convlens.workbench.claim import claim, claim_free
from convlens.workbench.export import bytes_beside
from convlens.workbench.gather import Gathered
from convlens.workbench.own_pictures import drawn_for, recipe_of
from convlens.workbench.results import Progress, Tell
from convlens.workbench.task import prepare
from convlens.workbench.weights import origin_words
from convlens.workbench.where import whole_already

CALIBRATED = 256  # training pictures that scales are read off
BATCH = 32
QUANTISED_RATE, CLUSTERED_RATE = 1e-5, 1e-4  # of fine-tuning, Adam's


@dataclass(frozen=True)
class Bits:
    """`quantise` is "int8"; or a convolution's weights share 2^`cluster` values, a share `sparsity` of them zero."""

    quantise: str | None = None
    cluster: int | None = None
    sparsity: float = 0.0
    epochs: int = 0
    learning_rate: float | None = None

    @property
    def label(self) -> str:
        return "int8" if self.quantise else "clustered"


@dataclass(frozen=True)
class FewerBits:
    """`sizes` are the bytes of the files before and after, `times` their latencies where they are not torch's.

    `file` is the int8 one, which answers for itself by the `engine` that was timed, by default ONNX Runtime.
    """

    run: Run
    sizes: tuple[int, int]
    times: tuple[Latency, ...] | None = None
    file: bytes | None = None
    engine: Settings | None = None
    stayed: tuple[str, ...] = ()


def check_bits(run: Run, bits: Bits) -> None:
    """UsageError for what cannot be had."""
    if bits.quantise is not None and bits.cluster is not None:
        raise UsageError("--quantise and --cluster were both given; give one, and shrink what comes of it again")
    if bits.quantise not in (None, "int8"):
        raise UsageError(f"--quantise came as '{bits.quantise}'; expected int8")
    for package in ("onnx", "onnxscript", "onnxruntime") if bits.quantise else ():
        load(package, "an int8 file")
    if run.manifest.quantisation is not None and bits.quantise is None:
        raise UsageError(
            f"{run.path} is quantised; shrink the run that it was made from, and quantise what comes of it"
        )
    if bits.sparsity and bits.cluster is None:
        raise UsageError("--sparsity goes with --cluster BITS, which stores zeros in few bytes; give both")
    if bits.cluster is not None:
        check_cluster_bits(bits.cluster)
    check_sparsity(bits.sparsity)


@dataclass(frozen=True)
class BitLearner:
    """A run, its pictures, and who is told; scales are read off `calibrated` training pictures."""

    run: Run
    gathered: Gathered
    seed: int
    progress: Progress | None
    tell: Tell
    calibrated: int = CALIBRATED

    def make(self, bits: Bits, place: Path | None) -> FewerBits:
        """The new run, saved; nothing is where it cannot be made, and what ONNX lacks is told before it learns."""
        quantised, files = bits.quantise is not None, tuple[bytes, ...]()
        with ExitStack() as held:
            held.enter_context(torch.random.fork_rng(devices=[]))
            folder = None if place is None else claim(held, place)
            if quantised:
                files = (onnx_bytes(float_network(self.run.model), self.run.input_shape[1:]),)
            model = self.quantised(bits) if quantised else self._clustered(bits)
            _check_finite(model)
            if quantised:
                files = (*files, self.int8_file(model))
            folder = folder or claim_free(held, f"{self.run.manifest.name}-{bits.label}")
            made = self.save(folder, model, packed=not quantised)
        if quantised:
            self.tell("bytes and latency are those of the ONNX files, by ONNX Runtime: convlens export writes them")
            sizes = (len(files[0]) + bytes_beside(self.run), len(files[1]) + bytes_beside(made))
            with whole_already(self.run, [made]):
                times = _latencies(files, made.input_shape)
            return FewerBits(made, sizes, times, files[1])
        self.tell("bytes are those of the files of weights; in memory, and in time, the network is as it was")
        before, after = (run.weights_file.stat().st_size for run in (self.run, made))
        return FewerBits(made, (before, after))

    def quantised(self, bits: Bits) -> nn.Module:
        """The run's network, rounding to 8 bits."""
        made = shrinking.quantise(float_network(self.run.model), self._calibration)
        if not bits.epochs:
            return made
        rate = QUANTISED_RATE if bits.learning_rate is None else bits.learning_rate
        return shrinking.train_quantised(made, self._epochs(), epochs=bits.epochs, learning_rate=rate)

    def _clustered(self, bits: Bits) -> nn.Module:
        assert bits.cluster is not None
        pruned = shrinking.prune_weights(self.run.model, bits.sparsity)
        dense = min(bits.cluster, DENSE_BITS)
        made = shrinking.cluster_weights(pruned, convolution_bits=bits.cluster, dense_bits=dense)
        if not bits.epochs:
            return made
        rate = CLUSTERED_RATE if bits.learning_rate is None else bits.learning_rate
        return shrinking.tune_centroids(made, self._epochs(), epochs=bits.epochs, learning_rate=rate)

    def save(self, folder: RunFolder, model: nn.Module, *, packed: bool = False, origin: Run | None = None) -> Run:
        """The new run, in a folder that is claimed; its weights come from `origin`, by default the run's."""
        self.gathered.write(folder)
        scales, source = input_scales(model), origin or self.run
        manifest = replace(
            self.run.manifest,
            name=folder.path.resolve().name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            weights={"from": origin_words(source.path, source.manifest.weights["sha256"])},
            data=self.gathered.facts(),
            metrics={},  # those of other weights
            quantisation={"inputs": scales_to_json(scales)} if scales else None,
            seed=self.seed,
            versions=installed_versions(),
        )
        made, given = save_run(folder, manifest, model.state_dict(), packed=packed), self.run.given_model
        made = made if given is None else replace(made, given_model=float_network(given))
        write_report(made)
        return made

    def int8_file(self, model: nn.Module) -> bytes:
        """Nothing is gained before the arithmetic is done in 8 bits, as by ONNX Runtime."""
        return int8_network_bytes(model, self.run.input_shape[1:], [batch.numpy() for batch in self._calibration])

    @cached_property
    def _calibration(self) -> list[Tensor]:
        """Batches of training pictures as the network sees them, spread over the whole part."""
        rows = self.gathered.splits.indices("train")
        rows = rows[:: max(1, len(rows) // self.calibrated)][: self.calibrated]
        pixels = decode_pixels(self.gathered.images, rows, self.run.preprocess)
        return list(self.run.preprocess.normalise(pixels).split(BATCH))

    def _epochs(self) -> shrinking.Batches:
        """What the run's own training showed, drawn anew in every epoch."""
        preprocess, recipe = self.run.preprocess, recipe_of(self.run, {"seed": self.seed})
        drawn = drawn_for(self.run, preprocess)
        shown = prepare(self.gathered, preprocess, drawn, recipe, progress=self.progress, tell=self.tell)
        batches = shown.batches(BATCH, self.seed)
        steps = iter(range(1 << 40))

        def epoch() -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(batches.steps_per_epoch):
                yield batches(next(steps))

        return epoch


def _check_finite(model: nn.Module) -> None:
    if not all(tensor.isfinite().all() for tensor in model.state_dict().values() if tensor.is_floating_point()):
        raise RunError(
            "the weights became NaN or infinite in training; nothing was saved: take a lower --learning-rate"
        )


def _latencies(files: Sequence[bytes], shape: tuple[int, ...]) -> tuple[Latency, ...]:
    """Of one picture in each file, in turn, by ONNX Runtime."""
    picture = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with ExitStack() as held:
        engines = []
        for file in files:
            engines.append(held.enter_context(open_engine("onnxruntime", file, shape[1:], threads=usable_cpus())))
        return time_in_turn([partial(engine, picture) for engine in engines], seconds=2.0)
