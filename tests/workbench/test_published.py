"""A published recipe is followed where it is named, or where a set has one and nothing else is asked."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from convlens.errors import UsageError
from convlens.runs import Run
from convlens.training import RECORDS, Recipe
from convlens.workbench import evaluate, train
from convlens.workbench.design import Request
from convlens.workbench.published import published, recipe_of


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (Request(), Recipe(seed=7, threads=1, precision="fp32", checkpoint_seconds=5)),
    ],
)
def test_the_sets_own_recipe_is_taken_where_only_seed_and_machine_are_asked(ask: Request, wanted: Recipe) -> None:
    assert published(None, "mnist", ask, wanted, True) is RECORDS["mnist"]
    assert published(None, "flowers", ask, wanted, True) is None
    assert published(None, Path("mnist"), ask, wanted, True) is None  # a folder that happens to have its name


@pytest.mark.parametrize(
    ("ask", "wanted", "augment"),
    [
        (Request("lenet5"), Recipe(), True),
        (Request(image_size=32), Recipe(), True),
        (Request(), Recipe(epochs=2), True),
        (Request(), Recipe(budget_s=30), True),
        (Request(), Recipe(augment=False), False),
        (Request(), Recipe(), {"rotate": 10}),
    ],
)
def test_whoever_asks_for_something_gets_that_and_may_name_no_recipe_beside_it(
    ask: Request, wanted: Recipe, augment: bool | dict[str, float]
) -> None:
    assert published(None, "mnist", ask, wanted, augment) is None
    with pytest.raises(UsageError, match=r"--recipe mnist decides about all but the seed and the machine, and --"):
        published("mnist", "mnist", ask, wanted, augment)


def test_the_error_names_the_option_as_it_was_given() -> None:
    with pytest.raises(UsageError, match="and --budget was given too"):
        published("mnist", "mnist", Request(), Recipe(budget_s=3), True)
    with pytest.raises(UsageError, match="and --image-size was given too"):
        published("mnist", "mnist", Request(image_size=3), Recipe(), True)
    with pytest.raises(UsageError, match="and --no-augment was given too"):
        published("mnist", "mnist", Request(), Recipe(augment=False), False)


def test_seed_and_machine_stay_those_that_were_asked() -> None:
    found = recipe_of(RECORDS["mnist"], Recipe(seed=3, threads=1, precision="fp32"))
    assert (found.seed, found.threads, found.precision, found.name) == (3, 1, "fp32", "mnist")
    assert found.epochs == RECORDS["mnist"].recipe.epochs


def test_a_training_by_a_recipe_says_so_and_sees_the_middle_of_the_pictures(tmp_path: Path) -> None:
    bands(tmp_path / "mnist")
    told: list[str] = []
    result = train("mnist", data_dir=tmp_path, out=tmp_path / "run", threads=1, precision="fp32", tell=told.append)
    run = Run.load(result.run)
    assert any(line.startswith("recipe mnist: sprint_mnist at 24×24 px (crop), 1 epoch") for line in told)
    assert run.manifest.recipe is not None and run.manifest.recipe["name"] == "mnist"
    assert run.preprocess.size == (24, 24) and run.preprocess.crop_ratio == pytest.approx(24 / 28)


def bands(folder: Path, count: int = 400) -> None:
    """IDX files as MNIST's: class k is a bright band at row 2k + 4."""
    folder.mkdir()
    for part, number in (("train", count), ("t10k", 40)):
        labels = np.arange(number, dtype=np.uint8) % 10
        pictures = np.zeros((number, 28, 28), np.uint8)
        for picture, label in zip(pictures, labels.tolist(), strict=True):
            picture[2 * label + 4 : 2 * label + 6] = 200
            picture[0, :2] = np.random.default_rng(number).integers(0, 255, 2)
        pictures[:, 27, :3] = np.random.default_rng(1).integers(0, 255, (number, 3))  # no two are equal
        header = struct.pack(">4B3I", 0, 0, 8, 3, *pictures.shape)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pictures.tobytes()))
        header = struct.pack(">4BI", 0, 0, 8, 1, number)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + labels.tobytes()))


@pytest.mark.slow
def test_the_recipe_for_cifar10_begins_with_smaller_pictures_and_is_scored_over_views(tmp_path: Path) -> None:
    blobs(tmp_path / "cifar10")
    asked = {"data_dir": tmp_path, "threads": 1, "precision": "fp32"}
    told: list[str] = []
    result = train("cifar10", recipe="cifar10", out=tmp_path / "run", tell=told.append, **asked)  # type: ignore[arg-type]
    run = Run.load(result.run)
    assert run.manifest.recipe is not None and run.manifest.recipe["progressive"] == 0.75
    assert any(line.startswith("recipe cifar10: sprint_cifar at 24×24 to 32×32 px (crop), 8 epochs") for line in told)
    assert run.preprocess.size == (32, 32) and run.manifest.architecture["name"] == "sprint_cifar"
    scored = evaluate(result.run, tta=RECORDS["cifar10"].tta)
    assert scored.tta == "mirror_shifts" and scored.scores.accuracy > 0.9


def blobs(folder: Path) -> None:
    """Binary batches as CIFAR-10's: class k is noise with a bright square at its own place."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, number in (("data_batch_1.bin", 400), ("test_batch.bin", 50)):
        labels = np.arange(number, dtype=np.uint8) % 10
        pictures = random.integers(0, 60, (number, 3, 32, 32), dtype=np.uint8)
        for picture, label in zip(pictures, labels.tolist(), strict=True):
            picture[label % 3, 6 + label : 12 + label, 6 + 2 * (label // 3) : 16] = 220
        (folder / name).write_bytes(np.concatenate([labels[:, None], pictures.reshape(number, -1)], axis=1).tobytes())


def test_beside_a_recipe_the_weights_of_a_run_are_told_as_they_were_given(trained_run: Path) -> None:
    ask = Request(weights=str(trained_run / "weights.safetensors"))
    with pytest.raises(UsageError, match="and --weights was given too"):
        published("mnist", "mnist", ask, Recipe(), True)
