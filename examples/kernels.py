"""Kernels that you can see: what classic filters, padding, strides and pooling do to a picture, on one sheet.

    python examples/kernels.py [FILE.png]        a second; checks what the identity and a step must give

Zero is mid grey for kernels that add up to nothing.
"""

from __future__ import annotations

import os
import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from convlens.pictures import contact_sheet
from convlens.scratch import AveragePooling, Convolution, Layer, MaxPooling

# fmt: off
KERNELS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],         "box blur": np.full((5, 5), 1 / 25),
    "Gaussian blur": np.outer(*[[1, 4, 6, 4, 1]] * 2) / 256, "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "Sobel, across": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "Sobel, down": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "Laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],       "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
}
# fmt: on


def filtered(picture: np.ndarray, kernel: object, padding="same", mode="replicate", **options) -> np.ndarray:
    layer = Convolution(1, 1, np.shape(kernel), padding=padding, padding_mode=mode, bias=False, **options)
    layer.parameters["weight"] = np.array(kernel, float)[None, None]
    return seen(layer, picture) + (0 if np.sum(kernel) else 128)


def seen(layer: Layer, picture: np.ndarray) -> np.ndarray:
    return layer.forward(picture[None, :, :, None])[0, :, :, 0]


def main(file: str = os.devnull) -> None:
    picture = np.array(Image.fromarray(load_sample_image("china.jpg")).convert("L").resize((168, 112)), float)
    one, wide = KERNELS["identity"], np.full((13, 13), 1 / 169)
    tiles = {name: filtered(picture, kernel) for name, kernel in KERNELS.items()}
    tiles |= {"13 x 13 box, valid": filtered(picture, wide, padding="valid")}
    tiles |= {f"same, {mode}": filtered(picture, wide, mode=mode) for mode in ("zeros", "replicate")}
    tiles |= {"emboss, true convolution": filtered(picture, KERNELS["emboss"], flipped=True)}
    tiles |= {f"stride {stride}": filtered(picture, one, stride=stride) for stride in (2, 4)}
    tiles |= {f"{kind.__name__}, 4 x 4": seen(kind(4), picture) for kind in (MaxPooling, AveragePooling)}
    pixels = [tile.clip(0, 255).astype(np.uint8) for tile in tiles.values()]
    labels = [f"{name}\n{tile.shape[0]} x {tile.shape[1]}" for name, tile in tiles.items()]
    sheet = contact_sheet(pixels, labels=labels, columns=4, tile=168, title="Kernels, padding, stride and pooling")
    sheet.convert("L").save(file, "PNG")
    print(f"{len(tiles)} pictures; pooling by 4 keeps {pixels[-1].size / picture.size:.2%} of the pixels")
    assert np.array_equal(filtered(picture, one), picture)
    assert (filtered(np.repeat([[0.0, 0, 1, 1]], 4, 0), KERNELS["Sobel, across"]) == [128, 132, 132, 128]).all()


if __name__ == "__main__":
    main(*sys.argv[1:2])
