"""Every kind of source gives a run, and the run accounts for every picture of it."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convlens.errors import UsageError
from convlens.runs import Run
from convlens.workbench import compare, doctor, evaluate, train


def whole_folder(root: Path, make) -> Path:
    return make(root / "shapes")


def grey_folder(root: Path, make) -> Path:
    return make(root / "grey", grey=True)


def divided_folder(root: Path, make) -> Path:
    for number, part in enumerate(("train", "val", "test")):
        make(root / part, first=100 * number, per_class=(16, 4, 6)[number])
    return root


def table(root: Path, make, *, divided: bool = False) -> Path:
    files = sorted(make(root / "pictures").rglob("*.*"))
    with (root / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "path"] + ["part"] * divided)
        for number, path in enumerate(files):
            row = [path.parent.name, path.relative_to(root).as_posix()]
            writer.writerow(row + [("train", "train", "val", "test")[number % 4]] * divided)
    return root / "table.csv"


def divided_table(root: Path, make) -> Path:
    return table(root, make, divided=True)


def zip_archive(root: Path, make) -> Path:
    folder = make(root / "inside")
    with zipfile.ZipFile(root / "pictures.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, f"inside/{path.relative_to(folder).as_posix()}")
    return root / "pictures.zip"


def tar_archive(root: Path, make) -> Path:
    folder = make(root / "inside")
    with tarfile.open(root / "pictures.tar.gz", "w:gz") as archive:
        archive.add(folder, "inside")
    return root / "pictures.tar.gz"


def arrays(seed: int, count: int, side: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    shape = (count, side, side) if channels == 1 else (count, side, side, channels)
    return draw.integers(0, 256, shape, dtype=np.uint8), np.arange(count) % 2


def npz(root: Path, make) -> Path:
    (x_train, y_train), (x_test, y_test) = arrays(1, 30, 20, 3), arrays(2, 10, 20, 3)
    path = root / "arrays.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, classes=["circle", "square"])
    return path


def cifar(root: Path, make) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    for number, name in enumerate(("data_batch_1", "data_batch_2", "test_batch")):
        pictures, labels = arrays(number, 20, 32, 3)
        planes = pictures.transpose(0, 3, 1, 2).reshape(20, -1)
        records = np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return root


MIXED, GREY = 3, 1
# fmt: off
#    kind              how it is made, pictures, channels, parts of its own
SOURCES = {
    "folder":        (whole_folder,    40, MIXED, None),
    "grey folder":   (grey_folder,     40, GREY,  None),
    "divided":       (divided_folder,  52, MIXED, {"train": 32, "val": 8, "test": 12}),
    "table":         (table,           40, MIXED, None),
    "divided table": (divided_table,   40, MIXED, {"train": 20, "val": 10, "test": 10}),
    "zip":           (zip_archive,     40, MIXED, None),
    "tar.gz":        (tar_archive,     40, MIXED, None),
    "npz":           (npz,             40, MIXED, {"test": 10}),
    "idx":           (None,            40, GREY,  {"test": 10}),
    "cifar":         (cifar,           60, MIXED, {"test": 20}),
}
# fmt: on


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source_gives_a_run_that_accounts_for_each_picture(
    kind, tmp_path, make_pictures, write_idx, quickly
):
    make, num_pictures, channels, parts = SOURCES[kind]
    (tmp_path / "source").mkdir()
    source = make(tmp_path / "source", make_pictures) if make else write_idx(tmp_path / "source")
    result = train(source, out=tmp_path / "run", **quickly)
    run = Run.load(result.run)
    assert result.num_pictures == len(run.splits.parts) == num_pictures
    assert result.num_excluded == 0
    assert len(run.classes) == 2 or kind == "cifar"
    assert run.preprocess.channels == channels
    counts = run.splits.counts()
    assert counts.keys() == {"train", "val", "test"}
    assert counts.items() >= (parts or {}).items()
    scored = evaluate(run, source)
    assert scored.scores.num_pictures == counts["test"]
    assert scored.left_out == {"trained on": counts["train"], "val": counts["val"]}


def test_a_division_of_the_source_is_kept_picture_by_picture(tmp_path, make_pictures, quickly):
    run = Run.load(train(divided_folder(tmp_path / "source", make_pictures), out=tmp_path / "run", **quickly).run)
    assert all(key.split("/")[0] == part for key, part in zip(run.splits.keys, run.splits.parts, strict=True))


def test_without_a_division_each_class_is_in_each_part(whole_lesson):
    splits = Run.load(whole_lesson.run).splits
    assert splits.counts() == {"train": 32, "val": 4, "test": 4}
    for part in ("train", "val", "test"):
        assert {splits.labels[index] for index in splits.indices(part)} == {0, 1}


def test_a_patient_s_pictures_are_in_one_part_of_the_run(tmp_path, make_pictures, quickly):
    rows = list(csv.reader(table(tmp_path, make_pictures).read_text().splitlines()))
    patients = {row[1]: f"patient {place % 10}" for place, row in enumerate(rows[1:])}
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[*rows[0], "patient"], *([*row, patients[row[1]]] for row in rows[1:])])
    splits = Run.load(train(tmp_path / "table.csv", out=tmp_path / "run", **quickly).run).splits
    parts = {(patients[key], part) for key, part in zip(splits.keys, splits.parts, strict=True)}
    assert len(parts) == 10 and {part for _, part in parts} == {"train", "val", "test"}


@pytest.mark.parametrize("model", ["perceptron", "mlp", "lenet5"])
def test_the_bundled_digits_train_a_small_network(model, tmp_path):
    result = train("digits", model=model, epochs=1, out=tmp_path / "run", precision="fp32", threads=1)
    assert result.num_pictures == 1797
    assert result.val_accuracy > 0.3
    assert Run.load(result.run).manifest.data["source"] == "digits"
    assert result.report.stat().st_size > 10_000


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, whole_lesson, quickly):
    def digest(name: str, seed: int) -> str:
        return Run.load(train(whole_lesson.data, out=tmp_path / name, seed=seed, **quickly).run).manifest.weights[
            "sha256"
        ]

    assert digest("a", 1) == digest("b", 1) != digest("c", 2)


def test_a_run_remembers_its_source_from_any_working_folder(tmp_path, make_pictures, quickly, monkeypatch):
    make_pictures(tmp_path / "shapes")
    monkeypatch.chdir(tmp_path)
    run = train("shapes", **quickly).run.resolve()
    assert run == tmp_path / "runs" / "shapes-perceptron"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert evaluate(run).scores.num_pictures == 4


def test_a_named_set_is_found_again_where_training_found_it(tmp_path, write_idx, quickly, monkeypatch):
    write_idx(tmp_path / "sets" / "mnist")
    monkeypatch.setattr("convlens.data.named.download", pytest.fail)
    run = train("mnist", data_dir=tmp_path / "sets", out=tmp_path / "run", **quickly).run
    assert evaluate(run).data == "mnist"


@pytest.mark.parametrize("verb", ["train", "evaluate", "evaluate its own", "compare", "doctor", "doctor alone"])
def test_a_folder_of_named_sets_beside_other_pictures_is_told(verb, tmp_path, whole_lesson, quickly):
    data, run, where = whole_lesson.data, whole_lesson.run, {"data_dir": tmp_path}
    calls = {
        "train": lambda: train(data, out=tmp_path / "run", **where, **quickly),
        "evaluate": lambda: evaluate(run, data, **where),
        "evaluate its own": lambda: evaluate(run, **where),
        "compare": lambda: compare([run, "lenet5"], data=data, **where),
        "doctor": lambda: doctor(data, **where),
        "doctor alone": lambda: doctor(**where),
    }
    with pytest.raises(UsageError, match=r"--data-dir came with.*named sets \(digits, .*\) are looked for"):
        calls[verb]()
    assert not (tmp_path / "run").exists()


def test_a_misspelt_set_is_told_before_its_folder(whole_lesson, tmp_path):
    with pytest.raises(UsageError, match=r"is called 'minst' .*near: mnist"):
        evaluate(whole_lesson.run, "minst", data_dir=tmp_path)


def test_the_bundled_set_is_meant_even_where_a_folder_is_called_so(tmp_path, make_pictures, quickly, monkeypatch):
    make_pictures(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    run = train("digits", out="run", **quickly).run
    assert Run.load(run).manifest.data["num_pictures"] == 1797
    assert evaluate(run).scores.num_pictures == 179


def test_a_second_training_takes_the_next_free_folder(tmp_path, whole_lesson, quickly, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [train(whole_lesson.data, **quickly).run.name for _ in range(2)]
    assert names == ["shapes-perceptron", "shapes-perceptron-2"]


@pytest.mark.slow
def test_mnist_flowers_and_cifar_give_runs(shared_data, tmp_path):
    subprocess.run([sys.executable, shared_data / "cifar10" / "unpack.py", tmp_path / "cifar"], check=True)
    options = {"model": "lenet5", "epochs": 1, "precision": "fp32", "threads": 1, "weights": "none"}
    mnist = train("mnist", data_dir=shared_data, out=tmp_path / "mnist", **options)
    assert (mnist.num_pictures, mnist.val_accuracy > 0.95) == (70_000, True)
    cifar10 = train(tmp_path / "cifar", out=tmp_path / "cifar-run", **options)
    assert cifar10.num_pictures == 51_000
    assert evaluate(cifar10.run).scores.num_pictures == 1000
    flowers = train(shared_data / "flowers", image_size=64, out=tmp_path / "flowers", **options)
    assert flowers.num_pictures == 1500
    assert set(Run.load(flowers.run).classes) == {"daisy", "dandelion", "roses", "sunflowers", "tulips"}
    shutil.rmtree(tmp_path / "cifar")
