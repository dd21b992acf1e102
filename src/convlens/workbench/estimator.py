"""A training as scikit-learn has them: `ConvClassifier().fit(X, y).predict(X)`."""

from __future__ import annotations

import shutil
import weakref
from operator import index
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from convlens.errors import PictureError, UnreadablePictures
from convlens.measurement import probabilities
from convlens.runs import Run
from convlens.workbench.given_pictures import (
    as_pictures,
    as_shape,
    check_shape,
    kind_of,
    readers,
    sides_of,
    unreadable_paths,
    written,
)
from convlens.workbench.inference import read_logits
from convlens.workbench.pixel_range import PixelRange
from convlens.workbench.process import process_kept
from convlens.workbench.python_names import told_in_python
from convlens.workbench.rows import train_on_rows
from convlens.workbench.train import train
from convlens.workbench.typed import as_python, check_types

PERCEPTRON = ("auto", "mlp")  # what reads a table


class ConvClassifier(ClassifierMixin, BaseEstimator):
    """A convolutional network as an estimator of scikit-learn; what it learnt is a run, `run_`.

    X is pictures: paths, a list of Pillow's, or arrays (N, H, W), (N, H, W, C) or (N, C, H, W) of any numbers, as lists
    too; or a table (N, F), of which each row is a picture of `image_shape`, (H, W) or (H, W, C), and without that is
    read by a multi-layer perceptron.
    Arrays become 256 levels between the smallest and the largest value that training has seen; of a table, each feature
    has its own range, of which a thousandth at each end is clipped, and of 1,000 rows or fewer one that is far from all
    others. `predict` refuses numbers on another scale than those of `fit`; of a single odd row it warns.

    `model`, `epochs`, `budget` and `augment` are those of `convlens.train` (of a table, only `epochs`); `recipe` holds
    other fields of `training.Recipe` by name, `model_options` those of the network. `random_state` is the seed, None
    being 0. The run lies in a temporary folder that goes with the estimator, or in `out`, where it stays (and can be
    fitted once). Its own pictures are not kept: `convlens.evaluate(estimator.run_, DATA)` needs some.

    After `fit`: `classes_`, `run_` (a `Run`, that every verb takes), `n_features_in_` for a table. ValueError where X
    and y cannot be learnt, DataError where a picture cannot be read, UsageError for an option that is not there.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        *,
        model: str = "auto",
        epochs: int | None = None,
        budget: str | float | None = None,
        augment: bool | dict[str, Any] = True,
        recipe: dict[str, Any] | None = None,
        model_options: dict[str, Any] | None = None,
        random_state: Any = None,
        out: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.image_shape = image_shape
        self.model = model
        self.epochs = epochs
        self.budget = budget
        self.augment = augment
        self.recipe = recipe
        self.model_options = model_options
        self.random_state = random_state
        self.out = out
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train on pictures or rows X with their labels y, (N,)."""
        given = {name: value for name, value in self.get_params().items() if name != "image_shape"}
        check_types(type(self).__init__, {name: as_python(value) for name, value in given.items()})
        pictures = as_pictures(X)
        if self.epochs is not None and self.budget is not None:
            raise ValueError(f"epochs is {self.epochs} and budget {self.budget}; a training has one end: give one")
        if pictures is None:
            rows, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
            pictures = rows if self.image_shape is None else as_shape(rows, self.image_shape)
        else:
            check_shape(self.image_shape, pictures)
            y = column_or_1d(y)
            check_consistent_length(pictures, y)
        check_classification_targets(y)
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has {len(classes)} class; a classifier needs two classes or more")
        range_ = None if isinstance(pictures, list) else PixelRange.of(pictures)
        seen = pictures if isinstance(pictures, list) or range_ is None else range_.pixels(pictures)
        sides = None if range_ is None else sides_of(pictures)
        made = Path(mkdtemp(prefix="convlens-")) if self.out is None else None
        place = Path(str(self.out)) if made is None else made / "run"
        try:
            with process_kept(), torch.random.fork_rng(devices=[]), told_in_python():
                run = self._trained(seen, numbers, [str(name) for name in classes], place)
        except BaseException:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)
            raise
        _hold(run, made)
        self.classes_, self._run, self._range, self._kind = classes, run, range_, kind_of(pictures)
        self._shape = sides
        self._order = [run.classes.index(str(name).strip()) for name in classes]
        return self

    def _trained(self, pictures: Any, numbers: np.ndarray, names: list[str], out: Path) -> Run:
        recipe, seed = dict(self.recipe or {}), _seed(self.random_state)
        if given := {"epochs", "budget_s", "seed"} & recipe.keys():
            named = ", ".join(sorted(given))
            raise ValueError(f"recipe has {named}; give epochs, budget and random_state by themselves")
        if len({name.strip() for name in names}) < len(names):
            raise ValueError("y has classes that differ in spaces alone; give them other names")
        epochs = None if self.epochs is None else index(self.epochs)
        if kind_of(pictures) == "rows":
            if self.model not in PERCEPTRON or self.budget is not None:
                raise ValueError(
                    f"a table without an image_shape is read by a multi-layer perceptron: model came as "
                    f"{self.model!r} and budget as {self.budget!r}; give image_shape, or leave both out"
                )
            more: dict[str, Any] = {"epochs": epochs, "options": self.model_options, "seed": seed, **recipe}
            return train_on_rows(pictures, numbers, [name.strip() for name in names], out, **more)
        more = {"model": self.model, "model_options": self.model_options, "augment": self.augment, **recipe}
        more |= {"budget": self.budget} if self.budget is not None else {"epochs": epochs}
        more |= {"tell": print} if self.verbose else {}
        with TemporaryDirectory(prefix="convlens-") as place:
            source = written(Path(place), pictures, numbers, [name.strip() for name in names])
            try:
                result = train(source, split=(0.9, 0.1, 0.0), max_bad=0.0, seed=seed, out=out, **more)
            except UnreadablePictures as error:
                raise unreadable_paths(error) from error
        return Run.load(result.run)

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, K): calibrated probabilities of `classes_`, rows sum to 1."""
        check_is_fitted(self)
        pictures = as_pictures(X)
        if pictures is None and hasattr(self, "n_features_in_"):
            rows = validate_data(self, X, dtype=np.float64, reset=False)
            pictures = rows if self.image_shape is None else as_shape(rows, self.image_shape)
        kind = "rows" if pictures is None else kind_of(pictures)
        if kind != self._kind or pictures is None:
            raise ValueError(f"X came as {kind}, and this estimator was fitted on {self._kind}; give the same kind")
        if not len(pictures):
            raise ValueError("X has no pictures; expected 1 or more")
        if self._shape is not None and (shape := sides_of(pictures)) != self._shape:
            raise ValueError(f"X has pictures of {shape}, and this estimator was fitted on {self._shape}")
        if not isinstance(pictures, list) and self._range is not None:
            self._range.check(pictures)
        seen = pictures if isinstance(pictures, list) or self._range is None else self._range.pixels(pictures)
        with process_kept(), torch.random.fork_rng(devices=[]):
            by_row = isinstance(seen, np.ndarray) and seen.ndim == 2
            logits = self._of_rows(np.asarray(seen)) if by_row else self._of_pictures(seen)
        shares: np.ndarray = probabilities(logits[:, self._order], self._run.temperature).numpy()
        return shares

    def _of_rows(self, pixels: np.ndarray) -> torch.Tensor:
        """In float64, so that a row's answer does not depend on the rows beside it."""
        network, preprocess = self._run.model, self._run.preprocess
        images = preprocess.normalise(torch.from_numpy(pixels)[:, None, None, :])
        weights = {name: value.double() for name, value in network.state_dict().items()}
        with torch.inference_mode():
            logits: torch.Tensor = torch.func.functional_call(network, weights, (images.double(),))
        return logits

    def _of_pictures(self, pictures: np.ndarray | list[str]) -> torch.Tensor:
        rows = []
        for _, item in read_logits(self._run, readers(pictures)):
            if isinstance(item, PictureError):
                raise item
            rows.append(item)
        return torch.stack(rows).double()

    def predict(self, X: Any) -> np.ndarray:
        """(N,): the likeliest class of each."""
        shares = self.predict_proba(X)
        found: np.ndarray = self.classes_[shares.argmax(axis=1)]
        return found

    @property
    def run_(self) -> Run:
        """What was learnt, as `convlens.train` leaves it."""
        if "_run" not in self.__dict__:
            raise NotFittedError(f"this {type(self).__name__} has no run yet; call fit first")
        return self._run

    def __getstate__(self) -> dict[str, Any]:
        """The files of the run go along, so that it can be unpacked anywhere."""
        state = dict(super().__getstate__())
        run = state.pop("_run", None)
        if run is not None:
            place = run.folder
            files = (place.manifest, place.weights, place.splits, place.looks, place.history)
            state["_files"] = {file.name: file.read_bytes() for file in files if file.exists()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = state.pop("_files", None)
        super().__setstate__(state)
        if files is None:
            return
        folder = Path(mkdtemp(prefix="convlens-"))
        for name, data in files.items():
            (folder / name).write_bytes(data)
        self._run = Run.load(folder)
        _hold(self._run, folder)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _hold(run: Run, folder: Path | None) -> None:
    """A temporary folder goes when its run does."""
    if folder is not None:
        weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)


def _seed(random_state: Any) -> int:
    if random_state is None:
        return 0
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
