"""What all classics that learn without labels promise: what they refuse, and that they can be saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from convlens.classics import DBN, RBM, BoltzmannMachine, Hopfield, Projection, load, save
from convlens.classics.saving import Classic
from convlens.errors import ConvlensError, DataError, StorageError, UsageError

# fmt: off
CLASSICS: dict[str, tuple[Callable[[], Classic], dict[str, Any]]] = {
    "Hopfield":         (lambda: Hopfield(6),            {}),
    "Projection":       (lambda: Projection(6),          {}),
    "BoltzmannMachine": (lambda: BoltzmannMachine(6, 2), {"epochs": 2}),
    "RBM":              (lambda: RBM(6, 4),              {"epochs": 2}),
    "DBN":              (lambda: DBN(6, 5, 4),           {"epochs": 2}),
}
# fmt: on
PICTURES = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0]])
each = pytest.mark.parametrize("name", CLASSICS)
each_with_epochs = pytest.mark.parametrize("name", [name for name, (_, options) in CLASSICS.items() if options])


def fitted(name: str, pictures: Any = PICTURES, **options: Any) -> Classic:
    make, usual = CLASSICS[name]
    return make().fit(pictures, **{**usual, **options})


@each
@pytest.mark.parametrize(
    ("pictures", "error", "text"),
    [
        (PICTURES[0], UsageError, r"shape \(6,\); expected \(N, 6\)"),
        (PICTURES[:, :5], UsageError, r"shape \(3, 5\); expected \(N, 6\)"),
        (PICTURES[:0], UsageError, r"shape \(0, 6\); expected \(N, 6\) with N of at least 1"),
        (PICTURES.tolist(), UsageError, "pictures came as list; expected a tensor or an array"),
        (PICTURES * 255, DataError, "values from 0 to 255; expected 0 to 1: divide by the largest"),
        (PICTURES * 2.0 - 1, DataError, "values from -1 to 1; expected 0 to 1"),
        (PICTURES / 0.0 * 0, DataError, "pictures hold NaN or infinity"),
        (PICTURES * 2.0 - 1, DataError, "expected 0 to 1: subtract -1, then divide by 2"),
        (PICTURES.numpy().astype(str), DataError, "an array of <U.* came; expected real numbers"),
        (PICTURES.numpy().astype(object), DataError, "an array of object came; expected real numbers"),
        (PICTURES * 1j, DataError, "an array of torch.complex64 came; expected real numbers"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(name: str, pictures: Any, error: type[ConvlensError], text: str) -> None:
    with pytest.raises(error, match=text):
        fitted(name, pictures)


@pytest.mark.parametrize("name", ["Hopfield", "Projection", "BoltzmannMachine"])
def test_greys_are_refused_where_units_are_binary(name: str) -> None:
    with pytest.raises(DataError, match="pictures hold greys; expected 0 and 1 alone: compare with a threshold"):
        fitted(name, PICTURES * 0.5)


@each
def test_arrays_are_taken_as_tensors_are(name: str) -> None:
    array = PICTURES.numpy().astype(np.uint8)
    array.flags.writeable = False  # as readers of files give them
    ours, theirs = fitted(name, array), fitted(name)
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))


@each_with_epochs
@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("epochs", 0, "epochs is 0, expected a whole number of at least 1"),
        ("epochs", 1.5, "epochs is 1.5, expected a whole number"),
        ("seed", -1, "seed is -1, expected a whole number of at least 0"),
        ("learning_rate", -0.1, "learning_rate is -0.1; expected a number of at least 0"),
        ("learning_rate", float("nan"), "learning_rate is nan; expected a number of at least 0"),
        ("momentum", 1, "momentum is 1; expected a number of at least 0 and less than 1"),
    ],
)
def test_options_out_of_range_are_refused(name: str, option: str, value: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        fitted(name, **{option: value})


@each_with_epochs
def test_a_rate_may_be_a_number_of_numpy(name: str) -> None:
    ours, theirs = fitted(name, learning_rate=np.float32(0.25)), fitted(name, learning_rate=0.25)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@each_with_epochs
def test_learning_that_diverges_is_told(name: str) -> None:
    with pytest.raises(DataError, match=r"diverged: .*; fit again with a smaller learning_rate"):
        fitted(name, epochs=5, learning_rate=1e300 if name == "BoltzmannMachine" else 1e37)


@each
def test_sizes_that_are_no_whole_numbers_are_refused(name: str) -> None:
    kind = type(CLASSICS[name][0]())
    for wrong in (0, 2.5, True, "6"):
        with pytest.raises(UsageError, match="expected a whole number of at least 1"):
            kind(*[wrong] * (1 if issubclass(kind, Hopfield) else 2))


@each
def test_a_saved_classic_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    classic, file = fitted(name), tmp_path / "classic.safetensors"
    save(classic, file)
    again = load(file)
    assert type(again) is type(classic) and again.sizes == classic.sizes
    ours, theirs = classic.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) and ours[key].dtype == theirs[key].dtype for key in ours)
    assert [p.requires_grad for p in again.parameters()] == [p.requires_grad for p in classic.parameters()]
    assert list(tmp_path.iterdir()) == [file]


def test_a_classic_in_float64_stays_so_and_dreams_the_same(tmp_path: Path) -> None:
    rbm = RBM(6, 4).double().fit(PICTURES, epochs=2)
    save(rbm, tmp_path / "rbm.safetensors")
    again = load(tmp_path / "rbm.safetensors")
    assert isinstance(again, RBM)
    assert torch.equal(again.samples(3, steps=4, seed=1), rbm.samples(3, steps=4, seed=1))


def test_files_that_are_no_classics_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file at .*none\.safetensors; give the path of one that `save` wrote"):
        load(tmp_path / "none.safetensors")
    other, cut, wrong = (tmp_path / f"{name}.safetensors" for name in ("other", "cut", "wrong"))
    save_file({"weights": torch.ones(2)}, other)
    save(RBM(6, 4), cut)
    cut.write_bytes(cut.read_bytes()[:-8])
    save_file(RBM(6, 4).state_dict(), wrong, {"classic": "RBM", "sizes": "[6, 5]"})
    broken = RBM(6, 4)
    broken.weights.data[0, 0] = torch.nan
    save(broken, tmp_path / "nan.safetensors")
    for file in (other, cut, wrong, tmp_path / "nan.safetensors"):
        with pytest.raises(StorageError, match=rf"{file.name} cannot be read as a classic .*; expected a whole file"):
            load(file)
    with pytest.raises(UsageError, match="Linear came to be saved; expected one of Hopfield, Projection"):
        save(torch.nn.Linear(1, 1), tmp_path / "linear.safetensors")  # type: ignore[arg-type]


def test_a_fit_gives_its_own_object_back_and_takes_no_gradients() -> None:
    for name, (make, options) in CLASSICS.items():
        classic = make()
        assert classic.fit(PICTURES, **options) is classic, name
        assert all(parameter.grad is None for parameter in classic.parameters())


def test_a_grey_is_the_chance_of_a_pixel() -> None:
    grey: Tensor = torch.full((2000, 6), 0.3)
    rbm = RBM(6, 1).fit(grey, epochs=3, weight_decay=0)
    assert rbm.samples(2000, steps=5).mean().item() == pytest.approx(0.3, abs=0.05)
