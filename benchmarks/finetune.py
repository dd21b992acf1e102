"""Fine-tuning against training from scratch, in one time budget, over five folds of a folder of photographs.

    python benchmarks/finetune.py FOLDER WEIGHTS [--model mobilenet_v2] [--budget 120] [--folds 5]

FOLDER holds a subfolder for each class; each fold tests on a fifth of every class and trains on the rest, from which
convlens takes its validation part. Both trainings see the same pictures, fine-tuning and scratch taking turns.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from sklearn.model_selection import StratifiedKFold

import convlens


def divided(folder: Path, target: Path, fold: int, folds: int) -> Path:
    """Links to the pictures as target/train/CLASS and target/test/CLASS."""
    files = sorted(path for path in folder.glob("*/*") if path.is_file())
    labels = [path.parent.name for path in files]
    divisions = list(StratifiedKFold(folds, shuffle=True, random_state=0).split(files, labels))
    for part, chosen in zip(("train", "test"), divisions[fold], strict=True):
        for index in chosen:
            place = target / part / labels[index] / files[index].name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(files[index].resolve())
    return target


def accuracy(data: Path, out: Path, model: str, weights: str, budget: float) -> tuple[float, float]:
    """-> (accuracy on the test part, seconds from the command to the saved run)."""
    trained = convlens.train(data, model=model, weights=weights, budget=budget, out=out)
    return convlens.evaluate(trained.run).scores.accuracy, trained.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--budget", type=float, default=120)
    parser.add_argument("--folds", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, list[float]] = {"fine-tuned": [], "from scratch": []}
    with TemporaryDirectory() as scratch:
        for fold in range(asked.folds):
            data = divided(asked.folder, Path(scratch) / f"fold-{fold}", fold, asked.folds)
            for way, weights in (("fine-tuned", asked.weights), ("from scratch", "none")):
                out = Path(scratch) / f"{way}-{fold}"
                share, seconds = accuracy(data, out, asked.model, weights, asked.budget)
                found[way].append(share)
                print(f"fold {fold + 1}, {way}: {share:.2%} in {seconds:.1f} s", flush=True)
    for way, shares in found.items():
        spread = f"{statistics.mean(shares):.2%} ± {statistics.stdev(shares):.2%}" if len(shares) > 1 else ""
        print(f"{way}: {spread} ({min(shares):.2%} to {max(shares):.2%})")


if __name__ == "__main__":
    main()
