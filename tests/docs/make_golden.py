"""Write the golden run of this version: tests/docs/golden/VERSION, which every later version must read.

    python tests/docs/make_golden.py        a few seconds; run it once, before a release

A perceptron after one epoch of the bundled digits, with its evaluation; `expected.json` has what it then answered.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import convlens
from convlens.data import open_images

GOLDEN = Path(__file__).parent / "golden"
NUM_PICTURES = 5
LEFT_OUT = ("report.html", ".lock", "checkpoints")  # large, or of no use later


def main() -> None:
    folder = GOLDEN / convlens.__version__
    shutil.rmtree(folder, ignore_errors=True)
    options = {"precision": "fp32", "threads": 1, "keep_pictures": False}
    convlens.train("digits", model="perceptron", epochs=1, out=folder, **options)
    accuracy = convlens.evaluate(folder).scores.accuracy
    for name in LEFT_OUT:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    run = convlens.Run.load(folder)
    digits = open_images("digits")
    pictures = [digits.reader.read(index) for index in range(NUM_PICTURES)]
    logits = run.model(run.preprocess(pictures)).tolist()
    expected = {"accuracy": accuracy, "logits": [[round(value, 6) for value in row] for row in logits]}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
