"""`ConvClassifier` is an estimator as scikit-learn has them, and what it learnt is a run."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import convlens
from convlens import ConvClassifier
from convlens.errors import DataError, RunError, UsageError
from convlens.runs import Run
from convlens.workbench import evaluate, measure
from convlens.workbench.pixel_range import PixelRange

FAST = {"model": "lenet5", "recipe": {"precision": "fp32", "threads": 1, "checkpoint_seconds": 600}}


@parametrize_with_checks([ConvClassifier(epochs=30)])
def test_the_suite_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return train_test_split(data.images, data.target, test_size=400, random_state=0, stratify=data.target)


@pytest.fixture(scope="module")
def fitted(digits):
    seen, _, answers, _ = digits
    return ConvClassifier(**FAST, epochs=6).fit(seen, answers)


def test_pictures_as_arrays_are_learnt_and_give_a_run(digits, fitted):
    _, new, _, truth = digits
    assert fitted.score(new, truth) > 0.93
    shares = fitted.predict_proba(new)
    assert shares.shape == (400, 10)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert isinstance(fitted.run_, Run) and fitted.run_.classes == tuple("0123456789")
    assert fitted.run_.manifest.architecture["name"] == "lenet5"
    assert measure(fitted.run_).network.parameters > 10_000


def test_pictures_in_other_layouts_and_as_lists_are_the_same_pictures(digits, fitted):
    _, new, _, _ = digits
    expected = fitted.predict_proba(new[:20])
    for given in (new[:20, :, :, None], new[:20, None], list(new[:20]), list(new[:20, None]), new[:20].tolist()):
        np.testing.assert_allclose(fitted.predict_proba(given), expected, atol=1e-6)


def test_a_table_with_an_image_shape_is_its_pictures(digits):
    seen, new, answers, truth = digits
    estimator = ConvClassifier((8, 8), **FAST, epochs=6).fit(seen.reshape(len(seen), 64), answers)
    assert estimator.n_features_in_ == 64
    assert estimator.score(new.reshape(len(new), 64), truth) > 0.93
    with pytest.raises(ValueError, match=r"image_shape is \(8, 9\), and X has 64 features"):
        ConvClassifier((8, 9)).fit(seen.reshape(len(seen), 64), answers)


def test_paths_are_read(tmp_path, digits, fitted):
    seen, _, answers, _ = digits
    paths = []
    for number, picture in enumerate(seen[:300]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray((picture * 15).astype(np.uint8)).resize((28, 28)).save(paths[-1])
    names = np.array([f"digit {answer}" for answer in answers[:300]])
    estimator = ConvClassifier(**FAST, epochs=8).fit(paths, names)
    assert (estimator.predict(paths) == names).mean() > 0.8
    assert list(estimator.classes_) == sorted(set(names)) == list(estimator.run_.classes)
    paths[3].write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"3\.png"):
        estimator.predict(paths)
    missing = tmp_path / "missing.png"
    with pytest.raises(DataError) as caught:
        ConvClassifier(**FAST, epochs=1).fit([missing, *paths[1:]], names)
    assert f"2 of 300 paths in X cannot be read as pictures: {missing}, {paths[3]}; leave them out" in str(caught.value)
    assert "--" not in str(caught.value) and "`convlens" not in str(caught.value)


def test_it_goes_through_searches_pipelines_and_folds(digits):
    seen, _, answers, _ = digits
    table, answers = seen[:240].reshape(240, 64), answers[:240]
    scores = cross_val_score(ConvClassifier((8, 8), **FAST, epochs=20), table, answers, cv=2)
    assert scores.shape == (2,) and scores.mean() > 0.4
    search = GridSearchCV(ConvClassifier((8, 8), **FAST), {"epochs": np.array([1, 20])}, cv=2).fit(table, answers)
    assert search.best_params_ == {"epochs": 20}
    assert isinstance(search.best_estimator_.run_, Run)
    flow = make_pipeline(StandardScaler(), ConvClassifier((8, 8), **FAST, epochs=20)).fit(table, answers)
    assert flow.score(table, answers) > 0.5


def test_a_table_without_a_shape_is_read_by_a_perceptron():
    X, y = load_iris(return_X_y=True)
    names = np.array(load_iris().target_names)[y]
    estimator = ConvClassifier(model_options={"hidden": (20,)}).fit(X, names)
    assert estimator.score(X, names) > 0.93
    run = estimator.run_
    assert run.manifest.architecture["name"] == "mlp" and run.manifest.architecture["options"]["hidden"] == [20]
    assert run.input_shape == (1, 1, 1, 4)
    np.testing.assert_array_equal(estimator.predict(X), clone(estimator).fit(X, names).predict(X))
    with pytest.raises(ValueError, match="a table without an image_shape is read by a multi-layer perceptron"):
        ConvClassifier(model="resnet18").fit(X, y)


def test_a_table_of_few_values_is_learnt_whole():
    """XOR, a hundred rows: every row is equal to many others."""
    rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 25, float)
    answers = rows[:, 0].astype(int) ^ rows[:, 1].astype(int)
    assert ConvClassifier(recipe={"learning_rate": 0.02}).fit(rows, answers).score(rows, answers) == 1.0


@pytest.mark.parametrize("names", [["10", "2", "1"], [10.0, 2.0, 1.0], ["b", "a ", "c"]], ids=str)
def test_columns_are_those_of_the_classes_whatever_their_order_in_the_run(tmp_path, names):
    """Three plain pictures, told apart by their brightness."""
    paths, answers = [], []
    for number in range(30):
        paths.append(tmp_path / f"{number}.png")
        noise = np.random.default_rng(number).integers(0, 9, (12, 12))
        Image.fromarray((noise + 110 * (number % 3)).astype(np.uint8)).save(paths[-1])
        answers.append(names[number % 3])
    options = {**FAST["recipe"], "batch": 9}
    estimator = ConvClassifier(model="perceptron", recipe=options, epochs=40, augment=False).fit(paths, answers)
    assert (estimator.predict(paths) == np.array(answers)).all()
    assert list(estimator.classes_) == sorted(set(answers))


def test_what_is_predicted_is_of_the_kind_that_was_learnt(digits, fitted):
    _, new, _, _ = digits
    with pytest.raises(ValueError, match="X came as rows, and this estimator was fitted on arrays of pictures"):
        fitted.predict(new.reshape(len(new), 64))
    with pytest.raises(ValueError, match="X came as paths"):
        fitted.predict(["a.png"])
    with pytest.raises(ValueError, match="NaN or infinity"):
        fitted.predict(np.full((2, 8, 8), np.inf))
    with pytest.raises(ValueError, match="X has no pictures"):
        fitted.predict(np.empty((0, 8, 8)))


def test_a_failed_fit_leaves_what_was_learnt_before(digits):
    seen, new, answers, _ = digits
    estimator = ConvClassifier(**FAST, epochs=1).fit(seen[:60], answers[:60])
    before = estimator.predict_proba(new[:5])
    with pytest.raises(ValueError, match="y has 1 class"):
        estimator.fit(seen[:60], np.zeros(60, int))
    with pytest.raises(UsageError, match="no network is called"):
        estimator.set_params(model="lenet55").fit(seen[:60], answers[:60])
    np.testing.assert_array_equal(estimator.predict_proba(new[:5]), before)
    fresh = ConvClassifier(model="lenet55")
    with pytest.raises(UsageError):
        fresh.fit(seen[:60], answers[:60])
    with pytest.raises(NotFittedError):
        fresh.predict(new)


def test_the_process_is_left_as_it_was(digits):
    seen, _, answers, _ = digits
    torch.set_flush_denormal(False)  # whatever ran in this process before
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    ConvClassifier(**FAST, epochs=1).fit(seen[:60], answers[:60]).predict(seen[:3])
    ConvClassifier(epochs=1).fit(seen[:60].reshape(60, 64), answers[:60])
    assert torch.equal(torch.rand(3), expected) and torch.get_num_threads() == threads
    assert sys.float_info.min / 2 > 0  # numbers that small are no zeros


def test_a_seed_decides():
    X, y = load_iris(return_X_y=True)
    one, again, other = (ConvClassifier(random_state=seed, epochs=2).fit(X, y).predict_proba(X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_a_pickled_estimator_brings_its_run(fitted, digits):
    _, new, _, _ = digits
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(new[:9]), fitted.predict_proba(new[:9]))
    assert again.run_.path != fitted.run_.path and again.run_.manifest == fitted.run_.manifest
    assert evaluate(again.run_, "digits", part="all", include_train=True).scores.accuracy > 0.9


def test_its_run_is_evaluated_on_pictures_that_are_given(fitted):
    with pytest.raises(
        UsageError, match=r"lay in \S+pictures.npz, which is there no longer; give DATA: labelled pictures of"
    ):
        evaluate(fitted.run_)


def test_a_run_may_stay_where_it_is_wanted(tmp_path, digits):
    seen, _, answers, _ = digits
    estimator = ConvClassifier(**FAST, epochs=1, out=tmp_path / "run").fit(seen[:100], answers[:100])
    assert estimator.run_.path == tmp_path / "run"
    del estimator
    assert Run.load(tmp_path / "run").classes == tuple("0123456789")
    with pytest.raises(
        RunError, match=r"already holds a run, which is never overwritten; choose another folder with out$"
    ):
        ConvClassifier(**FAST, epochs=1, out=tmp_path / "run").fit(seen[:100], answers[:100])


def test_a_temporary_run_goes_with_its_estimator(digits):
    seen, _, answers, _ = digits
    estimator = ConvClassifier(**FAST, epochs=1).fit(seen[:60], answers[:60])
    path = Path(estimator.run_.path)
    assert path.is_dir()
    del estimator
    assert not path.exists()


def test_what_cannot_be_learnt_is_said(digits):
    seen, _, answers, _ = digits
    with pytest.raises(ValueError, match="recipe has epochs"):
        ConvClassifier(recipe={"epochs": 3}).fit(seen[:20], answers[:20])
    with pytest.raises(ValueError, match="y has 1 class"):
        ConvClassifier().fit(seen[:5], np.zeros(5, int))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ConvClassifier().fit(seen[:5], answers[:4])
    with pytest.raises(ValueError, match="NaN or infinity"):
        ConvClassifier().fit(np.full((4, 8, 8), np.nan), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="pictures of 2 shapes"):
        ConvClassifier().fit([np.zeros((8, 8)), np.zeros((9, 8))], [0, 1])
    with pytest.raises(ValueError, match="one path"):
        ConvClassifier().fit("flowers", [0])
    with pytest.raises(NotFittedError):
        ConvClassifier().predict(seen[:2])
    with pytest.raises(NotFittedError):
        _ = ConvClassifier().run_


def test_pictures_on_another_scale_are_refused(digits):
    seen, unseen, answers, _ = digits
    estimator = ConvClassifier(**FAST | {"epochs": 1}).fit(seen[:60] / 16, answers[:60])
    with pytest.raises(ValueError, match="from 0 to 16, and this estimator was fitted on 0 to 1: "):
        estimator.predict(unseen[:20])


def test_ranges():
    bytes_ = PixelRange.of(np.array([[[0, 200]]], np.uint8))
    np.testing.assert_array_equal(bytes_.pixels(np.array([0, 128, 255])), [0, 128, 255])
    shares = PixelRange.of(np.array([[[0.0, 0.5]]]))
    np.testing.assert_array_equal(shares.pixels(np.array([0.0, 0.5, 2.0])), [0, 128, 255])
    scaled = PixelRange.of(np.array([[[-2.0, 3.0]]]))
    np.testing.assert_array_equal(scaled.pixels(np.array([-2.0, 0.5, 9.0])), [0, 128, 255])
    columns = PixelRange.of(np.array([[0.0, 7.0], [10.0, 7.0]]))
    np.testing.assert_array_equal(columns.pixels(np.array([[5.0, 7.0]])), [[128, 0]])


def test_it_is_there_by_its_short_name():
    assert convlens.ConvClassifier is ConvClassifier and "ConvClassifier" in dir(convlens)


def test_a_run_outlives_its_estimator(digits):
    X, y = load_iris(return_X_y=True)
    run = ConvClassifier(epochs=1).fit(X, y).run_
    assert measure(run).network.parameters > 0


def test_a_run_of_rows_reads_no_pictures(digits):
    seen, _, answers, _ = digits
    run = ConvClassifier(epochs=1).fit(seen[:60].reshape(60, 64), answers[:60]).run_
    with pytest.raises(UsageError, match="reads rows of 64 numbers, and a picture of 8×8 px came"):
        evaluate(run, "digits", part="all")


@pytest.mark.parametrize(
    ("estimator", "X", "says"),
    [
        (ConvClassifier(), np.zeros((4, 8, 8)) + 1j, "not complex"),
        (ConvClassifier(), np.zeros((4, 8, 8, 4)), "expected 1 or 3 channels"),
        (ConvClassifier(8), np.zeros((4, 8)), "image_shape is 8, and X has 8 features"),
        (ConvClassifier((-8, -8)), np.zeros((4, 64)), "image_shape is"),
        (ConvClassifier(epochs=2, budget="5s"), np.zeros((4, 8, 8)), "a training has one end"),
        (ConvClassifier(), np.zeros((4, 1, 8, 8, 3)), "X has 5 dimensions; expected pictures .* or a table"),
        (ConvClassifier(), [np.zeros((1, 8, 8, 3))] * 4, "X has 5 dimensions"),
        (ConvClassifier(), [[[1, 2], [3, 4]], [[1, 2]]] * 2, "X has pictures of several shapes"),
        (ConvClassifier(), [Image.new("L", (8, 8)), Image.new("L", (9, 8))] * 2, r"such as \(8, 8\) and \(8, 9\)"),
        (
            ConvClassifier((9, 8)),
            np.zeros((4, 8, 8)),
            r"image_shape is \(9, 8\), and X has pictures of \(8, 8\); it is",
        ),
        (ConvClassifier((8, 8)), np.zeros((4, 8, 8, 3)), r"and X has pictures of \(8, 8, 3\); it is for a table"),
        (ConvClassifier((8, 8)), ["a.png"] * 4, "and X has paths; it is for a table: leave it out"),
    ],
    ids=[
        "complex",
        "four channels",
        "one side",
        "negative sides",
        "two ends",
        "five dimensions",
        "a list of batches",
        "ragged lists",
        "two sizes",
        "another shape",
        "a shape without channels",
        "a shape for paths",
    ],
)
def test_what_is_no_picture_is_a_value_error(estimator, X, says):
    with pytest.raises(ValueError, match=says):
        estimator.fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"epochs": "3"}, "epochs came as '3'; expected a whole number or None"),
        ({"recipe": 5}, "recipe came as 5; expected values by name"),
        ({"model_options": [1]}, r"model_options came as \[1\]; expected values by name"),
        ({"recipe": {"batch": "8"}}, "batch came as '8'; expected a number"),
        ({"random_state": -1}, "^random_state came as -1; expected a number from 0"),
        ({"model_options": {"width": 2}}, r"^model_options belongs to one network; name it with model$"),
    ],
)
def test_a_wrong_parameter_is_told_by_its_name_in_python(digits, given, says):
    seen, _, answers, _ = digits
    with pytest.raises(UsageError, match=says):
        ConvClassifier(**given).fit(seen[:40], answers[:40])


def test_a_shape_that_is_that_of_the_pictures_is_no_contradiction(digits):
    seen, _, answers, _ = digits
    for shape in ((8, 8), (8, 8, 1)):
        estimator = ConvClassifier(shape, **FAST, epochs=1).fit(seen[:60], answers[:60])
        assert estimator.predict(seen[:2]).shape == (2,)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "1"])
def test_pictures_of_pillow_are_read_in_every_mode(digits, mode):
    seen, _, answers, _ = digits
    given = [Image.fromarray((15 * one).astype(np.uint8)).resize((16, 16)).convert(mode) for one in seen[:80]]
    estimator = ConvClassifier(**FAST, epochs=1).fit(given, answers[:80])
    assert estimator.run_.input_shape[1] == (1 if mode in ("L", "1") else 3)
    assert estimator.predict_proba(given[:3]).shape == (3, len(estimator.classes_))


def test_grey_pictures_of_pillow_beside_colours_are_colours(digits):
    seen, _, answers, _ = digits
    modes = ["L", "RGB"] * 20
    given = [Image.fromarray(one.astype(np.uint8)).convert(mode) for one, mode in zip(seen, modes, strict=False)]
    assert ConvClassifier(**FAST, epochs=1).fit(given, answers[:40]).run_.input_shape[1] == 3


def test_pictures_of_another_shape_are_refused(fitted):
    with pytest.raises(ValueError, match=r"X has pictures of \(9, 8\), and this estimator was fitted on \(8, 8\)"):
        fitted.predict(np.zeros((2, 9, 8)))
