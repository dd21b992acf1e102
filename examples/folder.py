"""From a folder of pictures, one of them broken: examine it, train on it, classify files.

    python examples/folder.py        about 5 s on two cores; checks what was found and that nothing was written there

A subfolder for each class is all that is needed.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import convlens
from convlens.data import open_images


def write_pictures(folder: Path) -> None:
    """Handwritten digits as PNGs, a subfolder for each class: even/0.png, odd/1.png, …"""
    digits = open_images("digits")
    for index in range(600):
        kind = "even" if digits.labels[index] % 2 == 0 else "odd"
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.reader.read(index)).save(folder / kind / f"{index}.png")
    (folder / "odd" / "1.png").write_bytes(b"")  # as a full disk leaves it


def main() -> None:
    with TemporaryDirectory() as place:
        pictures, out = Path(place) / "pictures", Path(place) / "run"
        write_pictures(pictures)
        before = sorted(pictures.rglob("*"))

        found = convlens.doctor(pictures)
        assert found.scan is not None
        for finding in found.scan.findings:
            print(f"{finding.severity}: {finding.message}: {', '.join(finding.keys)}")
        assert [finding.keys for finding in found.scan.findings if finding.kind == "zero_byte"] == [("odd/1.png",)]

        trained = convlens.train(pictures, model="lenet5", epochs=15, out=out)
        assert trained.num_excluded == 1
        scored = convlens.evaluate(out)
        print(f"{scored.scores.accuracy:.1%} of {scored.scores.num_pictures} held-out pictures")
        for one in convlens.predict(out, [pictures / "even" / "0.png", pictures / "odd" / "3.png"]).predictions:
            print(f"{Path(one.picture).name}: {one.label} ({one.probability:.1%})")
        assert scored.scores.accuracy >= 0.8, scored.scores.accuracy
        assert sorted(pictures.rglob("*")) == before


if __name__ == "__main__":
    main()
