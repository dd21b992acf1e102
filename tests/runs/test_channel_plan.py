"""A pruned run: its network is built, cut by the plan in run.json, and gives the very same logits."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import torch
from torch import nn

import convlens
from convlens.errors import RunError
from convlens.graph import apply_channel_plan
from convlens.runs import Run, RunFolder, save_run
from tests.graph.pruned import plan_of

SCHEMA = Path(__file__).parents[2] / "docs" / "run.schema.json"
ANSWER = """
import sys, torch
from convlens.runs import Run
run = Run.load(sys.argv[1])
images = torch.load(sys.argv[2], weights_only=True)
assert "pickle" not in open(sys.argv[1] + "/run.json").read()
with torch.inference_mode():
    torch.save(run.model(images), sys.argv[3])
"""


def pruned_run(tmp_path: Path, name: str, **options: object) -> tuple[Run, torch.Tensor, torch.Tensor]:
    """-> the run, pictures and what the network says of them."""
    convlens.create(name, out=tmp_path / "whole", classes=("a", "b", "c"), **options)
    whole = Run.load(tmp_path / "whole")
    images = torch.randn(2, *whole.input_shape[1:])
    network = whole.model
    _, plan = plan_of(network, (2, *whole.input_shape[1:]))
    small = apply_channel_plan(network, plan).eval()
    manifest = replace(whole.manifest, channel_plan=plan.to_dict())
    run = save_run(RunFolder(tmp_path / "small"), manifest, small.state_dict())
    with torch.inference_mode():
        return run, images, small(images)


def test_a_pruned_run_gives_the_same_logits_in_a_new_process(tmp_path: Path) -> None:
    run, images, logits = pruned_run(tmp_path, "shufflenet_v2_x0_5", image_size=32)
    torch.save(images, tmp_path / "images")
    files = [str(run.path), str(tmp_path / "images"), str(tmp_path / "logits")]
    subprocess.run([sys.executable, "-c", ANSWER, *files], check=True)
    assert torch.equal(torch.load(tmp_path / "logits", weights_only=True), logits)
    written = json.loads(run.folder.manifest.read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(written)


def test_a_given_network_is_cut_too_and_one_that_is_cut_already_stays(tmp_path: Path) -> None:
    run, images, logits = pruned_run(tmp_path, "lenet5")
    whole = Run.load(tmp_path / "whole").model
    for _ in range(2):
        with torch.inference_mode():
            assert torch.equal(Run.load(run.path, model=whole).model(images), logits)


def test_a_plan_that_does_not_fit_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    run, *_ = pruned_run(tmp_path, "lenet5")
    with pytest.raises(
        RunError, match=r"run\.json: the channel plan names .*which this network does not have.*restore"
    ):
        assert Run.load(run.path, model=nn.Linear(3, 3)).model
    values = json.loads(run.folder.manifest.read_text())
    for change, told in (
        ({"kept": ["0-99"] * 9}, "it is for another network"),
        ({"kept": [""] * 9}, "the channel plan cannot be read"),
        ({"kept": ["0-1,1,new,new"] * 9}, r"the channel plan cannot be read .*channel 1 is kept twice"),
        ({"kept": ["-3"] * 9}, "the channel plan cannot be read"),
        ({"kept": 3}, "'channel_plan.kept' is a whole number, expected a list"),
        ({"kept": [3]}, r"'channel_plan.kept' holds a whole number, expected text"),
        ({"tensors": {"stages.c1.weight": {"0": 77}}}, "the channel plan cannot be read"),
        ({"attributes": {"stages.c1": {"weight": 3}}}, "holds no such size"),
    ):
        damaged = {**values, "channel_plan": {**values["channel_plan"], **change}}
        run.folder.manifest.write_text(json.dumps(damaged))
        with pytest.raises(RunError, match=told) as error:
            assert Run.load(run.path).model
        assert "\n" not in str(error.value)
    del values["channel_plan"]["groups"]
    run.folder.manifest.write_text(json.dumps(values))
    with pytest.raises(RunError, match="'channel_plan' has no groups"):
        Run.load(run.path)


def test_measuring_a_pruned_run_at_another_size_keeps_its_channels(tmp_path: Path) -> None:
    run, *_ = pruned_run(tmp_path, "resnet20", image_size=32)
    here, larger = convlens.measure(run), convlens.measure(run, image_size=64)
    assert here.network.parameters == larger.network.parameters
    assert larger.network.input_shape[-1] == 64
