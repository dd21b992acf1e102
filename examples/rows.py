"""Digits without a convolution: perceptron, MLP, and recurrent networks that read a picture row by row.

    python examples/rows.py [PICTURE]        about 20 s on one core; checks what each has right of held-out digits

PICTURE gets what an LSTM would say of some of them after each row, the others unseen.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from matplotlib.figure import Figure

import convlens
from convlens.data import open_images

LEAST = {"perceptron": 0.93, "mlp": 0.97, "rnn_rows": 0.85, "gru_rows": 0.95, "lstm_rows": 0.95}


@torch.no_grad()
def after_each_row(network: convlens.zoo.Network, pictures: torch.Tensor) -> torch.Tensor:
    """(N, 1, 28, 28) -> (N, 28, 10): the share of each class, by the state after each row."""
    return network.head.linear(network.stages(pictures)).softmax(2)


def draw(pictures: torch.Tensor, shares: torch.Tensor, file: str) -> None:
    figure = Figure(figsize=(9, 2), dpi=90, layout="constrained")
    axes = figure.subplots(1, 2 * len(pictures), sharey=True, width_ratios=len(pictures) * [1.5, 1])
    for place, (picture, said) in enumerate(zip(pictures[:, 0].numpy(), shares.numpy(), strict=True)):
        seen, beside = axes[2 * place : 2 * place + 2]
        seen.imshow(picture, cmap="gray", aspect="auto", extent=(0, 28, 28, 0))
        beside.imshow(said, cmap="gray", vmin=0, vmax=1, aspect="auto", extent=(-0.5, 9.5, 28, 0))
        seen.set_xticks([])
        beside.set(xlabel="class", xticks=(0, 3, 6, 9))
    axes[0].set_ylabel("rows read")
    figure.savefig(file)


def main(picture: str = "") -> None:
    with TemporaryDirectory() as folder:
        for model, least in LEAST.items():
            trained = convlens.train("digits", model=model, epochs=20, out=Path(folder) / model)
            scores = convlens.evaluate(trained.run).scores
            print(f"{model:10} {scores.accuracy:.1%} of {scores.num_pictures} held-out digits")
            assert scores.accuracy >= least
        run, digits = convlens.Run.load(trained.run), open_images("digits")  # of the LSTM
        held_out = run.splits.indices("test")
        pictures = run.preprocess([digits.reader.read(int(index)) for index in held_out])
        shares, truth = after_each_row(run.model, pictures), torch.from_numpy(digits.labels[held_out])
    right = (shares.argmax(2) == truth[:, None]).float().mean(0)[6::7].tolist()
    print("the last, after 7, 14, 21 and 28 rows:", ", ".join(f"{share:.0%}" for share in right))
    if picture:
        draw(pictures[:4], shares[:4], picture)
    assert right[0] < right[2] < right[3]


if __name__ == "__main__":
    main(*sys.argv[1:2])
