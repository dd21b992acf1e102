"""Int8 files and clustered weights of trained networks, on real pictures: bytes, latency, answers.

    python benchmarks/fewer_bits.py ../shared/data [--epochs 2]

Takes SqueezeNet 1.1 and MobileNet v2 from `weights/` and the 120 pictures of `imagenet-samples/`: every second one
calibrates, the others are answered. Latency is of one picture by ONNX Runtime, the two files in turn, least of 50.
The clustered SqueezeNet is tuned on every second picture of `flowers/`, whose labels are the answers of the network
before, so that no picture that is answered was learnt from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from convlens import zoo
from convlens.exporting import INPUT, int8_bytes, onnx_bytes
from convlens.pictures import Preprocess, decode
from convlens.shrinking import cluster_weights, prune_weights, tune_centroids
from convlens.shrinking.quantisation import divergence
from convlens.storage import pack, unpack

# fmt: off
NETWORKS = {  # name -> file, options, mean and std of the pixels, place of the first class
    "squeezenet1_1": ("squeezenet1_1.npz", {}, ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), 0),
    "mobilenet_v2":  ("mobilenet_v2_1.0_224.npz", {"num_classes": 1001, "padding": "same"}, ((128 / 255,) * 3,) * 2, 1),
}
CLUSTERED = [(0.0, 5), (0.0, 6), (0.0, 8), (0.2, 5)]  # sparsity, bits
# fmt: on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=2, help="of the clusters' centroids")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in NETWORKS:
        network, images, labels = loaded(asked.data, name)
        for method in ("minmax", "entropy", "percentile", "auto"):
            quantised(name, network, images, labels, method)
    network, images, labels = loaded(asked.data, "squeezenet1_1")
    flowers = pictures(sorted((asked.data / "flowers").rglob("*.jpg"))[::2], preprocess("squeezenet1_1"))
    for sparsity, bits in CLUSTERED:
        clustered(network, (images, labels), flowers, sparsity, bits, asked.epochs if bits < 6 else 0)


def preprocess(name: str) -> Preprocess:
    mean, std = NETWORKS[name][2]
    return Preprocess(size=(224, 224), fit="crop", channels=3, mean=mean, std=std, crop_ratio=0.875)


def pictures(paths: list[Path], prepared: Preprocess) -> Tensor:
    return torch.cat([prepared([decode(path)]) for path in paths])


def loaded(data: Path, name: str) -> tuple[nn.Module, Tensor, np.ndarray]:
    file, options, _, first = NETWORKS[name]
    network = zoo.create(name, weights=data / "weights" / file, **options).eval()
    folder = data / "imagenet-samples"
    order = [line.split()[0] for line in (folder / "synsets_in_class_order.txt").read_text().splitlines()]
    paths = sorted(folder.glob("*.JPEG"))
    labels = np.array([first + order.index(path.name.split("_")[0]) for path in paths])
    return network, pictures(paths, preprocess(name)), labels


def quantised(name: str, network: nn.Module, images: Tensor, labels: np.ndarray, method: str) -> None:
    whole = onnx_bytes(network, (3, 224, 224))
    small = int8_bytes(whole, [images[::2].numpy()], method=method)
    one, two = (session(file) for file in (whole, small))
    asked, truth = images[1::2].numpy(), labels[1::2]
    first, second = (torch.from_numpy(each.run(None, {INPUT: asked})[0]) for each in (one, two))
    slow, fast = latencies([one, two], asked[:1])
    print(
        f"{name} {method}: {len(whole):,} -> {len(small):,} bytes ({len(small) / len(whole):.3f}), "
        f"{slow:.2f} -> {fast:.2f} ms, {told(first, second, truth)}",
        flush=True,
    )


def session(file: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(file, options)


def latencies(sessions: list[onnxruntime.InferenceSession], picture: np.ndarray) -> list[float]:
    least = [float("inf")] * len(sessions)
    for _ in range(50):
        for place, each in enumerate(sessions):
            start = perf_counter()
            each.run(None, {INPUT: picture})
            least[place] = min(least[place], 1000 * (perf_counter() - start))
    return least


def told(first: Tensor, second: Tensor, truth: np.ndarray) -> str:
    one, two = first.argmax(1).numpy(), second.argmax(1).numpy()
    return (
        f"accuracy {(one == truth).mean():.3f} -> {(two == truth).mean():.3f}, agreement {(one == two).mean():.3f} "
        f"of {len(truth)} pictures"
    )


def clustered(
    network: nn.Module, test: tuple[Tensor, np.ndarray], flowers: Tensor, sparsity: float, bits: int, epochs: int
) -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        answers = torch.cat([network(images).softmax(1) for images in flowers.split(32)]).clone()
        before = network(test[0])

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(flowers)).split(16):
            yield flowers[rows], answers[rows]

    made = cluster_weights(prune_weights(network, sparsity), convolution_bits=bits)
    made = tune_centroids(made, batches, epochs=epochs) if epochs else made
    arrays = {name: tensor.numpy() for name, tensor in made.state_dict().items()}
    start = perf_counter()
    packed = pack(arrays)
    middle = perf_counter()
    back = unpack(packed)
    end = perf_counter()
    assert all(back[name].tobytes() == array.tobytes() for name, array in arrays.items())
    with torch.inference_mode():
        after = made(test[0])
    print(
        f"squeezenet1_1 sparsity {sparsity:g}, {bits} bits, {epochs} epochs: {len(packed):,} bytes, packed in "
        f"{middle - start:.2f} s, read in {end - middle:.2f} s, {told(before, after, test[1])}, "
        f"divergence {divergence(network, made, test[0]):.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
