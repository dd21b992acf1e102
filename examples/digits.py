"""Train LeNet-5 on the bundled handwritten digits, score it, and use its network as any other torch module.

    python examples/digits.py        about 5 s on two cores; checks that at least 95 % are right

Each command is one function of `convlens` with a typed result; a run is a folder.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import convlens
from convlens.data import open_images


def main() -> None:
    with TemporaryDirectory() as folder:
        trained = convlens.train("digits", model="lenet5", epochs=20, out=Path(folder) / "digits")
        scored = convlens.evaluate(trained.run)
        print(f"{scored.scores.accuracy:.1%} of {scored.scores.num_pictures} pictures that it was not trained on")
        for wrong in scored.errors:
            print(f"  picture {wrong.key}: a {wrong.truth}, taken for a {wrong.predicted} ({wrong.confidence:.0%})")

        run = convlens.Run.load(trained.run)
        assert run.splits is not None
        digits, held_out = open_images("digits"), run.splits.indices("test")
        pictures = [digits.reader.read(int(index)) for index in held_out]
        logits = run.model(run.preprocess(pictures))  # (N, 10)
        accuracy = float(np.mean(logits.argmax(1).numpy() == digits.labels[held_out]))

        assert accuracy >= 0.95, accuracy
        assert abs(accuracy - scored.scores.accuracy) <= 1 / len(held_out)  # sums may run in another order


if __name__ == "__main__":
    main()
