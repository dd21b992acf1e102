"""Small networks with what trips explanations: in-place gates, shortcuts, batch norm, no feature maps at all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)) + x)


class ResidualNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(Block(8), nn.MaxPool2d(2), Block(8))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 5))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(images)))


@pytest.fixture
def residual() -> nn.Module:
    """With batch statistics that are not those of a new network."""
    torch.manual_seed(0)
    model = ResidualNet()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, 3, 32, 24))
    return model.eval()


@pytest.fixture
def plain() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 10, 3), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(10 * 12 * 8, 5),
    ).eval()  # fmt: skip


@pytest.fixture
def mlp() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 24, 16), nn.ReLU(inplace=True), nn.Linear(16, 5)).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 32, 24, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="session")
def digits() -> tuple[nn.Module, Tensor]:
    """A small network that has learned the bundled digits, and sixteen of them."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.tensor(data.images[:, None] / 16, dtype=torch.float32)
    images, labels = F.interpolate(images, (16, 16), mode="bilinear"), torch.tensor(data.target)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(300):
        rows = torch.arange(step * 64, step * 64 + 64) % 1500
        F.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimiser.step()
        optimiser.zero_grad()
    assert (model(images[1500:]).argmax(1) == labels[1500:]).float().mean() > 0.8
    return model.eval(), images[1500:1516]
