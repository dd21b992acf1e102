"""The network: training, predictions, seeds, weights in and out."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as torch_save_file
from sklearn.datasets import load_digits
from torch import nn

from convlens.errors import DataError, StorageError, UsageError
from convlens.scratch import SGD, Adam, BatchNorm, Convolution, Dense, Dropout, Flatten, MaxPooling, Network, ReLU


def digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    return (images / 16 - 0.5).reshape(-1, 1, 8, 8), labels


def small(seed: int | None = 0, dtype: type = np.float32) -> Network:
    layers = [Convolution(1, 8, 3, padding="same"), BatchNorm(8), ReLU(), MaxPooling(2)]
    return Network([*layers, Flatten(), Dropout(0.1), Dense(128, 10)], seed=seed, dtype=dtype)


def test_training_lowers_the_loss_and_recognises_held_out_digits():
    images, labels = digits()
    network, told = small(), []
    history = network.fit(
        images[:1400],
        labels[:1400],
        optimiser=SGD(0.1, momentum=0.9),
        epochs=4,
        on_epoch=lambda epoch, loss: told.append((epoch, loss)),
    )
    assert history[0] > 2 * history[-1]
    assert told == list(enumerate(history, start=1))
    assert (network.predict(images[1400:]) == labels[1400:]).mean() > 0.9


def test_the_loss_of_an_untrained_network_is_the_first_epoch_s_with_a_vanishing_rate():
    images, labels = digits()
    network = Network([Flatten(), Dense(64, 10)], dtype=np.float64)
    logs = np.log(network.probabilities(images[:50])[np.arange(50), labels[:50]])
    (loss,) = network.fit(images[:50], labels[:50], optimiser=SGD(1e-30), batch_size=7)
    assert loss == pytest.approx(-logs.mean(), abs=1e-12)


def test_the_same_seeds_give_the_same_network_to_the_last_bit_and_others_another():
    images, labels = digits()

    def trained(seed: int, order: int) -> np.ndarray:
        network = small(seed)
        network.fit(images[:200], labels[:200], optimiser=Adam(), epochs=2, seed=order)
        return network.logits(images[:20])

    assert np.array_equal(trained(1, 1), trained(1, 1))
    assert not np.allclose(trained(1, 1), trained(2, 1))
    assert not np.allclose(trained(1, 1), trained(1, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_array_keeps_the_network_s_precision(dtype):
    images, labels = digits()
    network = small(dtype=dtype)
    network.fit(images[:64], labels[:64], optimiser=SGD(0.1, momentum=0.9, weight_decay=1e-4))
    network.fit(images[:64], labels[:64], optimiser=Adam())
    logits = network.forward(images[:3])
    back = network.backward(logits)
    assert back.shape == (3, 1, 8, 8)
    assert {a.dtype for a in (logits, back, *network.parameters().values(), *network.gradients().values())} == {
        np.dtype(dtype)
    }


def test_logits_do_not_hang_on_the_batch_size_and_probabilities_add_up():
    images, _ = digits()
    network = small(dtype=np.float64)
    np.testing.assert_allclose(network.logits(images[:50], batch_size=7), network.forward(images[:50]), atol=1e-12)
    np.testing.assert_allclose(network.probabilities(images[:50], temperature=3).sum(1), 1)


def test_a_seed_is_a_whole_number_from_0_up():
    with pytest.raises(UsageError, match="seed is -1, expected a whole number of at least 0"):
        Network([Dense(4, 3)], seed=-1)
    with pytest.raises(UsageError, match=r"seed is 0\.5"):
        Network([Dense(4, 3)]).fit(np.zeros((2, 4)), np.zeros(2, int), optimiser=SGD(0.1), seed=0.5)
    assert Network([Dense(4, 3)], seed=np.int64(3)).layers["0"].parameters["weight"].any()


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_is_above_0(temperature):
    network = Network([Flatten(), Dense(4, 3)])
    with pytest.raises(UsageError, match="expected a number above 0"):
        network.probabilities(np.zeros((2, 1, 2, 2)), temperature=temperature)


def test_damaged_pictures_are_refused():
    network = Network([Flatten(), Dense(4, 3)])
    damaged = np.full((2, 1, 2, 2), np.nan)
    for ask in (network.predict, lambda images: network.fit(images, np.zeros(2, int), optimiser=SGD(0.1))):
        with pytest.raises(DataError, match="NaN or infinity"):
            ask(damaged)


@pytest.mark.parametrize("num_pictures", [1, 32, 33, 65])
def test_a_last_picture_by_itself_joins_the_batch_before(num_pictures):
    images = np.random.default_rng(0).normal(size=(num_pictures, 1, 2, 2))
    network = Network([Flatten(), Dense(4, 3), *([BatchNorm(3)] if num_pictures > 1 else [])])
    seen = []
    forward = network.layers["0"].forward
    network.layers["0"].forward = lambda x, *, training=False: (
        seen.append(x.shape[-1]),
        forward(x, training=training),
    )[1]
    network.fit(images, np.arange(num_pictures) % 3, optimiser=SGD(0.1), batch_size=32)
    assert seen[0] == 1  # tells how many classes there are
    assert seen[1:] == {1: [1], 32: [32], 33: [33], 65: [32, 33]}[num_pictures]


def test_the_state_is_that_of_torch_s_sequential_and_goes_both_ways(tmp_path):
    from safetensors.torch import load_file, save_file

    peer = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.1),
        nn.Linear(128, 10),
    )  # fmt: skip
    images = torch.randn(20, 1, 8, 8)
    peer(images)
    save_file(peer.state_dict(), tmp_path / "theirs.safetensors")
    network = small()
    network.load(tmp_path / "theirs.safetensors")
    with torch.no_grad():
        np.testing.assert_allclose(network.logits(images.numpy()), peer.eval()(images).numpy(), atol=1e-5)

    network.fit(images.numpy(), np.arange(20) % 10, optimiser=SGD(0.1))
    network.save(tmp_path / "ours.safetensors")
    peer.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    with torch.no_grad():
        np.testing.assert_allclose(network.logits(images.numpy()), peer(images).numpy(), atol=1e-5)


def test_weights_go_in_by_order_whatever_their_names():
    donor, network = small(seed=3), small()
    network.load_state({f"stages.{name}": a for name, a in donor.state().items()}, in_order=True)
    images, _ = digits()
    assert np.array_equal(network.logits(images[:5]), donor.logits(images[:5]))


def test_loaded_weights_are_copies():
    donor, network = small(seed=3), small()
    network.load_state(donor.state())
    donor.parameters()["0.weight"][:] = 0
    assert network.parameters()["0.weight"].all()


def test_without_a_seed_the_layers_keep_their_weights():
    layer = Dense(2, 2)
    layer.parameters["weight"] = np.array([[1.0, 2], [3, 4]])
    assert np.array_equal(Network([layer], seed=None).forward(np.eye(2)), [[1, 3], [2, 4]])


def test_training_that_diverges_is_told():
    images, labels = digits()
    network = Network([Flatten(), Dense(64, 10)])
    with pytest.raises(DataError, match=r"training diverged in epoch 2: .* make the network anew and train it at a"):
        network.fit(images[:64], labels[:64], optimiser=SGD(1e37), epochs=3)
    network.parameters()["1.weight"][:] = np.nan
    with pytest.raises(DataError, match=r"logits came out as NaN or infinity.* the weights are damaged"):
        network.predict(images[:8])


def test_weights_that_end_as_infinite_are_told_though_the_loss_is_a_number():
    class Jump:
        def step(self, parameters, gradients):
            parameters["1.bias"][0] = -np.inf

    with pytest.raises(DataError, match="training diverged in epoch 1"):
        Network([Flatten(), Dense(64, 10)]).fit(np.zeros((4, 1, 8, 8)), [1, 2, 3, 4], optimiser=Jump(), epochs=2)


def test_weights_that_are_no_finite_numbers_are_refused(tmp_path):
    network, state = small(), small(dtype=np.float64).state()
    before = network.logits(digits()[0][:4])
    for wrong in (np.nan, np.inf, 1e300, 1j, "a"):
        broken = state | {"0.weight": np.full((8, 1, 3, 3), wrong)}
        with pytest.raises(UsageError, match=r"'0\.weight' holds what is no finite number in float32"):
            network.load_state(broken)
    save_file(state | {"0.weight": np.full((8, 1, 3, 3), np.nan)}, tmp_path / "nan")
    with pytest.raises(StorageError, match=r"nan: '0\.weight' holds NaN or infinity, expected finite weights"):
        network.load(tmp_path / "nan")
    torch_save_file({name: torch.from_numpy(a).bfloat16() for name, a in state.items()}, tmp_path / "bf16")
    with pytest.raises(StorageError, match=r"bf16 holds numbers that NumPy lacks .*bfloat16.*; save them as float32"):
        network.load(tmp_path / "bf16")
    with pytest.raises(UsageError, match="the weights came as list, expected arrays by name"):
        network.load_state([1, 2])
    assert np.array_equal(network.logits(digits()[0][:4]), before)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ([0, 1, 2, 10], "labels go from 0 to 10, expected whole numbers from 0 to 9; the first .* 10, of picture 3"),
        ([0, 1, -1, 2], "the first that is not is -1, of picture 2"),
        (["0", "1", "2", "3"], "labels are <U1, expected whole numbers"),
        (None, r"4 images and labels of shape \(\) came"),
        (np.eye(10)[:4], r"4 images and labels of shape \(4, 10\) came"),
    ],
)
def test_all_labels_are_looked_at_before_the_first_step(wrong, text):
    network = small()
    before = {name: array.copy() for name, array in network.state().items()}
    with pytest.raises(UsageError, match=text):
        network.fit(np.zeros((4, 1, 8, 8)), wrong, optimiser=SGD(0.1), batch_size=2)
    assert all(np.array_equal(before[name], array) for name, array in network.state().items())


@pytest.mark.parametrize("network", [small, lambda: small(dtype=np.float64)])
def test_pictures_are_real_and_finite_in_the_network_s_precision(network):
    images, one = np.zeros((2, 1, 8, 8)), network()
    for wrong in (images.astype(str), images.astype(object), images * 1j, None):
        for ask in (one.predict, one.forward, lambda given: one.fit(given, [0, 1], optimiser=SGD(0.1))):
            with pytest.raises(
                DataError, match=r"an array of .* came, expected real numbers: decode the pictures first"
            ):
                ask(wrong)
    if one.dtype == np.float32:
        with pytest.raises(DataError, match="or numbers too large for float32"):
            one.predict(images + 1e300)
    else:
        assert np.isfinite(one.predict(images + 1e30)).all()
    assert one.predict(np.full((2, 1, 8, 8), 255, np.uint8)).shape == (2,)


def test_layers_of_a_network_are_shared_without_a_seed_and_never_drawn_anew():
    images, _ = digits()
    layers = [Flatten(), Dense(64, 10)]
    network = Network(layers)
    before = network.logits(images[:4])
    for seed, dtype in ((1, np.float32), (None, np.float64)):
        with pytest.raises(
            UsageError, match=r"layer '0' is in a network of float32 already.*make new layers, or share"
        ):
            Network(layers, seed=seed, dtype=dtype)
    shared = Network({"0": layers[0]}, seed=None)
    assert shared.forward(images[:4]).shape == (4, 64)
    assert np.array_equal(network.logits(images[:4]), before)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    network, state = small(), small().state()
    with pytest.raises(UsageError, match=r"missing 0\.weight, unknown first"):
        network.load_state({("first" if name == "0.weight" else name): a for name, a in state.items()})
    with pytest.raises(UsageError, match=r"'0\.weight' came with shape \(8, 1, 5, 5\), expected \(8, 1, 3, 3\)"):
        network.load_state(state | {"0.weight": np.zeros((8, 1, 5, 5))})
    with pytest.raises(UsageError, match="1 arrays came, expected 8"):
        network.load_state({"0.weight": state["0.weight"]}, in_order=True)
    (tmp_path / "broken").write_bytes(b"no")
    for name in ("broken", "missing"):
        with pytest.raises(StorageError, match="cannot be read as safetensors"):
            network.load(tmp_path / name)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_file_that_cannot_be_replaced_stays_as_it_was(failing, tmp_path, monkeypatch):
    file = tmp_path / "weights.safetensors"
    small().save(file)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, full)
        with pytest.raises(StorageError, match=r"cannot be written .*No space left"):
            small(seed=1).save(file)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
    small(seed=1).save(file)
    assert file.read_bytes() != before and list(tmp_path.iterdir()) == [file]


def test_a_place_where_no_file_can_be_is_refused_and_nothing_is_left_behind(tmp_path):
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "no" / "file", tmp_path / "folder"):
        with pytest.raises(StorageError, match="cannot be written"):
            small().save(place)
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Network([]), "expected one or more scratch layers"),
        (lambda: Network(ReLU()), "expected a list of scratch layers, or a dict by name"),
        (lambda: Network([nn.ReLU()]), "expected one or more scratch layers"),
        (lambda: Network([one := ReLU(), one]), "stands in the network twice"),
        (lambda: Network([ReLU()], dtype=np.float16), "dtype is float16"),
        (lambda: small().forward(np.zeros(8)), r"shape \(8,\) came, expected \(N, C, H, W\)"),
        (lambda: small().logits(np.zeros((0, 1, 8, 8))), r"shape \(0, 1, 8, 8\) came"),
        (lambda: small().forward(np.zeros((2, 3, 8, 8))), r"Convolution got .*\(3, 8, 8, 2\), expected \(1, H, W, N\)"),
        (lambda: small().backward(np.zeros((2, 10))), "backward was called before forward"),
        (lambda: small().fit(np.zeros((2, 1, 8, 8)), [1], optimiser=SGD(1)), "2 images and 1 labels"),
        (lambda: small().fit(np.zeros((2, 1, 8, 8)), [1, 10], optimiser=SGD(1)), "whole numbers from 0 to 9"),
        (
            lambda: small().fit(np.zeros((2, 1, 8, 8)), [0, 1], optimiser=0.1),
            r"the optimiser is 0\.1, expected one that",
        ),
        (lambda: small().fit(np.zeros((2, 1, 8, 8)), [0, 1], optimiser=SGD), "expected one that can step, such as SGD"),
        (lambda: small().fit(np.zeros((2, 1, 8, 8)), [0, 1], optimiser=SGD(1), epochs=0), "epochs is 0"),
        (lambda: small().fit(np.zeros((2, 1, 8, 8)), [0, 1], optimiser=SGD(1), batch_size=0), "batch_size is 0"),
    ],
)
def test_what_a_network_cannot_do_is_said(call, text):
    with pytest.raises(UsageError, match=text):
        call()


def test_the_room_needs_numpy_and_never_torch():
    code = "import sys, convlens.scratch; assert 'torch' not in sys.modules and 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
