"""Adversarial networks make pictures that are lit left or right, as asked; the same seed makes the same ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from convlens.classics import DCGAN, GAN, frechet_distance, load, save
from convlens.classics.adversarial import REAL
from convlens.errors import DataError, UsageError


def halves(num: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (num, 1, 8, 8) whose left half, class 0, or right half, class 1, is lit, by 0.4 to 1."""
    labels = np.arange(num) % 2
    light = np.random.default_rng(0).uniform(0.4, 1, num)
    pictures = np.zeros((num, 1, 8, 8), np.float32)
    pictures[labels == 0, :, :, :4] = light[labels == 0, None, None, None]
    pictures[labels == 1, :, :, 4:] = light[labels == 1, None, None, None]
    return pictures, labels


@pytest.mark.parametrize(
    ("network", "epochs", "batch", "rate"),
    [
        (lambda: GAN((1, 8, 8), num_classes=2, hidden=64), 60, 64, 0.002),
        (lambda: DCGAN((1, 8, 8), num_classes=2, width=8), 20, 32, 0.001),
    ],
    ids=["GAN", "DCGAN"],
)
def test_pictures_of_the_class_that_is_asked_for_are_made(network, epochs, batch, rate) -> None:
    pictures, labels = halves(512)
    trained = network().fit(pictures, labels, epochs=epochs, batch=batch, learning_rate=rate)
    asked = np.arange(200) % 2
    made = trained.samples(asked, seed=5)
    assert made.shape == (200, 1, 8, 8) and made.min() >= 0 and made.max() <= 1
    left, right = (half.mean((1, 2, 3)).numpy() for half in made.split(4, dim=3))
    assert ((right > left) == (asked == 1)).mean() >= 0.95
    assert np.maximum(left, right).std() > 0.03  # not one picture for every noise


@pytest.mark.slow
def test_a_game_without_classes_leaves_out_no_digit() -> None:
    """A game that fell to a few pictures would."""
    digits = load_digits()
    real = (digits.images[:, None] / 16).astype(np.float32)
    network = GAN((1, 8, 8), num_noise=16, hidden=128).fit(real, epochs=100, batch=64, learning_rate=0.001)
    made = network.samples(1000, seed=1).flatten(1).numpy()
    read = KNeighborsClassifier(3).fit(real.reshape(len(real), -1), digits.target).predict(made)
    shares = np.bincount(read, minlength=10) / len(read)
    assert shares.min() > 0.02 and shares.max() < 0.3, shares
    rows = real.reshape(len(real), -1)
    assert frechet_distance(made, rows) < 0.6 < frechet_distance(np.full_like(made, 0.3), rows)


def test_the_same_seed_gives_the_same_weights_and_torchs_generator_is_left_alone() -> None:
    pictures, labels = halves(64)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    network = DCGAN((1, 8, 8), num_classes=2, width=4)
    first = network.fit(pictures, labels, epochs=2, seed=1).state_dict()
    first = {name: value.clone() for name, value in first.items()}
    again = network.fit(pictures, labels, epochs=2, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = network.fit(pictures, labels, epochs=2, seed=2).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(network.samples(6, seed=4), network.samples(6, seed=4))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_step_moves_each_player_up_its_own_slope() -> None:
    """The first step of Adam goes by the learning rate against the gradient's sign, of equation 1 written out."""
    network = GAN((1, 4, 4), num_classes=0, num_noise=3, hidden=8).double()
    network._begin(torch.Generator().manual_seed(0))
    real = torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    none, before = real.new_zeros(10, 0), {name: value.clone() for name, value in network.named_parameters()}
    made = network._made(none, torch.Generator().manual_seed(2))
    chance = torch.sigmoid(network.discriminator(real, none)), torch.sigmoid(network.discriminator(made.detach(), none))
    value = (REAL * chance[0].log() + (1 - REAL) * (1 - chance[0]).log()).mean() + (1 - chance[1]).log().mean()
    slopes = torch.autograd.grad(value, list(network.discriminator.parameters()))
    optimisers = [
        torch.optim.Adam(p.parameters(), 1e-4, (0.5, 0.999)) for p in (network.discriminator, network.generator)
    ]
    losses = network._step(real, none, optimisers, torch.Generator().manual_seed(2))
    assert losses[0].item() == pytest.approx(-value.item(), rel=1e-5)
    for (name, now), slope in zip(network.discriminator.named_parameters(), slopes, strict=True):
        moved = now - before[f"discriminator.{name}"]
        told = slope.abs() > 1e-6
        assert torch.equal(moved.sign()[told], slope.sign()[told]), name
    again = GAN((1, 4, 4), num_classes=0, num_noise=3, hidden=8).double()
    again.load_state_dict({**network.state_dict(), **{k: v for k, v in before.items() if k.startswith("generator")}})
    made = again._made(none, torch.Generator().manual_seed(2))
    convinced = again.discriminator(made, none).sigmoid().log().mean()
    rise = torch.autograd.grad(convinced, list(again.generator.parameters()))
    for (name, now), slope in zip(network.generator.named_parameters(), rise, strict=True):
        told = slope.abs() > 1e-6
        assert torch.equal((now - before[f"generator.{name}"]).sign()[told], slope.sign()[told]), name


def test_weights_begin_with_the_variance_that_each_network_s_paper_asks_for() -> None:
    for network, wanted in ((GAN(hidden=200), lambda inputs: (2 / inputs) ** 0.5), (DCGAN(width=32), lambda _: 0.02)):
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and weight.numel() > 5000:
                assert weight.std().item() == pytest.approx(wanted(weight.shape[1]), rel=0.05), name


def test_samples_leave_the_mode_as_it_was_and_go_round_the_classes() -> None:
    network = DCGAN((3, 8, 12), num_classes=3, width=4).train()
    assert network.samples(7).shape == (7, 3, 8, 12) and network.training
    same = network.samples(np.arange(7) % 3)
    assert torch.equal(network.samples(7), same) and torch.equal(network.samples(np.int64(7)), same)


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda: DCGAN((1, 30, 28)), UsageError, "multiples of 4"),
        (lambda: GAN((28, 28)), UsageError, r"expected \(channels, height, width\)"),
        (lambda: GAN((1, 8, 8), num_noise=0), UsageError, "num_noise is 0"),
        (lambda: GAN((1, 8, 8)).fit(np.zeros((4, 8, 8)), epochs=1), UsageError, r"expected \(N, 1, 8, 8\)"),
        (lambda: GAN((1, 8, 8)).fit(np.full((4, 1, 8, 8), 2.0), epochs=1), DataError, "from 2 to 2; expected 0 to 1"),
        (lambda: GAN((1, 8, 8)).fit(np.full((4, 1, 8, 8), np.nan), epochs=1), DataError, "pictures hold NaN or inf"),
        (
            lambda: GAN((1, 8, 8)).fit(np.zeros((4, 1, 8, 8)), [0] * 4, epochs=1),
            UsageError,
            "labels came for 0 classes",
        ),
        (lambda: DCGAN((1, 8, 8)).fit(np.zeros((4, 1, 8, 8)), epochs=1), UsageError, "no labels came for 10 classes"),
        (lambda: DCGAN((1, 8, 8)).samples(np.array([10])), DataError, "expected 0 to 9"),
        (lambda: GAN((1, 8, 8)).fit(np.zeros((4, 1, 8, 8)), epochs=0), UsageError, "epochs is 0"),
        (lambda: DCGAN(28), UsageError, r"shape is 28; expected \(channels, height, width\)"),  # type: ignore[arg-type]
        (lambda: GAN((1, 8, 8)).samples(np.array([3, 3])), UsageError, "labels came for 0 classes; give how many pict"),
        (lambda: DCGAN((1, 8, 8)).samples(torch.tensor([])), UsageError, r"shape \(0,\); expected how many pictures"),
        (lambda: DCGAN((1, 8, 8)).samples(2.5), UsageError, r"what to make came with shape \(\); expected how many"),
        (lambda: DCGAN((1, 8, 8)).samples(np.array(["3"])), DataError, "an array of <U1 came; expected real numbers"),
        (
            lambda: GAN((1, 8, 8)).fit(np.tile([-1.0, 1.0], (4, 1, 8, 4)), epochs=1),
            DataError,
            "from -1 to 1; expected 0 to 1: subtract -1, then divide by 2",
        ),
        (
            lambda: GAN((1, 8, 8)).fit(np.zeros((4, 1, 8, 8)), epochs=2, learning_rate=1e36),
            DataError,
            "GAN diverged: its weights are no finite numbers any more; fit again with a smaller learning_rate",
        ),
        (
            lambda: DCGAN((1, 8, 8), num_classes=0, width=4).fit(halves(8)[0], epochs=9, learning_rate=1e36),
            DataError,
            "DCGAN diverged",
        ),
    ],
    ids=range(18),
)
def test_what_came_and_what_was_expected_is_said(ask, error, says) -> None:
    with pytest.raises(error, match=says):
        ask()


@pytest.mark.parametrize(
    "make", [lambda: GAN((1, 4, 4), 3, 2, 8), lambda: DCGAN((1, 8, 8), 3, 0, 4)], ids=["GAN", "DCGAN"]
)
def test_saved_players_come_back_as_they_were(make, tmp_path) -> None:
    network = make()
    save(network, tmp_path / "players.safetensors")
    again = load(tmp_path / "players.safetensors")
    assert type(again) is type(network) and again.sizes == network.sizes
    assert torch.equal(again.samples(4), network.samples(4))
    before = {name: value.clone() for name, value in again.state_dict().items()}
    seen = again.generator(torch.ones(5, 3 + network.num_classes))
    assert torch.equal(seen, network.eval().generator(torch.ones(5, 3 + network.num_classes)))
    assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())  # looking moves nothing
