"""Loading a run: the very weights, the very preprocessing, nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from convlens.data import open_images
from convlens.errors import RunError
from convlens.reports import write_report
from convlens.runs import Run, RunFolder, read_history, read_weights, rewind_history, save_run
from convlens.zoo import create


def test_a_run_gives_model_preprocessing_and_classes(trained_run):
    run = Run.load(trained_run)
    digits = open_images("digits")
    test = run.splits.indices("test")
    images = run.preprocess([digits.reader.read(int(index)) for index in test])
    with torch.inference_mode():
        right = run.model(images).argmax(1).numpy() == digits.labels[test]
    assert images.shape[1:] == run.input_shape[1:]
    assert right.mean() > 0.8
    assert len(run.classes) == 10


def test_the_model_is_in_eval_mode_and_built_once(trained_run):
    run = Run.load(trained_run)
    assert not any(module.training for module in run.model.modules())
    assert run.model is run.model


def test_loading_leaves_the_random_numbers_alone(trained_run):
    before = torch.get_rng_state()
    assert Run.load(trained_run).model
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_writes_nothing(copied_run):
    before = {path: path.stat().st_mtime_ns for path in copied_run.rglob("*")}
    run = Run.load(copied_run)
    assert run.model and run.splits and run.history and run.evaluations == {}
    assert {path: path.stat().st_mtime_ns for path in copied_run.rglob("*")} == before


def test_changed_weights_are_refused(copied_run):
    weights = copied_run / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(RunError, match=r"weights\.safetensors is not the file that run\.json describes .*SHA-256"):
        assert Run.load(copied_run).model


def test_missing_and_damaged_weights_are_refused(copied_run):
    weights = copied_run / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"no tensors")
    with pytest.raises(RunError, match=r"weights\.safetensors is damaged or cannot be read \(.*\); restore it"):
        read_weights(weights)
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        RunError, match=rf"cut short: {len(whole) // 2:,} of {len(whole):,} bytes are there\); restore it"
    ):
        assert Run.load(copied_run).model
    weights.unlink()
    with pytest.raises(RunError, match=r"weights\.safetensors is missing; restore it .* or make the run again"):
        assert Run.load(copied_run).model


def test_a_given_model_gets_the_weights_and_must_fit(trained_run):
    model = create("lenet5", num_classes=10, in_channels=1, image_size=28)
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(Run.load(trained_run, model=model).model(images), Run.load(trained_run).model(images))
    with pytest.raises(RunError, match=r"does not fit the network: .*Missing key"):
        assert Run.load(trained_run, model=nn.Linear(2, 2)).model


def edited(run: Path, **entries: Any) -> Path:
    """run.json with other entries, its tables changed and not replaced."""
    values = json.loads((run / "run.json").read_text())
    for name, value in entries.items():
        values[name] = values[name] | value if isinstance(value, dict) else value
    (run / "run.json").write_text(json.dumps(values))
    return run


def test_classes_that_were_cut_are_told_when_the_run_is_loaded(copied_run):
    edited(copied_run, classes=list("0123456"))
    with pytest.raises(RunError, match=r"it names 7 classes, and its network gives 10; restore it"):
        Run.load(copied_run)


@pytest.mark.parametrize("size", [[2, 2], [12, 3]])
def test_pictures_that_the_network_cannot_read_are_told_with_their_size(copied_run, size):
    run = Run.load(edited(copied_run, preprocess={"size": size}))
    said = rf"prepares pictures of {size[0]}×{size[1]} px with 1 channel, which its network cannot read .*; restore it"
    with pytest.raises(RunError, match=said):
        assert run.model


class Own(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 4, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))


def test_a_network_of_your_own_is_asked_what_it_reads_and_gives(copied_run):
    edited(copied_run, classes=list("0123456"))
    values = json.loads((copied_run / "run.json").read_text())
    values["architecture"] = {"network": "net.py:Own"}
    (copied_run / "run.json").write_text(json.dumps(values))
    run = save_run(RunFolder(copied_run), Run.load(copied_run).manifest, Own().state_dict())
    with pytest.raises(RunError, match="names 7 classes, and its network gives 10; restore it"):
        assert replace(run, given_model=Own()).model
    edited(copied_run, preprocess={"size": [3, 3]}, classes=list("0123456789"))
    with pytest.raises(RunError, match="prepares pictures of 3×3 px with 1 channel, which its network cannot read"):
        assert Run.load(copied_run, model=Own()).model
    edited(copied_run, preprocess={"size": [30, 20]})
    assert Run.load(copied_run, model=Own()).model


def test_a_saved_run_is_whole_only_with_its_manifest_and_names_the_digest(tmp_path, trained_run):
    run = Run.load(trained_run)
    saved = save_run(RunFolder(tmp_path), run.manifest, run.model.state_dict())
    assert saved.manifest.weights["sha256"] == run.manifest.weights["sha256"]
    assert saved.manifest.weights["size_bytes"] == (tmp_path / "weights.safetensors").stat().st_size
    assert Run.load(tmp_path).manifest == saved.manifest


def test_evaluations_and_explanations_are_found_by_name(copied_run):
    (copied_run / "evaluation").mkdir()
    (copied_run / "evaluation" / "digits.json").write_text('{"accuracy": 0.5}')
    (copied_run / "explanations").mkdir()
    (copied_run / "explanations" / "a.json").write_text('{"file": "a.png", "caption": "A"}')
    run = Run.load(copied_run)
    assert run.evaluations == {"digits": {"accuracy": 0.5}}
    assert run.explanations == [{"file": copied_run / "explanations" / "a.png", "caption": "A"}]


def test_a_damaged_evaluation_says_what_to_do(copied_run):
    (copied_run / "evaluation").mkdir()
    (copied_run / "evaluation" / "digits.json").write_text("{")
    with pytest.raises(
        RunError, match=r"digits\.json is damaged .*; `convlens evaluate` on the same pictures writes it"
    ):
        assert Run.load(copied_run).evaluations


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"accuracy": "high"}, "'accuracy' is text, expected a number"),
        ({"confusion": [[1, 2], 3]}, "'confusion' holds a whole number, expected a list"),
        ({"per_class": [{"name": "A", "precision": 1.0}]}, "'per_class' has no recall"),
        ({"errors": [["A"]]}, "'errors' holds a list, expected a table"),
    ],
)
def test_an_evaluation_whose_entries_are_of_another_kind_is_damaged(copied_run, values, said):
    (copied_run / "evaluation").mkdir()
    (copied_run / "evaluation" / "digits.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match=rf"digits\.json is damaged \({said}\); `convlens evaluate`"):
        write_report(Run.load(copied_run))


def test_an_evaluation_that_is_lists_in_lists_is_damaged(copied_run):
    (copied_run / "evaluation").mkdir()
    (copied_run / "evaluation" / "digits.json").write_text("[" * 100_000)
    with pytest.raises(RunError, match=r"digits\.json is damaged .*; `convlens evaluate`"):
        assert Run.load(copied_run).evaluations


def test_a_history_or_manifest_that_is_lists_in_lists_is_no_traceback(copied_run):
    (copied_run / "history.jsonl").write_text('{"step": 1}\n' + "[" * 100_000 + "\n")
    assert Run.load(copied_run).history == [{"step": 1}]
    (copied_run / "run.json").write_text("[" * 100_000)
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        Run.load(copied_run)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_an_evaluation_or_a_caption_of_another_kind_is_damage_too(copied_run, text):
    for folder in ("evaluation", "explanations"):
        (copied_run / folder).mkdir()
        (copied_run / folder / "a.json").write_text(text)
    with pytest.raises(RunError, match=r"a\.json is damaged \(it holds no table\); .* delete it"):
        assert Run.load(copied_run).evaluations
    (copied_run / "explanations" / "a.json").write_text("{}")
    with pytest.raises(RunError, match=r"a\.json is damaged \(it names no file\); delete it"):
        assert Run.load(copied_run).explanations


def test_history_has_a_row_an_epoch(trained_run):
    rows = Run.load(trained_run).history
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["step"] == 2 * rows[0]["step"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "images_per_second"} <= rows[0].keys()


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 5}\n{"step": 10}\n{"st')
    assert read_history(path) == [{"step": 5}, {"step": 10}]
    assert read_history(tmp_path / "absent.jsonl") == []
    path.write_bytes(b'{"step": 5}\n\xff\xfe\n{"step": 15}')
    assert read_history(path) == [{"step": 5}]
    path.write_text('{"step": 5}\n7\n')
    assert read_history(path) == [{"step": 5}]


def test_history_is_rewound_to_the_checkpoint(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in (5, 10, 15)))
    rewind_history(path, 10)
    assert [row["step"] for row in read_history(path)] == [5, 10]
