"""Explanations at 224 px: convlens beside captum and pytorch-grad-cam, on the same network, picture and process.

    make peers
    .venv-peers/bin/python -m pip install --no-deps captum==0.9.0 grad-cam==1.5.7
    .venv-peers/bin/python -m pip install ttach opencv-python-headless matplotlib
    PYTHONPATH=src .venv-peers/bin/python benchmarks/explain.py [CASE …] [--repeats 5] [--device cuda]

pytorch-grad-cam needs torchvision, which convlens never installs, so all three run in the peers' environment. Every
case is timed in turns, A-B-A-B, after one of each to warm up: medians, from the fastest to the slowest, and ratios.
captum's occlusion is timed as it comes (one window a pass) and at the best of some `perturbations_per_eval`. On a GPU
all three work in float32 as it is, as convlens always does there, not in TF32. Each is compared: the largest difference
of the maps, as a share of the largest value. With --memory each tool runs alone in a process of its own, and what its
peak resident memory is above that of the loaded network is printed. With --products nothing is timed: which share of
the products of the plain loop convlens' occlusion computes, in batches and for each window by itself. --pass-mib gives
convlens another bound of the activations of a pass.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convlens.explanation import explain, memory, occluded
from convlens.explanation.occlusion import windows
from convlens.explanation.replay import Incremental, incremental, replayable
from convlens.zoo import create

SIDE, TARGET = 224, 7
WINDOW, STRIDE, STEPS = 15, 8, 50
AT_ONCE = (4, 8, 16, 32)  # perturbations_per_eval that captum is tried at
Way = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Case:
    """`layer` is what every tool is told to look at; "" for methods that look at none."""

    name: str
    network: str
    method: str
    batch: int = 1


CASES = (
    Case("grad_cam", "resnet50", "grad_cam"),
    Case("grad_cam_32", "resnet50", "grad_cam", 32),
    Case("occlusion_resnet50", "resnet50", "occlusion"),
    Case("occlusion_mobilenet", "mobilenet_v3_large", "occlusion"),
    Case("integrated_gradients", "resnet50", "integrated_gradients"),
    Case("score_cam", "resnet18", "score_cam"),
)


def loaded(case: Case, device: str = "cpu") -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    network = create(case.network).eval()
    images = torch.randn(case.batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return network.to(device), images.to(device)


def ways(case: Case, network: nn.Module, images: Tensor) -> dict[str, Way]:
    """Each tool's way to the same maps, ours first."""
    targets = [TARGET] * len(images)
    options = {
        "occlusion": {"window": WINDOW, "stride": STRIDE},
        "integrated_gradients": {"steps": STEPS},
    }.get(case.method, {})
    found: dict[str, Way] = {"convlens": lambda: explain(network, images, targets, method=case.method, **options).maps}
    if case.method in ("grad_cam", "score_cam"):
        found["pytorch-grad-cam"] = grad_cam_of(case, network, images)
    else:
        found |= captum_of(case, network, images)
    return found


def grad_cam_of(case: Case, network: nn.Module, images: Tensor) -> Way:
    from pytorch_grad_cam import GradCAM, ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = network.get_submodule(explain(network, images[:1], TARGET, method="grad_cam").layer or "")
    kind = GradCAM if case.method == "grad_cam" else ScoreCAM

    def run() -> np.ndarray:
        with kind(model=network, target_layers=[layer]) as cam:
            return cam(input_tensor=images, targets=[ClassifierOutputTarget(TARGET)] * len(images))

    return run


def captum_of(case: Case, network: nn.Module, images: Tensor) -> dict[str, Way]:
    from captum.attr import IntegratedGradients, Occlusion

    if case.method == "integrated_gradients":
        tool = IntegratedGradients(network)
        return {
            "captum": lambda: tool.attribute(images, target=TARGET, n_steps=STEPS).detach().sum(1).cpu().numpy(),
            "captum, 10 a pass": lambda: (
                tool.attribute(images, target=TARGET, n_steps=STEPS, internal_batch_size=10)
                .detach()
                .sum(1)
                .cpu()
                .numpy()
            ),
        }
    cover = Occlusion(network)

    def of(at_once: int) -> Way:
        size = {"sliding_window_shapes": (3, WINDOW, WINDOW), "strides": (3, STRIDE, STRIDE)}

        def run() -> np.ndarray:
            with torch.no_grad():
                maps = cover.attribute(images, target=TARGET, perturbations_per_eval=at_once, **size)
                return maps[:, 0].cpu().numpy()

        return run

    counts = (*AT_ONCE, 64, 128, 256) if images.is_cuda else AT_ONCE
    best = min(counts, key=lambda count: timed(of(count))[0])
    return {"captum": of(1), f"captum, {best} a pass": of(best)}


def timed(way: Way) -> tuple[float, np.ndarray]:
    began = time.perf_counter()
    maps = way()
    return time.perf_counter() - began, maps


def compare(case: Case, repeats: int, device: str) -> None:
    network, images = loaded(case, device)
    tools = ways(case, network, images)
    maps = {name: timed(way)[1] for name, way in tools.items()}  # the first of each warms up
    times: dict[str, list[float]] = {name: [] for name in tools}
    for turn in range(repeats):
        for name in sorted(tools, reverse=turn % 2 == 1):
            times[name].append(timed(tools[name])[0])
    print(f"{case.name}: {case.network}, {case.method}, batch {case.batch}")
    for name, seconds in times.items():
        ratio = statistics.median(other / own for other, own in zip(seconds, times["convlens"], strict=True))
        far = np.abs(scaled(maps[name]) - scaled(maps["convlens"])).max()
        said = "" if name == "convlens" else f", {ratio:.2f} times ours, maps differ by {far:.1e}"
        print(
            f"  {name}: {statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f}){said}", flush=True
        )


def scaled(maps: np.ndarray) -> np.ndarray:
    """Tools have scales of their own: each map over its largest magnitude."""
    return maps / np.abs(maps).max(axis=(1, 2), keepdims=True).clip(min=1e-12)


def peak(case: Case, name: str) -> float:
    """MB above the loaded network."""
    network, images = loaded(case)
    with torch.no_grad():
        network(images)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ways(case, network, images)[name]()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def products(case: Case) -> None:
    """Those of convolutions and matrices, counted by torch; of single windows every fifth."""
    network, images = loaded(case)
    incremental.packed = lambda recorded: recorded  # torch counts only operators of its own
    with torch.no_grad():
        plain = counted(lambda: network(images))
        changing = Incremental(replayable(network, images), images)
        places = windows(SIDE, SIDE, WINDOW, STRIDE)
        for at_once, step in ((occluded.AT_ONCE, 1), (1, 5)):
            batches = [[places[index] for index in batch] for batch in occluded.alike(places, at_once)][::step]
            own = sum(counted(lambda b=b: changing.logits(occluded.covered(images, images * 0, b))) for b in batches)
            share = own / plain / sum(map(len, batches))
            print(f"{case.name}, {at_once} windows at once: {share:.3f} of the products", flush=True)


def counted(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def import_torchvision() -> None:
    """Beside another build of torch its wheel does not define two operators, and importing it fails without them."""
    if torch.version.cuda:
        return  # the build that it was made for
    global OPERATORS
    OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="for the times")
    parser.add_argument("--pass-mib", type=int)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--products", action="store_true")
    asked = parser.parse_args(given)
    warnings.simplefilter("ignore")
    import_torchvision()
    torch.backends.cudnn.allow_tf32 = False
    if asked.pass_mib:
        memory.bound_on = lambda device, gradient: asked.pass_mib << 20
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for case in CASES:
        if asked.cases and case.name not in asked.cases:
            continue
        if asked.products:
            if case.method == "occlusion":
                products(case)
            continue
        if not asked.memory:
            compare(case, asked.repeats, asked.device)
            continue
        for name in ways(case, *loaded(case)):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=import_torchvision) as pool:
                print(f"{case.name}, {name}: {pool.submit(peak, case, name).result():.0f} MB", flush=True)


if __name__ == "__main__":
    main()
