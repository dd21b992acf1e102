"""Draw the README's picture: what the demo's network looks at, and what it finds in one digit.

    python docs/images/make.py       writes demo.png beside this file, in about 20 s

Digits are shown as the network sees them, at 28 × 28 pixels.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import convlens
from convlens.explanation import feature_maps_picture
from convlens.pictures import decode

PICTURE = Path(__file__).with_name("demo.png")


def sheets(folder: Path) -> list[Image.Image]:
    """Held-out digits with their Grad-CAM maps as `convlens explain` draws them, and the first one's feature maps."""
    run = convlens.Run.load(convlens.demo(out=folder / "demo").run)
    examples = sorted((run.path / "examples").iterdir())[:4]
    pictures = [run.preprocess.pixels(decode(path))[0] for path in examples]
    maps = Image.open(convlens.explain(run, pictures).files[0])
    inside = feature_maps_picture(run.model, run.preprocess(pictures[:1]), "stages.act3", max_maps=12, tile=90)
    return [maps, inside]


def beside(parts: list[Image.Image]) -> Image.Image:
    page = Image.new("RGB", (sum(part.width for part in parts), max(part.height for part in parts)), "white")
    left = 0
    for part in parts:
        page.paste(part, (left, 0))
        left += part.width
    return page


def main() -> None:
    with TemporaryDirectory() as place:
        page = beside(sheets(Path(place)))
    page.save(PICTURE, optimize=True)
    print(f"{PICTURE.name}: {page.width} × {page.height}, {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
