"""`convlens shrink --quantise` and `--cluster`: a run in fewer bits, measured beside the run that it came from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convlens import shrinking
from convlens.data import usable_cpus
from convlens.errors import UsageError
from convlens.exporting import INPUT, int8_network_bytes, onnx_bytes
from convlens.layers.fake_quantised import float_network, input_scales, scales_to_json
from convlens.measurement import Latency, time_in_turn
from convlens.reports import write_report
from convlens.runs import Run, RunFolder, installed_versions, save_run
from convlens.shrinking.clustering import CONVOLUTION_BITS, DENSE_BITS
from convlens.workbench.claim import claim, claim_free, keep_apart
from convlens.workbench.evaluate import own_source
from convlens.workbench.gather import Gathered, check_data_dir
from convlens.workbench.own_network import open_run
from convlens.workbench.results import Progress, Tell, silent
from convlens.workbench.shrink import ShrinkResult, augment_of, pictures_of, recipe_of
from convlens.workbench.shrunk import Size, both_measured, verdict_on
from convlens.workbench.task import prepare
from convlens.workbench.typed import typed

CALIBRATED = 256  # training pictures that scales are read off
BATCH = 32
RATE = {"quantise": 1e-5, "cluster": 1e-4}  # of fine-tuning, Adam's


@typed
def quantise(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    method: str = "auto",
    epochs: int = 0,
    learning_rate: float = RATE["quantise"],
    seed: int = 0,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    network: str | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> ShrinkResult:
    """A run in 8 bits: float weights, scales read off 256 training pictures, and `epochs` of training in spite of the
    rounding. Bytes and latency are those of its ONNX files in float32 and int8, by ONNX Runtime.

    `method` is one of `shrinking.quantise`. `data` is needed where the pictures have moved.
    """
    task = _Task(open_run(run, network), data, data_dir, seed, progress, tell)
    plain, shape = float_network(task.run.model), task.run.input_shape[1:]
    files: list[bytes] = []

    def change(gathered: Gathered) -> nn.Module:
        images = task.calibration(gathered)
        made = shrinking.quantise(plain, images, method=method)
        if epochs:
            made = shrinking.train_quantised(made, task.epochs(gathered), epochs=epochs, learning_rate=learning_rate)
        files.extend([onnx_bytes(plain, shape), int8_network_bytes(made, shape, [batch.numpy() for batch in images])])
        return made

    made = task.make(change, out, "int8")
    tell("bytes and latency are those of the ONNX files, by ONNX Runtime")
    return task.result(made, epochs, tuple(map(len, files)), _latencies(files, task.run.input_shape))


@typed
def cluster(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    bits: int = CONVOLUTION_BITS,
    dense_bits: int | None = None,
    sparsity: float = 0.0,
    epochs: int = 0,
    learning_rate: float = RATE["cluster"],
    seed: int = 0,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    network: str | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> ShrinkResult:
    """A run whose layers share 2^`bits` weights each, a dense layer 2^`dense_bits` (at most 5 unless given), this
    share of them zero, stored as in Deep Compression; the shared values learn for `epochs`. Bytes are those of the
    files of weights."""
    task = _Task(open_run(run, network), data, data_dir, seed, progress, tell)
    if task.run.manifest.quantisation is not None:
        raise UsageError(f"{task.run.path} is quantised; cluster the run that it was made from")
    dense = min(bits, DENSE_BITS) if dense_bits is None else dense_bits

    def change(gathered: Gathered) -> nn.Module:
        pruned = shrinking.prune_weights(task.run.model, sparsity)
        made = shrinking.cluster_weights(pruned, convolution_bits=bits, dense_bits=dense)
        batches = task.epochs(gathered) if epochs else None
        return shrinking.tune_centroids(made, batches, epochs=epochs, learning_rate=learning_rate) if batches else made

    made = task.make(change, out, "clustered", packed=True)
    sizes = [run.weights_file.stat().st_size for run in (task.run, made)]
    tell("bytes are those of the files of weights; in memory, and in time, the network is as it was")
    return task.result(made, epochs, (sizes[0], sizes[1]), None)


@dataclass
class _Task:
    """A run, its pictures, and what becomes of it."""

    run: Run
    data: str | Path | None
    data_dir: str | Path | None
    seed: int
    progress: Progress | None
    tell: Tell

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        torch.set_num_threads(usable_cpus())
        if self.data is None:
            self.data, self.data_dir = own_source(self.run, self.data_dir)
        check_data_dir(self.data, self.data_dir)

    def make(
        self, change: Callable[[Gathered], nn.Module], out: str | Path | None, ending: str, *, packed: bool = False
    ) -> Run:
        """The new run, saved; nothing is where `change` fails."""
        assert self.data is not None
        keep_apart(Path(out or "runs"), self.data)
        with ExitStack() as held:
            held.enter_context(torch.random.fork_rng(devices=[]))
            folder = None if out is None else claim(held, Path(out))
            gathered = pictures_of(self.run, self.data, self.data_dir, self.progress, self.tell)
            model = change(gathered)
            folder = folder or claim_free(held, f"{self.run.path.resolve().name}-{ending}")
            gathered.write(folder)
            made = self._save(folder, gathered, model, packed)
        given = self.run.given_model
        return made if given is None else replace(made, given_model=float_network(given))

    def _save(self, folder: RunFolder, gathered: Gathered, model: nn.Module, packed: bool) -> Run:
        scales = input_scales(model)
        manifest = replace(
            self.run.manifest,
            name=folder.path.resolve().name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            weights={"from": str(self.run.weights_file)},
            data=gathered.facts(),
            metrics={},  # those of other weights
            quantisation={"inputs": scales_to_json(scales)} if scales else None,
            seed=self.seed,
            versions=installed_versions(),
        )
        return save_run(folder, manifest, model.state_dict(), packed=packed)

    def calibration(self, gathered: Gathered) -> list[Tensor]:
        """Batches of training pictures as the network sees them, spread over the whole part."""
        rows = gathered.splits.indices("train")
        rows = rows[:: max(1, len(rows) // CALIBRATED)][:CALIBRATED]
        read = gathered.images.reader.read
        return list(self.run.preprocess([read(int(row)) for row in rows]).split(BATCH))

    def epochs(self, gathered: Gathered) -> shrinking.Batches:
        """What the run's own training showed."""
        recipe = recipe_of(self.run, {"epochs": 1, "learning_rate": None, "seed": self.seed})
        augment = augment_of(self.run)
        shown = prepare(gathered, self.run.preprocess, augment, recipe, progress=self.progress, tell=self.tell)
        batches = shown.batches(BATCH, self.seed)
        steps = iter(range(10**9))

        def epoch() -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(batches.steps_per_epoch):
                yield batches(next(steps))

        return epoch

    def result(self, made: Run, epochs: int, sizes: tuple[int, ...], times: Sequence[Latency] | None) -> ShrinkResult:
        seconds = round(time.monotonic() - self.began, 3)
        assert self.data is not None
        report = write_report(made)
        found = both_measured(self.run, made, self.data, self.data_dir, progress=self.progress, tell=self.tell)
        before, after, answers, num_pictures = found
        after = replace(after, macs=before.macs)  # roundings are no multiplications
        kept: list[Size] = [replace(size, weight_bytes=num) for size, num in zip((before, after), sizes, strict=True)]
        if times is not None:
            kept = [replace(size, latency=latency) for size, latency in zip(kept, times, strict=True)]
        facts: Any = (kept[0], kept[1], answers, num_pictures, float(epochs), (), seconds, report)
        return ShrinkResult(made.path, made.manifest.name, verdict_on(kept[0], kept[1]), *facts)


def _latencies(files: Sequence[bytes], shape: tuple[int, ...]) -> tuple[Latency, ...]:
    """Of one picture in each file, in turn."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = usable_cpus(), 3
    sessions = [onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]) for file in files]
    picture = torch.rand(shape, generator=torch.Generator().manual_seed(0)).numpy()
    return time_in_turn([partial(session.run, None, {INPUT: picture}) for session in sessions], seconds=2.0)
