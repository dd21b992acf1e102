"""`run.json`: written once, read back whole, refused where it is damaged or newer."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from convlens.errors import ConvlensError, RunError
from convlens.runs import FORMAT_VERSION, NEWEST_FORMAT, Manifest, Run, installed_versions, read_manifest
from convlens.runs.entries import INSIDE, KINDS, REQUIRED
from convlens.storage import FolderLock


def change(run: Path, **entries) -> None:
    """Write entries into run.json; None as text "absent" takes one out."""
    values = json.loads((run / "run.json").read_text())
    values |= entries
    (run / "run.json").write_text(json.dumps({k: v for k, v in values.items() if v != "absent"}))


def test_what_was_written_is_read(trained_run):
    manifest = read_manifest(trained_run / "run.json")
    assert manifest.to_dict() == json.loads((trained_run / "run.json").read_text())
    assert manifest.classes == tuple("0123456789")
    assert manifest.format_version == FORMAT_VERSION


def test_the_format_comes_first_and_every_field_is_written(trained_run):
    written = json.loads((trained_run / "run.json").read_text())
    assert next(iter(written)) == "format_version"
    assert written.keys() == {field.name for field in fields(Manifest)}


def test_versions_name_what_the_run_depends_on():
    assert installed_versions().keys() == {"python", "convlens", "torch", "numpy", "pillow"}


def test_a_later_key_is_ignored_so_that_formats_can_grow(copied_run):
    change(copied_run, later="something")
    assert Run.load(copied_run).classes == tuple("0123456789")


def test_an_optional_entry_may_be_missing(copied_run):
    optional = [field.name for field in fields(Manifest) if field.name not in (*REQUIRED, "format_version")]
    change(copied_run, **dict.fromkeys(optional, "absent"))
    run = Run.load(copied_run)
    assert (run.temperature, run.manifest.recipe, run.splits) == (1.0, None, None)
    assert run.model is not None


def test_a_newer_format_is_refused_with_what_to_do(copied_run):
    change(copied_run, format_version=NEWEST_FORMAT + 1)
    with pytest.raises(RunError, match=rf"has format {NEWEST_FORMAT + 1}, this convlens reads up to .*update convlens"):
        Run.load(copied_run)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"run"', "{}", '{"format_version": "one"}', "\xff\xfe"])
def test_what_is_no_manifest_is_refused(copied_run, text):
    (copied_run / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"run\.json (is damaged|has no format_version)"):
        Run.load(copied_run)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_entry_that_is_missing_is_named(copied_run, name):
    change(copied_run, **{name: "absent"})
    with pytest.raises(RunError, match=rf"run\.json is damaged: it has no '{name}'"):
        Run.load(copied_run)


@pytest.mark.parametrize("name", KINDS)
def test_an_entry_of_another_kind_is_named(copied_run, name):
    change(copied_run, **{name: [[]] if name != "classes" else {}})
    with pytest.raises(RunError, match=rf"run\.json is damaged: '{name}'"):
        Run.load(copied_run)


@pytest.mark.parametrize("path", INSIDE)
def test_what_stands_inside_an_entry_has_its_kind_too(copied_run, path):
    values = json.loads((copied_run / "run.json").read_text())
    names, each = path.removesuffix(".*").split("."), path.endswith(".*")
    place = values
    for name in names[:-1]:
        place[name] = place.get(name) or {}
        place = place[name]
    place[names[-1]] = [[3]] if each else True
    (copied_run / "run.json").write_text(json.dumps(values))
    said = rf"'{path.removesuffix('.*')}' {'holds a list' if each else 'is true or false'}, expected .*; restore it"
    with pytest.raises(RunError, match=rf"run\.json is damaged: {said}"):
        Run.load(copied_run)


def test_a_run_json_that_was_cut_short_or_is_missing_says_what_to_do(copied_run):
    file = copied_run / "run.json"
    text = file.read_text()
    for left, said in ((text[: len(text) // 2], "it is no whole JSON: "), ("", "it is empty")):
        file.write_text(left)
        with pytest.raises(RunError, match=rf"run\.json is damaged \({said}.*\); restore it .*or make the run again"):
            Run.load(copied_run)
    file.unlink()
    with pytest.raises(RunError, match=r"run\.json is missing, though the weights are there; restore it"):
        Run.load(copied_run)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"classes": []}, "'classes'"),
        ({"classes": ["a", 2]}, "'classes'"),
        ({"temperature": 0}, "the temperature is 0"),
        ({"temperature": float("nan")}, "the temperature is nan"),
        ({"weights": {"from": "scratch"}}, "'weights' has no sha256"),
        ({"data": {}}, "'data' has no source"),
        ({"preprocess": {}}, "run.json is damaged"),
        ({"preprocess": {"size": [28, 28], "fit": "stretch"}}, "no fit is called 'stretch'"),
        ({"preprocess": {"size": "large"}}, "run.json is damaged"),
        ({"architecture": {}}, "cannot be built"),
        ({"architecture": {"name": "lenet5"}}, "cannot be built"),
    ],
)
def test_entries_that_mean_nothing_are_refused_as_damage_and_not_as_a_wrong_call(copied_run, entries, message):
    change(copied_run, **entries)
    with pytest.raises(RunError, match=message):
        run = Run.load(copied_run)
        assert run.preprocess and run.model


def test_a_network_that_this_version_does_not_know_is_named(copied_run):
    described = Run.load(copied_run).manifest.architecture
    change(copied_run, architecture={**described, "name": "lenet6"})
    with pytest.raises(RunError, match=r"names a network that cannot be built: no network is called 'lenet6'"):
        assert Run.load(copied_run).model


def test_what_is_no_run_folder_is_told_apart(tmp_path):
    with pytest.raises(RunError, match="nowhere does not exist; a run is the folder that"):
        Run.load(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"is no run: it holds no run\.json"):
        Run.load(tmp_path)
    with FolderLock(tmp_path), pytest.raises(RunError, match="is no run yet: a process is still making it"):
        Run.load(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.safetensors").touch()
    with pytest.raises(RunError, match="is a training that has not ended; `convlens train --resume"):
        Run.load(tmp_path)
    with FolderLock(tmp_path), pytest.raises(RunError, match="is a training that is still running; wait until it ends"):
        Run.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConvlensError, match="file"):
        Run.load(tmp_path / "file")
