"""`convlens evaluate`: a run's scores on pictures that it was not trained on."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convlens.data import Images, open_images
from convlens.engines import PLAIN
from convlens.errors import DataError, PictureError, RunError, UsageError, counted
from convlens.measurement import RobustnessCurve, Scores, check_tta, score
from convlens.reports import write_report
from convlens.runs import Run, read_evaluation
from convlens.storage import check_writable, guard, write_json
from convlens.workbench.corrupted import Beside, curves_of, open_beside
from convlens.workbench.create import published_accuracy
from convlens.workbench.gather import check_data_dir, lasting_name
from convlens.workbench.inference import Read, read_logits
from convlens.workbench.judged import JudgedPicture, judge
from convlens.workbench.own_network import open_run
from convlens.workbench.process import process_kept
from convlens.workbench.recognise import LOOKS_TRAINED_ON, TRAINED_ON, Candidates, look_over, roles_of
from convlens.workbench.results import Progress, Tell, plain, silent
from convlens.workbench.running import Running, check_engine_name, running
from convlens.workbench.typed import typed
from convlens.zoo import Architecture, imagenet_names

__all__ = ["EvaluateResult", "Scores", "evaluate", "summary"]

PARTS = ("test", "val", "all")
SHOWN, MOST_NAMED = 5, 100  # unreadable pictures on the terminal, and in the file


@dataclass(frozen=True)
class EvaluateResult:
    """`left_out` counts pictures by why they were not scored; `errors` are the most confident ones of `num_errors`.

    `recognised` are of each class the three surest and the three least sure. `robustness` is there where it was asked
    for, `beside` the same of another run. `unreadable` names pictures, 100 at most. `published` are top-1 and top-5 of
    a created run's network on the pictures of its paper, None where there are none.
    """

    run: Path
    data: str
    part: str
    scores: Scores
    left_out: dict[str, int]
    num_errors: int
    errors: tuple[JudgedPicture, ...]
    recognised: tuple[JudgedPicture, ...]
    seconds: float
    file: Path
    report: Path
    published: tuple[float | None, float | None] = (None, None)
    tta: str = "none"
    robustness: tuple[RobustnessCurve, ...] = ()
    beside: Beside | None = None
    unreadable: tuple[str, ...] = ()
    engine: str = PLAIN


@typed
@process_kept()
def evaluate(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    part: str = "test",
    tta: str = "none",
    include_train: bool = False,
    robustness: bool = False,
    beside: Run | str | Path | None = None,
    engine: str = PLAIN,
    data_dir: str | Path | None = None,
    network: str | None = None,
    progress: Progress | None = None,
    tell: Tell = silent,
) -> EvaluateResult:
    """Score a run; `data` defaults to what it was trained on, of which its own test part is taken.

    A picture that was trained on is recognised by its content, wherever it lies and whatever it is called, and is never
    scored unless `include_train`. `tta` averages over views of each picture (test-time augmentation): "mirror",
    "mirror_shifts" or "ten_crop". `robustness` scores up to 1,000 of them turned, scaled, moved, blurred, noisy,
    compressed and covered, too, by this run and by another `beside` it, such as one trained without augmentation.
    `engine` is "plain", the network as it was trained, "torch", "onnxruntime", "openvino" or "auto", as for `predict`;
    `robustness` is always of the plain one.
    `network` (file.py:Class) goes with a run of your own network. Raises DataError when nothing remains to score.
    """
    began = time.monotonic()
    run = open_run(run, network)
    check_part(part)
    check_tta(tta)
    check_engine_name(engine)
    other = None if beside is None else open_beside(beside, run)
    check_writable(run.folder.report, option=None)
    if data is None:
        data, data_dir = own_source(run, data_dir)
    else:
        check_data_dir(data, data_dir)
    images = open_images(data, data_dir=data_dir, progress=progress)
    labels = match_classes(images, run.classes)
    given = look_over(run, images, labels, progress)
    if tta != "none" and not (run.manifest.plan or {}).get("augment", {}).get("flip", True):
        tell(f"--tta {tta} shows mirror images, on which this network was not trained: they may cost accuracy")
    chosen, left_out, part = choose_pictures(given, part, include_train, tell)
    with running(run, engine, reads_of(images, chosen), tell=tell) as ran:
        logits, kept, unreadable = logits_on(run, images, chosen, tta, progress, by=ran)
    if unreadable:
        left_out["unreadable"] = left_out.get("unreadable", 0) + unreadable
    scores = score(logits, labels[kept], run.classes, temperature=run.temperature)
    judged = judge(given, kept, logits)
    part += " with train" if include_train else ""
    source = lasting_name(data)
    file = _file(run, images.name, source, part, tta)
    unread = _unreadable(given, kept, chosen)
    facts: dict[str, Any] = {"data": images.name, "source": source, "part": part, "tta": tta, "left_out": left_out}
    facts |= {**plain(judged), "unreadable": list(unread), "engine": ran.words}
    if unread:
        tell(f"not read: {', '.join(unread[:SHOWN])}{', …' if len(unread) > SHOWN else ''}")
    curves, compared = curves_of(given, kept, other, progress) if robustness or other else ((), None)
    facts |= {"robustness": plain(curves), "beside": plain(compared)} if curves else {}
    with guard(file, option=None):
        file.parent.mkdir(exist_ok=True)
    write_json(file, {**scores.to_dict(), **facts}, option=None)
    report = write_report(run)
    seconds = round(time.monotonic() - began, 3)
    published = _published(run) if tta == "none" else (None, None)
    return EvaluateResult(
        run.path, images.name, part, scores, left_out, judged.num_errors, judged.errors, judged.recognised, seconds,
        file, report, published, tta, curves, compared, unread, ran.words,
    )  # fmt: skip


def check_part(part: str) -> None:
    """UsageError for a part that cannot be scored."""
    if part not in PARTS:
        raise UsageError(f"--part came as '{part}'; expected one of {', '.join(PARTS)}")


def _published(run: Run) -> tuple[float | None, float | None]:
    """Of a run that was created from weights; another's accuracy is its own."""
    if run.manifest.data is not None or run.manifest.weights.get("from") == "random":
        return None, None
    return published_accuracy(Architecture.from_dict(run.manifest.architecture))


def own_source(run: Run, data_dir: str | Path | None) -> tuple[str, str | Path | None]:
    """What the run was trained on, and the folder in which a named set was found."""
    if run.manifest.data is None:
        raise UsageError(f"{run.path} was not trained here, so it has no pictures of its own; give DATA to evaluate on")
    source = str(run.manifest.data["source"])
    check_data_dir(source, data_dir)
    if Path(source).is_absolute() and not Path(source).exists():
        classes = ", ".join(run.classes[:5]) + (" …" if len(run.classes) > 5 else "")
        raise UsageError(
            f"the pictures that {run.path} was trained on lay in {source}, which is there no longer; "
            f"give DATA: labelled pictures of its classes, {classes}"
        )
    return source, data_dir or run.manifest.data.get("data_dir")


def _file(run: Run, name: str, source: str, part: str, tta: str) -> Path:
    """Scores of the same pictures are replaced, and so are damaged ones; others of the same name get a number."""
    views = [] if tta == "none" else tta.split("_")
    stem = "-".join([name, *(word for word in part.split() if word != "test"), *views])
    taken: dict[str, Any] = {}
    for path in run.folder.evaluations.glob("*.json"):
        with suppress(RunError):
            taken[path.stem] = read_evaluation(path).get("source")
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    free = next(one for one in names if taken.get(one, source) == source)
    return run.folder.evaluations / f"{free}.json"


def _unreadable(given: Candidates, kept: np.ndarray, chosen: np.ndarray) -> tuple[str, ...]:
    """Keys of what a scan, or reading, could not decode."""
    bad = {index for index, content in enumerate(given.scan.hashes) if content is None} | (set(chosen) - set(kept))
    return tuple(given.images.reader.key(int(index)) for index in sorted(bad))[:MOST_NAMED]


def match_classes(images: Images, classes: tuple[str, ...]) -> np.ndarray:
    """The source's labels in the run's numbering, by class name; -1 for a class that the run does not know.

    A synset of ImageNet (n01440764) stands for its name (tench).
    """
    place = {name: number for number, name in enumerate(classes)}
    synonyms = imagenet_names()
    known = np.array([place.get(name, place.get(synonyms.get(name, name), -1)) for name in images.classes], np.int64)
    if not (known >= 0).any():
        raise DataError(
            f"{images.source} has the classes {', '.join(images.classes[:5])} …; "
            f"the run knows {', '.join(classes[:5])} …; none is the same: name the folders as the run's classes"
        )
    return np.where(images.labels >= 0, known[images.labels], -1)


def choose_pictures(
    given: Candidates, part: str, include_train: bool, tell: Tell
) -> tuple[np.ndarray, dict[str, int], str]:
    """-> (indices to score, how many were left out and why, the part that was scored in the end)."""
    roles = roles_of(given, tell)
    wanted = _wanted(part, include_train)
    chosen = np.flatnonzero(np.isin(roles, wanted))
    if len(chosen) == 0 and part == "test" and "val" in roles:
        none = (
            "all of the test part was trained on" if "test" in (given.images.parts or ()) else "there is no test part"
        )
        tell(f"{none}: scoring the validation part, on which the temperature was fitted")
        part, chosen = "val", np.flatnonzero(np.isin(roles, _wanted("val", include_train)))
    scored = set(chosen.tolist())
    left_out = Counter(str(role) for index, role in enumerate(roles) if index not in scored)
    if len(chosen) == 0:
        why = ", ".join(f"{number:,} {role}" for role, number in left_out.items())
        raise DataError(
            f"nothing in {given.images.source} can be scored: {why}; give other pictures, or --include-train"
        )
    return chosen, dict(left_out), part


def _wanted(part: str, include_train: bool) -> list[str]:
    wanted = {"test": ["test", "new"], "val": ["val"], "all": ["test", "new", "val", "new, not in its test part"]}[part]
    return [*wanted, TRAINED_ON, LOOKS_TRAINED_ON] if include_train else wanted


def reads_of(images: Images, chosen: np.ndarray) -> list[Read]:
    """A way to read each of these pictures."""
    return [partial(_read, images, int(index)) for index in chosen]


def _read(images: Images, index: int, side: int) -> np.ndarray:
    return images.reader.read(index, short_side=side)


def logits_on(
    run: Run, images: Images, chosen: np.ndarray, tta: str, progress: Progress | None, *, by: Running | None = None
) -> tuple[torch.Tensor, np.ndarray, int]:
    """-> (logits (N, K), indices of the N pictures that could be read, how many could not)."""
    rows, kept = [], []
    for place, item in read_logits(run, reads_of(images, chosen), tta=tta, by=by, progress=progress):
        if not isinstance(item, PictureError):
            rows.append(item)
            kept.append(int(chosen[place]))
    if not rows:
        raise DataError(
            f"{counted(len(chosen), 'picture')} to score, and none could be read; `convlens doctor` says why"
        )
    return torch.stack(rows), np.array(kept), len(chosen) - len(kept)


def summary(result: EvaluateResult) -> dict[str, Any]:
    """The few figures that a table shows first."""
    scores = result.scores
    return {
        "pictures": scores.num_pictures,
        "accuracy": scores.accuracy,
        "accuracy_low": scores.accuracy_low,
        "accuracy_high": scores.accuracy_high,
        "top5_accuracy": scores.top5_accuracy,
        "expected_calibration_error": scores.expected_calibration_error,
    }
