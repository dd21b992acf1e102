"""Inference at 224 px: convlens' choice of an engine beside torch, ONNX Runtime and OpenVINO, in one process.

    python benchmarks/inference.py networks [NETWORK …] [--batch 1,8,32] [--seconds 5]
    python benchmarks/inference.py folder FOLDER [--network mobilenet_v3_large] [--pictures 5000]
    python benchmarks/inference.py agreement RUN FOLDER

`networks`: for each network and batch, milliseconds for a batch, the median and the spread of five rounds in which all
ways take turns. The others are used by their own interfaces, as their documentation advises for one batch at a time:
torch as it comes (float32, channels first), torch at the best of channels last, bf16 autocast and (--compile)
torch.compile; ONNX Runtime with all optimisations; OpenVINO at the best of its latency and throughput hints, for a
fixed shape, in float32 and in bf16. Which setting is best is measured first, then only the best of each takes turns.
The best of all runs twice under two names: how far the two are apart is what the machine leaves to chance (A/A).
`auto` is what `choose_engine` takes; `auto, fp32` the same among float32 alone. Networks have random weights; their
statistics are those of the pictures, so that no activation fades into denormal numbers.

`folder`: the JPEGs of a folder, repeated to --pictures, from files to classes: the loop that everyone writes (decode,
resize, crop, batches of 32, plain torch) beside `predict --engine auto`, each in a process of its own.

`agreement`: what each engine makes of a folder's pictures with a trained run, beside torch.
"""

from __future__ import annotations

import argparse
import copy
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import convlens
from convlens.data import list_pictures, usable_cpus
from convlens.engines import (
    EngineChoice,
    Model,
    Settings,
    candidates_for,
    choose_engine,
    open_with,
)
from convlens.engines.agreement import reference_of
from convlens.errors import ConvlensError
from convlens.exporting import load
from convlens.measurement import time_in_turn
from convlens.pictures import Preprocess, decode
from convlens.training.machine import describe_machine, has_fast_bf16
from convlens.zoo import create

NETWORKS = (
    "mobilenet_v3_small", "mobilenet_v3_large", "mobilenet_v2", "squeezenet1_1", "resnet18", "resnet50", "densenet121",
)  # fmt: skip
SIDE, LEAST_DOUBT, PLAIN_BATCH = 224, 0.03, 32
FIRST = 128  # pictures that warm a way up
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Way = Callable[[], Any]


def settled(name: str) -> nn.Module:
    """With the statistics of its pictures in every normalisation."""
    torch.manual_seed(0)
    network = create(name).train()
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = None  # the mean of all that is seen
    with torch.no_grad():
        network(pictures(8))
    return network.eval()


def pictures(number: int) -> Tensor:
    return torch.randn(number, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def torch_ways(network: nn.Module, images: Tensor, *, compiled: bool) -> dict[str, Way]:
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    laid = images.contiguous(memory_format=torch.channels_last)

    def half(model: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return model(laid)

    found: dict[str, Way] = {"torch, channels last": lambda: last(laid)}
    if has_fast_bf16():
        found["torch, channels last, bf16"] = lambda: half(last)
    if compiled:
        quick: Any = torch.compile(copy.deepcopy(last))
        found["torch, compiled"] = lambda: quick(laid)
        if has_fast_bf16():
            found["torch, compiled, bf16"] = lambda: half(quick)
    return found


def onnx_runtime_way(file: bytes, images: Tensor, threads: int) -> Way:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: images.numpy()}
    return lambda: session.run(None, given)


def openvino_ways(file: bytes, images: Tensor, threads: int, precision: str) -> dict[str, Way]:
    core, given = load("openvino", "this comparison").Core(), images.numpy()
    found: dict[str, Way] = {}
    for hint in ("LATENCY", "THROUGHPUT"):
        model = core.read_model(file)
        model.reshape(list(given.shape))
        named = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": hint, "INFERENCE_NUM_THREADS": threads}
        request = core.compile_model(model, "CPU", named).create_infer_request()
        found[f"OpenVINO, {precision}, {hint.lower()}"] = partial(
            request.infer, {0: given}, share_inputs=True, share_outputs=True
        )
    return found


def best_of(ways: dict[str, Way]) -> dict[str, Way]:
    """The one with the smallest of a few times."""
    if len(ways) == 1:
        return ways
    took: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(4):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append(time.perf_counter() - began)
    best = min(took, key=lambda name: min(took[name]))
    return {best: ways[best]}


@dataclass(frozen=True)
class Cell:
    """Medians in milliseconds for a batch; `apart` is the A/A spread."""

    network: str
    batch: int
    theirs: dict[str, float]
    auto: float
    auto_fp32: float
    apart: float

    @property
    def slower(self) -> float:
        """Than the best of the others, as a share: 0.03 is 3 % slower."""
        return self.auto / min(self.theirs.values()) - 1

    @property
    def holds(self) -> bool:
        return self.slower <= max(LEAST_DOUBT, self.apart)

    @property
    def slower_fp32(self) -> float:
        exact = [ms for name, ms in self.theirs.items() if "bf16" not in name]
        return self.auto_fp32 / min(exact) - 1

    def against_plain(self, ms: float) -> float:
        return self.theirs["torch, plain"] / ms


@torch.inference_mode()
def measured(name: str, network: nn.Module, model: Model, batch: int, asked: argparse.Namespace) -> Cell:
    threads, images = asked.threads, pictures(batch)
    others: dict[str, Way] = {"torch, plain": lambda: network(images)}
    others |= best_of(torch_ways(network, images, compiled=asked.compile))
    others |= {"ONNX Runtime": onnx_runtime_way(model.onnx, images, threads)}
    for precision in ("f32", "bf16") if has_fast_bf16() else ("f32",):
        others |= best_of(openvino_ways(model.onnx, images, threads, precision))
    choice = chosen(model, batch, threads, bf16=has_fast_bf16())
    exact = chosen(model, batch, threads, bf16=False)
    twin = next(iter(best_of({key: way for key, way in others.items() if key != "torch, plain"})))
    with open_with(choice.settings, model) as auto, open_with(exact.settings, model) as auto_fp32:
        ways = [*others.values(), others[twin], lambda: auto(images), lambda: auto_fp32(images)]
        found = time_in_turn(ways, batch=batch, seconds=asked.seconds)
    theirs = dict(zip(others, (one.p50_ms for one in found), strict=False))
    again, ours, ours_fp32 = (one.p50_ms for one in found[-3:])
    cell = Cell(name, batch, theirs, ours, ours_fp32, abs(again / theirs[twin] - 1))
    noise = {key: one.noise for key, one in zip(others, found, strict=False)}
    print(f"{name}, batch {batch}: auto took {choice}")
    for key, ms in theirs.items():
        print(f"  {key:32} {ms:9.2f} ms (noise {100 * noise[key]:3.0f} %)  {ms / ours:6.2f} times ours")
    print(f"  {'auto: ' + str(choice.settings):32} {ours:9.2f} ms (noise {100 * found[-2].noise:3.0f} %)")
    print(f"  {'auto, fp32: ' + str(exact.settings):32} {ours_fp32:9.2f} ms (noise {100 * found[-1].noise:3.0f} %)")
    verdict = "holds" if cell.holds else "DOES NOT HOLD"
    print(
        f"  {100 * cell.slower:+.1f} % beside the best of them, A/A {100 * cell.apart:.1f} %: {verdict}; fp32 beside "
        f"fp32 {100 * cell.slower_fp32:+.1f} %; against plain torch {cell.against_plain(ours):.2f} times, in fp32 "
        f"{cell.against_plain(ours_fp32):.2f} times",
        flush=True,
    )
    return cell


def chosen(model: Model, batch: int, threads: int, *, bf16: bool) -> EngineChoice:
    candidates = candidates_for(threads=threads, batch=batch, bf16=bf16)
    return choose_engine(model, pictures(max(32, batch)), batch=batch, candidates=candidates)


def networks(asked: argparse.Namespace) -> None:
    torch.set_num_threads(asked.threads)
    torch.set_flush_denormal(True)
    cells = []
    for name in asked.networks or NETWORKS:
        network = settled(name)
        model = Model(network, (3, SIDE, SIDE))
        began = time.perf_counter()
        size = len(model.onnx)
        print(f"{name}: exported in {time.perf_counter() - began:.1f} s, {size / 1e6:.1f} MB")
        cells += [measured(name, network, model, batch, asked) for batch in asked.batch]
    print(f"\n{sum(cell.holds for cell in cells)} of {len(cells)} cells: never slower than the best of the others")
    print("network              batch   plain     auto   times  fp32   times   beside the best   fp32 beside fp32")
    for cell in cells:
        print(
            f"{cell.network:20} {cell.batch:5} {cell.theirs['torch, plain']:7.1f} {cell.auto:8.2f} "
            f"{cell.against_plain(cell.auto):7.2f} {cell.auto_fp32:5.1f} {cell.against_plain(cell.auto_fp32):7.2f} "
            f"{100 * cell.slower:+14.1f} % {100 * cell.slower_fp32:+15.1f} %"
        )


class Plain:
    """The loop that everyone writes."""

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        self.network, self.preprocess = network, preprocess

    def tensor(self, path: Path) -> Tensor:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        side = round(SIDE / self.preprocess.crop_ratio)
        scale = side / min(picture.size)
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR
        )
        left, top = (picture.width - SIDE) // 2, (picture.height - SIDE) // 2
        pixels = np.array(picture.crop((left, top, left + SIDE, top + SIDE)), np.float32) / 255
        return torch.from_numpy((pixels - np.float32(MEAN)) / np.float32(STD)).permute(2, 0, 1)

    @torch.no_grad()
    def __call__(self, files: Sequence[Path]) -> list[int]:
        found: list[int] = []
        for start in range(0, len(files), PLAIN_BATCH):
            batch = torch.stack([self.tensor(path) for path in files[start : start + PLAIN_BATCH]])
            found += torch.softmax(self.network(batch), 1).argmax(1).tolist()
        return found


def run_plain(run: Path, files: list[Path], threads: int) -> tuple[float, float, float, list[int]]:
    torch.set_num_threads(threads)
    opened = convlens.Run.load(run)
    return timed(Plain(opened.model, opened.preprocess), files)


def run_ours(run: Path, files: list[Path], threads: int) -> tuple[float, float, float, list[int]]:
    torch.set_num_threads(threads)
    opened = convlens.Run.load(run)

    def way(some: Sequence[Path]) -> list[int]:
        result = convlens.predict(opened, some, engine="auto", top=1)
        return [opened.classes.index(one.label) for one in result.predictions]

    return timed(way, files)


def timed(way: Callable[[Sequence[Path]], list[int]], files: list[Path]) -> tuple[float, float, float, list[int]]:
    """Seconds for all, after the first few; MB at the most, and what of them came after the first few; the classes."""
    way(files[:FIRST])
    before, began = resident(), time.perf_counter()
    found = way(files)
    return time.perf_counter() - began, resident(), resident() - before, found


def choose_first(run: Path, files: list[Path]) -> None:
    """In a process of its own: what it takes is no part of what is measured."""
    convlens.predict(run, files[:FIRST], engine="auto", tell=lambda line: print(line, flush=True))


def resident() -> float:
    """MB at the most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def settled_run(name: str, weights: str | None, out: Path) -> Path:
    """Of published weights, or of random ones with the statistics of pictures."""
    if weights is None:
        weights = str(out.with_suffix(".safetensors"))
        save_file({key: value.contiguous() for key, value in settled(name).state_dict().items()}, weights)
    return convlens.create(name, out=out, weights=weights).run


def folder(asked: argparse.Namespace) -> None:
    there = [path for path in list_pictures(asked.folder) if path.suffix.lower() in (".jpg", ".jpeg")]
    if not there:
        sys.exit(f"{asked.folder} holds no JPEGs")
    files = [there[place % len(there)] for place in range(asked.pictures)]
    print(f"{len(files):,} JPEGs, {len(there):,} different ones; {asked.network}")
    with tempfile.TemporaryDirectory() as place:
        run = settled_run(asked.network, asked.weights, Path(place) / "run")
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            alone.submit(choose_first, run, files).result()
        seconds: dict[str, list[float]] = {"plain": [], "convlens": []}
        answers: dict[str, list[int]] = {}
        for _ in range(asked.repeats):
            for name, way in (("plain", run_plain), ("convlens", run_ours)):
                with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                    took, most, grown, answers[name] = alone.submit(way, run, files, asked.threads).result()
                seconds[name].append(took)
                memory = f"at most {most:.0f} MB, {grown:+.0f} MB after the first {FIRST}"
                print(f"  {name}: {took:.1f} s, {len(files) / took:.0f} pictures/s, {memory}", flush=True)
    ratio = statistics.median(a / b for a, b in zip(*seconds.values(), strict=True))
    same = np.mean([a == b for a, b in zip(*answers.values(), strict=True)])
    print(f"convlens: {ratio:.2f} times as fast; the same class for {100 * same:.2f} % of the pictures")


def agreement(asked: argparse.Namespace) -> None:
    """Every picture of the folder, at batch 16, in torch as the run is and by each engine."""
    run = convlens.Run.load(asked.run)
    files = list_pictures(asked.folder)[: asked.pictures]
    images = run.preprocess([decode(path, short_side=run.preprocess.decode_side) for path in files])
    model = Model(run.model, run.input_shape[1:])
    options: dict[str, Any] = {"batch": 16, "threads": asked.threads, "temperature": run.temperature}
    reference = reference_of(model.network, images, **options, seconds=1e9)
    print(f"{run.path.name} on {len(images)} pictures; torch's own probabilities reach {reference.shares.max():.3f}")
    precisions = [
        ("torch", "fp32"),
        ("onnxruntime", "fp32"),
        ("openvino", "fp32"),
        ("torch", "bf16"),
        ("openvino", "bf16"),
    ]
    for name, precision in precisions:
        try:
            with open_with(Settings(name, precision, asked.threads), model) as engine:
                found = reference.judge(engine)
        except ConvlensError as error:
            print(f"  {name}, {precision}: {error}")
            continue
        said = found.complaint(precision) or "agrees"
        print(
            f"  {name}, {precision}: top-1 {found.top1:.4f}, largest difference {found.largest_difference:.2g}: {said}"
        )


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=usable_cpus())
    verbs = parser.add_subparsers(dest="verb", required=True)
    cells = verbs.add_parser("networks")
    cells.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    cells.add_argument("--batch", type=numbers, default=[1, 8, 32])
    cells.add_argument("--seconds", type=float, default=5.0, help="for each way, in turns")
    cells.add_argument("--compile", action="store_true", help="torch.compile among torch's best, too")
    whole = verbs.add_parser("folder")
    whole.add_argument("folder", type=Path)
    whole.add_argument("--network", default="mobilenet_v3_large")
    whole.add_argument("--weights", help="imagenet, or a file")
    whole.add_argument("--pictures", type=int, default=5000)
    whole.add_argument("--repeats", type=int, default=3)
    compared = verbs.add_parser("agreement")
    compared.add_argument("run", type=Path)
    compared.add_argument("folder", type=Path)
    compared.add_argument("--pictures", type=int, default=2000)
    asked = parser.parse_args(given)
    warnings.simplefilter("ignore")
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "onnxruntime", "openvino"))
    machine = describe_machine()
    print(f"{machine['processor']}, {' '.join(machine['flags'])}, {asked.threads} threads; {versions}")
    {"networks": networks, "folder": folder, "agreement": agreement}[asked.verb](asked)


if __name__ == "__main__":
    main()
