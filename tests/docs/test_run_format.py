"""docs/run-format.md and docs/run.schema.json describe the runs that are written."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

import convlens
from convlens.data import Augment
from convlens.errors import Stopped
from convlens.pictures import Preprocess
from convlens.runs import Manifest
from convlens.runs.splits import COLUMNS
from convlens.training import Plan, Recipe
from convlens.training.precision import Choice, Timed
from convlens.training.schedule import Segment
from convlens.zoo import Architecture

from .conftest import ROOT

SCHEMA = json.loads((ROOT / "docs" / "run.schema.json").read_text(encoding="utf-8"))
TEXT = (ROOT / "docs" / "run-format.md").read_text(encoding="utf-8")
Manifested = dict[str, Any]


def check(manifest: Manifested) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(manifest)


def manifest_of(run: Path) -> Manifested:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_trained_run_fits_the_schema(trained_run):
    check(manifest_of(trained_run))


def test_a_created_run_fits_the_schema(tmp_path):
    for place, options in enumerate([{}, {"model_options": {"width": 0.25}, "classes": ("a", "b"), "image_size": 32}]):
        out = tmp_path / str(place)
        convlens.create("mobilenet_v3_small" if options else "lenet5", out=out, **options)
        check(manifest_of(out))


def test_a_run_that_began_with_a_file_of_weights_fits_the_schema(trained_run, tmp_path):
    file = trained_run / "weights.safetensors"
    convlens.create("lenet5", weights=file, out=tmp_path / "run")
    check(manifest_of(tmp_path / "run"))


def test_a_budgeted_run_of_bad_pictures_and_of_an_own_network_fits_the_schema(tmp_path):
    from PIL import Image

    for number in range(30):
        for name in ("dark", "light"):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            shade = Image.new("L", (8, 8), number + 200 * (name == "light"))
            shade.save(tmp_path / "data" / name / f"{number}.png")
    (tmp_path / "data" / "dark" / "3.png").write_bytes(b"")
    network = tmp_path / "net.py"
    network.write_text(
        "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 2))\n"
    )
    convlens.train(
        tmp_path / "data",
        network=f"{network}:net",
        budget=2,
        ema=0.9,
        split=(0.8, 0.2, 0),
        out=tmp_path / "r",
    )
    manifest = manifest_of(tmp_path / "r")
    check(manifest)
    assert manifest["data"]["scan"]["findings"]
    assert manifest["architecture"] == {"network": "net.py:net"}


# fmt: off
WRONG = {
    "an unknown key":           lambda m: m.update(colour="red"),
    "no classes":               lambda m: m.pop("classes"),
    "a class twice":            lambda m: m.update(classes=["a", "a"]),
    "another format":           lambda m: m.update(format_version=1),
    "a short digest":           lambda m: m["weights"].update(sha256="abc"),
    "another weights file":     lambda m: m["weights"].update(file="../weights.safetensors"),
    "an unknown fit":           lambda m: m["preprocess"].update(fit="stretch"),
    "a size of three":          lambda m: m["preprocess"].update(size=[28, 28, 1]),
    "an accuracy in per cent":  lambda m: m["metrics"]["val"].update(accuracy=98.9),
    "an unknown recipe key":    lambda m: m["recipe"].update(warmup=5),
    "no segments":              lambda m: m["plan"].update(segments=[]),
    "an unknown part":          lambda m: m["data"]["parts"].update(dev=3),
    "a text for a temperature": lambda m: m.update(temperature="1.0"),
    "scales in format 2":       lambda m: m.update(quantisation={"inputs": {"head.c5": [0.1, 3]}}),
    "format 3 without scales":  lambda m: m.update(format_version=3),
    "an own and a zoo network": lambda m: m["architecture"].update(network="net.py:Net"),
}
# fmt: on


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_manifest_does_not_fit_the_schema(trained_run, kind):
    manifest = copy.deepcopy(manifest_of(trained_run))
    WRONG[kind](manifest)
    with pytest.raises(jsonschema.ValidationError):
        check(manifest)


def names_of(value: type) -> set[str]:
    return {field.name for field in fields(value)}


def test_the_schema_and_the_page_have_every_augmentation():
    described = SCHEMA["$defs"]["plan"]["properties"]["augment"]
    assert set(described["properties"]) == names_of(Augment)
    assert set(described["required"]) == {"flip", "shift", "zoom", "brightness", "contrast", "cutout"}  # as in 0.1.0


OF_RECIPE = {
    "betas",
    "head_rate",
    "bias_rate",
    "on_sphere",
    "beside_muon",
    "progressive",
    "shuffle_labels",
    "lookahead",
    "clip",
    "distil_weight",
    "distil_temperature",
    "l1_scales",
    "freeze_stem",
    "name",
}  # since 0.3.0: not in every run
OF_PLAN = {"allocator", "goes_on", "teacher"}
TIMED = names_of(Timed) - {"choice"} | names_of(Choice)

# fmt: off
DESCRIBED = [
    (SCHEMA,                                                       names_of(Manifest), {"quantisation"}),
    (SCHEMA["$defs"]["recipe"],                                    names_of(Recipe), OF_RECIPE),
    (SCHEMA["$defs"]["plan"],                                      names_of(Plan) | {"total_steps", "epochs"}, OF_PLAN),
    (SCHEMA["$defs"]["plan"]["properties"]["segments"]["items"],   names_of(Segment), set()),
    (SCHEMA["$defs"]["plan"]["properties"]["measured"]["items"],   TIMED, {"allocator", "pictures"}),
    (SCHEMA["$defs"]["preprocess"],                                names_of(Preprocess), set()),
    (SCHEMA["$defs"]["zoo_network"],                               names_of(Architecture), set()),
]
# fmt: on


@pytest.mark.parametrize(("part", "expected", "since"), DESCRIBED)
def test_the_schema_has_every_field_that_the_code_has(part, expected, since):
    assert set(part["properties"]) == expected
    assert set(part["required"]) == expected - since


def property_names(schema: Any) -> Iterator[str]:
    """Every name of a property in a schema, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from property_names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from property_names(value)


def test_the_page_describes_every_key_of_the_schema():
    missing = {name for name in property_names(SCHEMA) if f"`{name}`" not in TEXT}
    assert not missing


def keys(value: Any) -> Iterator[str]:
    """Every key of an evaluation, the reasons in `left_out` apart."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from keys(item) if name != "left_out" else ()
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def test_the_page_describes_the_other_files(demo_run):
    rows = [json.loads(line) for line in (demo_run / "history.jsonl").read_text().splitlines()]
    files = [*(demo_run / "evaluation").iterdir(), *(demo_run / "explanations").glob("*.json")]
    assert len(files) >= 2
    found = {*keys(rows), *COLUMNS}.union(*(keys(json.loads(file.read_text())) for file in files))
    assert not {name for name in found if f"`{name}`" not in TEXT}


def test_the_page_describes_the_choice_of_an_engine(copied_run, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    convlens.predict(copied_run, np.zeros((8, 8), np.uint8), engine="auto")
    (file,) = (copied_run / "engines").iterdir()
    written = json.loads(file.read_text())
    packages = set(written["choices"][0]["about"]["versions"])
    assert not {name for name in keys(written) if f"`{name}`" not in TEXT} - packages


def test_every_file_of_a_run_is_in_the_table(demo_run):
    table = {
        "run.json",
        "weights.safetensors",
        "splits.csv",
        "looks.safetensors",
        "history.jsonl",
        "report.html",
        ".lock",
        "demo.json",
    }
    table |= {"checkpoints/best.safetensors", "evaluation/NAME.json", "thumbnails/HASH.jpg", "explanations/NAME.png"}
    table |= {"overlays/HASH-CLASS.jpg", "engines/MACHINE.json"}
    table |= {"examples/digit-N.png"}
    assert all(f"`{name}`" in TEXT for name in table)
    exact = {name for name in table if not any(word in name for word in ("NAME", "HASH", "MACHINE", "-N"))}
    for file in (path for path in demo_run.rglob("*") if path.is_file()):
        place = file.relative_to(demo_run).as_posix()
        kinds = ("evaluation/*.json", "thumbnails/*.jpg", "overlays/*.jpg", "explanations/*.*", "examples/digit-*.png")
        assert place in exact or any(Path(place).match(kind) for kind in kinds), place


def test_the_page_describes_the_checkpoint(tmp_path, monkeypatch):
    """Stopped at the first step, a training leaves the file that resume needs."""

    def stop(stage: str, done: int, total: int, detail: str) -> None:
        if stage == "train":
            raise Stopped("enough", 130)

    with pytest.raises(Stopped):
        convlens.train("digits", model="perceptron", epochs=1, ema=0.9, out=tmp_path / "run", progress=stop)
    with safe_open(tmp_path / "run" / "checkpoints" / "last.safetensors", "pt") as file:
        facts = json.loads(file.metadata()["convlens"])
        prefixes = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118 (not a dict)
    assert set(facts) == {"format", "recipe", "plan", "tally", "task", "first_layer", "grouping"}
    assert all(f"`{name}`" in TEXT for name in facts)
    assert prefixes <= {"network", "average", "optimiser"}
    assert "`network.NAME`" in TEXT and "`average.NAME`" in TEXT and "`optimiser.NUMBER.NAME`" in TEXT


def test_an_unknown_key_is_ignored_on_reading(copied_run):
    """As the page says: a later version of this format may have more keys."""
    manifest = manifest_of(copied_run) | {"colour": "red"}
    (copied_run / "run.json").write_text(json.dumps(manifest))
    run = convlens.Run.load(copied_run)
    assert isinstance(run.model, nn.Module)
    assert run.model(torch.zeros(run.input_shape)).shape == (1, 10)
