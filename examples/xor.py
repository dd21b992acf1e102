"""A threshold unit learns AND, OR and NOT, and never XOR; a hidden layer of two units can.

    python examples/xor.py [PICTURE]        about 5 s on one core; checks each claim, and draws the lines to PICTURE

The unit learns by Rosenblatt's rule; the zoo's MLP by gradients, from 20 starts: many fail with two units, none with 8.
"""

import sys

import numpy as np
import torch
from torch import Tensor, nn

from convlens import layers, pictures, zoo

CORNERS, XOR = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0])
LEARNED = {"NOT the first": 1 - CORNERS[:, 0].relu(), "AND": CORNERS.amin(1).relu(), "OR": CORNERS.amax(1).relu()}


def perceptron(seed: int, hidden: int) -> nn.Module:
    torch.manual_seed(seed)
    network = zoo.create("mlp", num_classes=1, in_channels=1, image_size=(1, 2), hidden=(hidden,))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        nn.functional.soft_margin_loss(network(CORNERS.view(4, 1, 1, 2))[:, 0], 2 * XOR - 1.0).backward()
        optimiser.step()
    return nn.Sequential(nn.Unflatten(1, (1, 1, 2)), network, nn.Flatten(0))  # (N, 2) -> (N,), logits


def tile(network: nn.Module, labels: Tensor) -> np.ndarray:
    """The first input to the right, the second up, from -2 to 2: light for 1; the corners white for 1, black for 0."""
    shades = 90 + 90 * (network(torch.cartesian_prod(*2 * [torch.linspace(-2, 2, 160)])) > 0).int().view(160, 160)
    for (right, up), label in zip((80 + 40 * CORNERS.int()).tolist(), labels, strict=True):
        shades[right - 6 : right + 6, up - 6 : up + 6] = 255 * label
    return shades.T.flip(0).numpy().astype(np.uint8)


def main(picture: str = "") -> None:
    tiles, unit = {}, layers.ThresholdUnit(2)
    assert unit.fit(CORNERS, XOR) is None and layers.common_point(CORNERS, XOR).norm() < 1e-9  # the middle is in both
    tiles["XOR: never"] = tile(unit, XOR)
    for name, labels in LEARNED.items():
        unit, bound = layers.ThresholdUnit(2), layers.novikoff_bound(CORNERS, labels)
        corrections = unit.fit(CORNERS, labels)
        print(f"{name}: 100 % right after {corrections} corrections; Novikoff's bound is {bound:.0f}")
        assert torch.equal(unit(CORNERS), labels.long()) and corrections <= bound
        tiles[name] = tile(unit, labels)
    for hidden in (2, 8):
        solved = [one for seed in range(20) if torch.equal((one := perceptron(seed, hidden))(CORNERS) > 0, XOR > 0)]
        print(f"XOR: {len(solved) / 20:.0%} of 20 networks with {hidden} hidden units are right")
        assert len(solved) == 20 if hidden == 8 else solved
        tiles[f"XOR: 2-{hidden}-1"] = tile(solved[0], XOR)
    if picture:
        pictures.contact_sheet([*tiles.values()], labels=[*tiles], columns=3, tile=160).save(picture)


if __name__ == "__main__":
    main(*sys.argv[1:2])
