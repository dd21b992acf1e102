"""A run whose weights are packed is a run like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import convlens
from convlens.errors import RunError
from convlens.runs import Run, save_run
from convlens.shrinking import cluster_weights


@pytest.fixture
def packed_run(copied_run: Path) -> Path:
    run = Run.load(copied_run)
    weights = cluster_weights(run.model).state_dict()
    (copied_run / "weights.safetensors").unlink()
    save_run(run.folder, run.manifest, weights, packed=True)
    return copied_run


def test_its_weights_come_back_bit_for_bit(packed_run: Path, trained_run: Path) -> None:
    expected = cluster_weights(Run.load(trained_run).model).state_dict()
    found = Run.load(packed_run).model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (packed_run / "weights.packed").stat().st_size < 0.25 * (trained_run / "weights.safetensors").stat().st_size


def test_every_command_takes_it(packed_run: Path, tmp_path: Path) -> None:
    accuracy = convlens.evaluate(packed_run).scores.accuracy
    assert accuracy > 0.8
    run = convlens.create("lenet5", weights=packed_run, out=tmp_path / "again").run
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(Run.load(run).model(images), Run.load(packed_run).model(images))


def test_a_packed_file_that_is_missing_or_changed_is_told_by_its_name(packed_run: Path) -> None:
    file = packed_run / "weights.packed"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(RunError, match=r"weights\.packed is not the file that run\.json describes \(it was cut short"):
        assert Run.load(packed_run).model
    file.unlink()
    with pytest.raises(RunError, match=r"weights\.packed is missing"):
        assert Run.load(packed_run).model


def test_a_packed_file_with_the_right_digest_and_no_tensors_is_told(packed_run: Path) -> None:
    from convlens.storage import sha256_bytes

    (packed_run / "weights.packed").write_bytes(b"no tensors")
    manifest = json.loads((packed_run / "run.json").read_text())
    manifest["weights"] |= {"sha256": sha256_bytes(b"no tensors"), "size_bytes": 10}
    (packed_run / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"weights\.packed is damaged or cannot be read \(it is no file of packed"):
        assert Run.load(packed_run).model
