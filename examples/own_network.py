"""A network of your own: train it, save it as a run, and load it again without any pickle.

    python examples/own_network.py        about 5 s on two cores; checks that the loaded network answers the same

From the command line: convlens train digits --network examples/own_network.py:WideStem. The class gets `num_classes`
and `in_channels` where its constructor takes them, and gives logits (N, num_classes).
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

import convlens


class WideStem(nn.Module):
    """Two convolutions, the mean over the picture, one matrix."""

    def __init__(self, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 32, 5, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.stages = nn.Sequential(nn.Conv2d(32, 64, 3, stride=2, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, num_classes))

    def forward(self, images: Tensor) -> Tensor:  # (N, C, H, W) -> (N, num_classes)
        return self.head(self.stages(self.stem(images)))


def main() -> None:
    with TemporaryDirectory() as folder:
        network = f"{Path(__file__)}:WideStem"
        trained = convlens.train("digits", network=network, image_size=28, epochs=10, out=Path(folder) / "own")
        print(f"validation accuracy {trained.val_accuracy:.1%} after {trained.seconds:.1f} s")

        # a run never imports code that it names: the class is given, the weights come from the run
        run = convlens.Run.load(trained.run, model=WideStem(num_classes=10, in_channels=1))
        scores = convlens.evaluate(run).scores
        print(f"{scores.accuracy:.1%} of {scores.num_pictures} held-out pictures")

        again = convlens.Run.load(trained.run, model=WideStem(num_classes=10, in_channels=1))
        images = torch.randn(2, *run.input_shape[1:])
        assert torch.allclose(run.model(images), again.model(images), atol=1e-4)
        assert scores.accuracy >= 0.9, scores.accuracy


if __name__ == "__main__":
    main()
