"""SqueezeNet: its order of tensors, files whose names were sorted, and real weights on real pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import convlens.zoo as zoo
from convlens.pictures import Preprocess, decode


def test_the_classifier_alone_is_left_out_for_another_number_of_classes(tmp_path: Path) -> None:
    state = zoo.create("squeezenet1_1", num_classes=4, image_size=32).state_dict()
    torch.save(
        {f"layer{index}.{name.rpartition('.')[2]}": state[name] for index, name in enumerate(state)}, tmp_path / "w.pth"
    )
    network = zoo.create("squeezenet1_1", num_classes=7, image_size=32, weights=tmp_path / "w.pth")
    assert network.weights_record is not None
    assert network.weights_record.left_out == ("head.conv.weight", "head.conv.bias")
    assert torch.equal(network.state_dict()["stages.2.3.expand3x3.weight"], state["stages.2.3.expand3x3.weight"])


def test_the_order_of_layers_comes_back_to_an_npz_file_with_sorted_names(tmp_path: Path) -> None:
    state = zoo.create("squeezenet1_0", num_classes=4, image_size=32).state_dict()
    renamed = {f"net0_conv{index // 2}_{name.rpartition('.')[2]}": state[name] for index, name in enumerate(state)}
    np.savez(tmp_path / "sorted.npz", **{name: renamed[name].numpy() for name in sorted(renamed)})
    loaded = zoo.create("squeezenet1_0", num_classes=4, image_size=32, weights=tmp_path / "sorted.npz").state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


@pytest.mark.slow
def test_real_weights_classify_real_pictures(shared_data: Path) -> None:
    """61.4 and 83.3 % of 1,000 pictures of this kind were right; the standard errors of 120 are 4.5 and 3.4 points."""
    network = zoo.create("squeezenet1_1", weights=shared_data / "weights" / "squeezenet1_1.npz").eval()
    published = zoo.published("squeezenet1_1")
    assert published is not None
    preprocess, samples = Preprocess.from_dict(published.preprocessing), shared_data / "imagenet-samples"
    lines = (samples / "synsets_in_class_order.txt").read_text().splitlines()
    files = sorted(samples.glob("*.JPEG"))
    images = preprocess([decode(file) for file in files])
    classes = torch.tensor([lines.index(file.name.partition("_")[0]) for file in files])
    with torch.no_grad():
        best = network(images).topk(5).indices
    hits = best == classes[:, None]
    assert len(files) == 120
    assert hits[:, 0].float().mean() > 0.5
    assert hits.any(1).float().mean() > 0.7
