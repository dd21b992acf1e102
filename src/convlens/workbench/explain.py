"""`convlens explain`: why a run says what it says, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convlens.data.images import class_named
from convlens.errors import PictureError, UsageError, unknown_name
from convlens.explanation import METHODS, SanityCheck
from convlens.explanation.methods import find_method
from convlens.reports import write_report
from convlens.runs import Run
from convlens.storage import check_writable
from convlens.workbench.drawing_file import drawing_folder
from convlens.workbench.drawn_files import PAGE, Sheet, write_arrays, write_sheets
from convlens.workbench.layer_sweep import last_layer, receptive_field, runs_of
from convlens.workbench.map_sheets import Asked, Explained, Seen, draw_maps
from convlens.workbench.own_network import open_run
from convlens.workbench.predict import Picture, name_pictures
from convlens.workbench.results import Progress
from convlens.workbench.typed import typed
from convlens.workbench.unit_sheets import exciting_sheets, feature_map_sheets, filter_sheets, maximised_sheets

INSIDES = ("filters", "feature_maps", "maximise", "exciting")  # pictures of the network itself
PICTURELESS = ("filters", "maximise")


@dataclass(frozen=True)
class ExplainResult:
    """`files` are what was written, pictures first; `sanity` has one check a method, none where none was asked for.

    `refused` are methods that are not defined for this network, each with the reason; `layer` is that of the last
    method which looks at one, and `receptive_field` what a unit of it sees: (height, width) in pixels of the input.
    `note` says what the reader of pictures of the layer itself must know, such as that it runs several times in a pass.
    `report` is the run's, which shows them; None where they lie elsewhere.
    """

    run: Path
    method: str
    layer: str | None
    receptive_field: tuple[int, ...] | None
    files: tuple[Path, ...]
    pictures: tuple[Explained, ...]
    unreadable: tuple[str, ...]
    sanity: tuple[SanityCheck, ...]
    refused: tuple[str, ...]
    report: Path | None
    note: str = ""


@typed
def explain(
    run: Run | str | Path,
    pictures: Picture | Sequence[Picture] = (),
    *,
    method: str = "grad_cam",
    target: str | int | None = None,
    layer: str | None = None,
    unit: int | None = None,
    options: Mapping[str, Any] | None = None,
    sweep: bool = False,
    out: str | Path | None = None,
    sanity: bool = True,
    shuffled: Run | str | Path | None = None,
    save_arrays: bool = False,
    network: str | None = None,
    progress: Progress | None = None,
) -> ExplainResult:
    """Draw what the network sees: a map over each picture, its feature maps, its filters, what excites a unit.

    `method` is one of `convlens.explanation.METHODS`, several with commas between them (then they stand side by side),
    "all", or one of filters and maximise, which need no picture, feature_maps and exciting. `target` is a class by name
    or number, by default each picture's predicted one; `unit` a channel of `layer` for maximise and exciting; `options`
    are the methods' own, such as {"window": 15}. `sweep` draws the map at every layer in turn, as an animation.
    `shuffled` is a run of the same network, trained on shuffled labels, for the sanity check. `save_arrays` writes the
    maps as .npy too. Writes PNG, SVG and one page, explained.html, to `out`, by default the run's `explanations/`.
    """
    opened = open_run(run, network)
    names = method_names(method)
    folder = drawing_folder("--out", out) if out is not None else opened.folder.explanations
    check_writable(folder / PAGE)
    _check_given(names, dict(options or {}), layer, unit, sweep)
    if names[0] in INSIDES:
        _check_needed(names[0], {"--target": target, "--shuffled": shuffled, "--save-arrays": save_arrays or None})
        _check_pictures(names[0], pictures)
        return _insides(opened, names[0], pictures, (target, layer, unit, dict(options or {})), folder, progress)
    if shuffled is not None and not sanity:
        raise UsageError("--shuffled names a run for the sanity check, and --no-sanity leaves it out; drop one of them")
    seen, unreadable = _decoded(opened, pictures)
    other = None if shuffled is None else _twin(opened, open_run(shuffled, network))
    asked = Asked(
        opened, names, class_number(opened, target), layer, dict(options or {}), sanity, other, sweep, progress
    )
    drawn = draw_maps(asked, seen)
    files = write_sheets(folder, drawn.sheets, opened.manifest.name, drawn.refused)
    if save_arrays:
        files += write_arrays(folder, drawn.arrays)
    asked_for = "all" if method.lower() == "all" else ",".join(names)
    return _result(opened, asked_for, drawn.layer, files, drawn.said, unreadable, drawn.checks, drawn.refused, folder)


def _twin(run: Run, other: Run) -> Run:
    """The run of shuffled labels, which differs in nothing but its weights."""
    if not (other.manifest.recipe or {}).get("shuffle_labels"):
        raise UsageError(
            f"--shuffled {other.path} was not trained on shuffled labels; train one on the same pictures with "
            "`convlens train DATA --shuffle-labels`"
        )
    if other.classes != run.classes:
        raise UsageError(
            f"--shuffled {other.path} knows the classes {', '.join(other.classes[:5])}, and {run.path} "
            f"{', '.join(run.classes[:5])}; train it on the same pictures, with --shuffle-labels"
        )
    sizes, own = ({name: w.shape for name, w in each.model.state_dict().items()} for each in (other, run))
    if sizes != own:
        raise UsageError(
            f"--shuffled {other.path} is another network than {run.path}; train the same --model with --shuffle-labels"
        )
    return other


def method_names(method: str) -> tuple[str, ...]:
    """ "saliency,grad-cam" -> their names; "all" -> every method. Raises UsageError for one that is not there."""
    if method.lower() == "all":
        return tuple(METHODS)
    names = []
    for one in method.split(","):
        name = one.strip().lower().replace("-", "_")
        if name in INSIDES:
            names.append(name)
            continue
        try:
            names.append(find_method(name).name)
        except UsageError:
            known = [*METHODS, *INSIDES]
            raise unknown_name("explanation method", one.strip(), known, f"there are {', '.join(known)}") from None
    alone = [name for name in names if name in INSIDES]
    if alone and len(names) > 1:
        raise UsageError(f"{alone[0]} came with other methods; it draws no map, so ask for it alone")
    return tuple(dict.fromkeys(names))


def _check_given(
    names: tuple[str, ...], options: dict[str, Any], layer: str | None, unit: int | None, sweep: bool
) -> None:
    if unit is not None and (names[0] not in ("maximise", "exciting") or layer is None):
        raise UsageError("--unit names a channel of --layer, for the methods maximise and exciting")
    if names[0] in INSIDES:
        if sweep:
            raise UsageError(f"--sweep goes over the maps of a method at each layer, and {names[0]} draws none")
        if options and names[0] != "maximise":
            raise UsageError(f"{', '.join(options)} came for {names[0]}, which has no options")
        return
    using = [name for name in names if METHODS[name].uses_layer]
    if sweep and (len(names) > 1 or not using):
        raise UsageError("--sweep takes one method that looks at a layer, such as grad_cam, and goes over all layers")
    if sweep and layer is not None:
        raise UsageError(f"layer {layer} came with --sweep, which goes over all layers; leave out --layer")
    if layer is not None and not using:
        raise UsageError(f"layer {layer} came, and {', '.join(names)} looks at none; leave it out")
    for name, value in options.items():
        having = [METHODS[one] for one in names if name in METHODS[one].options]
        if not having:
            known = sorted({option for one in names for option in METHODS[one].options})
            has = f"there are {', '.join(known)}" if known else "there are none"
            raise unknown_name(f"option of {', '.join(names)}", name, known, has)
        for one in having:
            one.check_options({name: value})


def _check_needed(name: str, given: dict[str, Any]) -> None:
    """Filters, feature maps and what excites a unit have no class and no map; maximise has a class."""
    for option, value in given.items():
        if value is not None and (name, option) != ("maximise", "--target"):
            raise UsageError(f"{option} came for {name}, which draws no map of a class; leave it out")


def _check_pictures(name: str, pictures: Picture | Sequence[Picture]) -> None:
    given = isinstance(pictures, str | Path | np.ndarray) or len(pictures) > 0
    if given and name in PICTURELESS:
        raise UsageError(f"pictures came for {name}, which looks at none; leave them out, or ask for feature_maps")


def _decoded(run: Run, pictures: Picture | Sequence[Picture]) -> tuple[list[Seen], tuple[str, ...]]:
    seen, unreadable = [], []
    for name, read in name_pictures(pictures):
        try:
            seen.append(Seen(name, read(run.preprocess.decode_side), read(max(512, 2 * max(run.preprocess.size)))))
        except PictureError as error:
            unreadable.append(str(error))
    if not seen:
        raise UsageError(f"none of the pictures can be read: {'; '.join(unreadable[:3])}")
    return seen, tuple(unreadable)


def class_number(run: Run, target: str | int | None) -> int | None:
    """A class by name, or by number where no class is called so."""
    if target is None or target in run.classes:
        return None if target is None else run.classes.index(str(target))
    name = class_named(str(target).strip())
    if name in run.classes:
        return run.classes.index(name)
    if name.isascii() and name.isdigit() and len(name) < 20 and int(name) < len(run.classes):
        return int(name)
    raise unknown_name("class", name, run.classes, f"the run knows {', '.join(run.classes[:12])}")


def _insides(
    run: Run,
    name: str,
    pictures: Picture | Sequence[Picture],
    asked: tuple[str | int | None, str | None, int | None, dict[str, Any]],
    folder: Path,
    progress: Progress | None,
) -> ExplainResult:
    """Filters, feature maps and what excites a unit: pictures without a map, so without a check."""
    target, layer, unit, options = asked
    unreadable: tuple[str, ...] = ()
    sheets: list[Sheet]
    if name == "filters":
        sheets = filter_sheets(run, layer)
    elif name == "maximise":
        sheets = maximised_sheets(run, class_number(run, target), layer, unit, options, progress)
    else:
        seen, unreadable = _decoded(run, pictures)
        layer = last_layer(run) if layer is None and name == "feature_maps" else layer
        draw = feature_map_sheets if name == "feature_maps" else exciting_sheets
        sheets = draw(run, seen, layer, unit)
    result = _result(run, name, layer, write_sheets(folder, sheets), (), unreadable, (), (), folder)
    return result if name == "filters" else replace(result, note=runs_of(run, layer))


def _result(
    run: Run,
    method: str,
    layer: str | None,
    files: tuple[Path, ...],
    said: tuple[Explained, ...],
    unreadable: tuple[str, ...],
    checks: tuple[SanityCheck, ...],
    refused: tuple[str, ...],
    folder: Path,
) -> ExplainResult:
    field = None if layer is None else receptive_field(run, layer)
    report = write_report(run) if folder.resolve() == run.folder.explanations.resolve() else None
    return ExplainResult(run.path, method, layer, field, files, said, unreadable, checks, refused, report)
