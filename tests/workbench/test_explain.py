"""Pictures of what a run sees."""

from __future__ import annotations

import importlib
import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
from base64 import b64decode
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convlens import pictures
from convlens.cli.explain_tables import print_explained
from convlens.data import open_images
from convlens.errors import ExplanationError, RunError, StorageError, UsageError
from convlens.measurement import probabilities
from convlens.pictures import decode
from convlens.runs import Run
from convlens.workbench import create, explain, layer_sweep, predict, unit_sheets
from convlens.workbench.explain import class_number
from convlens.workbench.results import plain

SVG = "http://www.w3.org/2000/svg"


def digit(index=0):
    return open_images("digits").reader.read(index)


@pytest.mark.parametrize("method", ["grad_cam", "grad-cam", "saliency"])
def test_a_map_is_drawn_beside_its_picture_with_a_sanity_check(copied_run, method):
    result = explain(copied_run, [digit(0), digit(1)], method=method)
    assert [file.suffix for file in result.files] == [".png", ".svg", ".html"] and len(result.pictures) == 2
    sheet = np.asarray(Image.open(result.files[0]))
    assert sheet.shape[0] > 200 and sheet.shape[1] > 400
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100  # it has colours, so something was drawn
    (check,) = result.sanity
    assert check.badge in ("passed", "failed") and check.faithfulness is not None
    note = json.loads(result.files[0].with_suffix(".json").read_text())
    assert (
        note["badge"] == check.badge and note["reason"] == check.reason and note["method"] == method.replace("-", "_")
    )
    assert "Explanations" in (copied_run / "report.html").read_text()


def test_the_class_to_explain_can_be_named_or_numbered(copied_run):
    run = Run.load(copied_run)
    assert class_number(run, "7") == 7 and class_number(run, None) is None
    assert class_number(run, 3) == class_number(run, " 3") == 3
    named = replace(run, manifest=replace(run.manifest, classes=("caf\u00e9", *run.classes[1:])))
    assert class_number(named, "cafe\u0301") == class_number(named, "caf\u00e9") == 0  # as macOS types it, and others
    by_name = explain(copied_run, digit(), target="4", sanity=False)
    assert by_name.pictures[0].target == "4" and by_name.sanity == ()
    with pytest.raises(UsageError, match="no class is called '999"):
        class_number(run, "9" * 5000)  # more digits than Python reads
    with pytest.raises(UsageError, match="no class is called 'seven'"):
        explain(copied_run, digit(), target="seven")


def test_filters_need_no_picture_and_feature_maps_need_one(copied_run):
    assert explain(copied_run, method="filters").files[0].name == "filters.png"
    assert explain(copied_run, digit(), method="feature_maps").files[0].exists()
    with pytest.raises(UsageError, match="no pictures were given"):
        explain(copied_run, method="feature_maps")


def test_what_a_unit_of_the_layer_sees_is_told(copied_run):
    maps = explain(copied_run, digit(), method="feature_maps")
    assert maps.layer is not None and all(1 < side <= 28 for side in maps.receptive_field)
    first = explain(copied_run, digit(), method="grad_cam", layer=first_convolution(copied_run), sanity=False)
    kernel = Run.load(copied_run).model.get_submodule(first.layer).kernel_size
    assert plain(first)["receptive_field"] == list(kernel)
    assert explain(copied_run, digit(), method="saliency", sanity=False).receptive_field is None


def test_methods_stand_side_by_side_and_what_is_not_defined_is_said(copied_run):
    result = explain(copied_run, [digit(0), digit(1)], method="saliency, cam,occlusion", options={"window": 7})
    assert [check.method for check in result.sanity] == ["saliency", "occlusion"]
    assert len(result.refused) == 1 and result.refused[0].startswith("cam: CAM is defined where")
    sheet = np.asarray(Image.open(result.files[0]))
    assert sheet.shape[1] > 3 * 192 and sheet.shape[0] > 2 * 192
    note = json.loads(result.files[0].with_suffix(".json").read_text())
    assert note["badge"] is None and "saliency " in note["caption"] and "occlusion " in note["caption"]
    page = (copied_run / "explanations" / "explained.html").read_text()
    assert page.count("<figure>") == 2 * 3 and "not defined here" in page and "http" not in page.replace(SVG, "")
    with pytest.raises(ExplanationError, match="CAM is defined where"):
        explain(copied_run, digit(), method="cam")


def test_every_method_can_be_asked_for_at_once(copied_run):
    result = explain(copied_run, digit(), method="all", sanity=False)
    assert len(result.refused) == 1 and result.layer is not None
    assert len(json.loads(json.dumps(plain(result)))["pictures"]) == 1


def test_the_svg_has_the_picture_and_its_maps(copied_run):
    result = explain(copied_run, [digit(0), digit(1)], method="saliency, Grad-CAM,saliency", sanity=False)
    assert result.method == "saliency,grad_cam"
    svg = ET.fromstring(result.files[1].read_text())
    images = list(svg.iter(f"{{{SVG}}}image"))
    assert len(images) == 6 and all(image.get("href").startswith("data:image/png;base64,") for image in images)
    words = {text.text for text in svg.iter(f"{{{SVG}}}text")}
    assert {"Saliency"} <= words and any(word.startswith("Grad-CAM at ") for word in words)


def test_an_overlay_lies_on_its_picture_to_the_pixel(copied_run):
    """A network that looks at one quarter of the picture: its map covers that quarter and nothing else."""
    run = Run.load(copied_run)
    half = torch.nn.Sequential(Quarter(), torch.nn.Flatten(), torch.nn.Linear(28 * 28, 10)).eval()
    vars(run)["model"] = half
    result = explain(run, digit(), method="saliency", sanity=False)
    svg = ET.fromstring(result.files[1].read_text())
    shown, drawn = (read_image(image) for image in svg.iter(f"{{{SVG}}}image"))
    assert drawn.shape[:2] == shown.shape[:2]
    side = len(shown)
    coloured = np.ptp(drawn.astype(int), axis=2) > 3
    assert coloured[: side // 2 - 8, : side // 2 - 8].mean() > 0.9
    assert not coloured[side // 2 + 8 :].any() and not coloured[:, side // 2 + 8 :].any()


def test_a_network_without_weights_is_drawn_and_its_check_is_incomplete(copied_run):
    run = Run.load(copied_run)
    vars(run)["model"] = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d((2, 5)), torch.nn.Flatten()).eval()
    result = explain(run, digit(), method="saliency")
    assert result.sanity[0].unasked.endswith("this network has no weights, so there is nothing to draw anew")
    assert (
        result.sanity[0].badge != "passed" and "not asked" in (copied_run / "explanations/explained.html").read_text()
    )


class Quarter(torch.nn.Module):
    def forward(self, images):
        kept = torch.zeros_like(images)
        kept[..., :14, :14] = images[..., :14, :14]
        return kept


def read_image(element):
    return np.asarray(Image.open(io.BytesIO(b64decode(element.get("href").split(",")[1]))).convert("RGB"))


def test_a_sweep_is_an_animation_over_the_layers(copied_run):
    result = explain(copied_run, digit(), sweep=True, sanity=False)
    animated = next(file for file in result.files if file.suffix == ".gif")
    with Image.open(animated) as frames:
        assert frames.n_frames > 3 and frames.size[0] > 192
        first = np.asarray(frames.convert("RGB"))
        frames.seek(frames.n_frames - 1)
        assert not np.array_equal(first, np.asarray(frames.convert("RGB")))
    assert "image/gif" in (copied_run / "report.html").read_text()
    with pytest.raises(UsageError, match="--sweep takes one method that looks at a layer"):
        explain(copied_run, digit(), method="saliency", sweep=True)


def test_a_sweep_over_some_of_the_layers_says_how_many(copied_run, monkeypatch):
    every = json.loads(swept(copied_run).with_suffix(".json").read_text())["caption"]
    number = int(re.search(r"at (\d+) layers, in turn", every)[1])
    monkeypatch.setattr(layer_sweep, "MOST_LAYERS", 3)
    some = json.loads(swept(copied_run).with_suffix(".json").read_text())["caption"]
    assert f"at 3 of {number} layers, evenly chosen, in turn" in some


def swept(run):
    files = explain(run, digit(), sweep=True, sanity=False).files
    return next(file for file in files if file.suffix == ".gif")


def test_arrays_are_saved_where_they_are_wanted(copied_run):
    result = explain(copied_run, [digit(0), digit(1)], method="saliency,grad_cam", sanity=False, save_arrays=True)
    arrays = {file.name: np.load(file) for file in result.files if file.suffix == ".npy"}
    assert len(arrays) == 2 * 3
    assert {array.shape for array in arrays.values()} == {(28, 28), (1, 28, 28)}
    assert all(array.dtype == np.float32 and array.any() for array in arrays.values())


def test_classes_and_channels_are_grown_from_noise(copied_run):
    classes = explain(copied_run, method="maximise", options={"steps": 4})
    assert classes.files[0].name == "maximise-classes.png"
    told: list[tuple[str, int, int, str]] = []
    one = explain(
        copied_run, method="maximise", target="3", options={"steps": 4}, progress=lambda *now: told.append(now)
    )
    assert [now for now in told if now[0] == "maximise"] == [("maximise", done, 4, "") for done in range(5)]
    assert one.files[0].name == "maximise-3.png"
    layer = first_convolution(copied_run)
    channel = explain(copied_run, method="maximise", layer=layer, unit=2, options={"steps": 4})
    assert channel.files[0].exists() and "channel-2" in channel.files[0].name
    with pytest.raises(UsageError, match="a layer and one of its channels"):
        explain(copied_run, method="maximise", layer=layer)
    with pytest.raises(UsageError, match=r"no option of maximise is called 'step' \(near: steps.*; there are steps"):
        explain(copied_run, method="maximise", options={"step": 4})


def test_of_many_classes_it_is_told_how_many_are_drawn(copied_run, monkeypatch):
    monkeypatch.setattr(unit_sheets, "MOST_CLASSES", 3)
    told: list[str] = []
    drawn = explain(copied_run, method="maximise", options={"steps": 4}, progress=lambda *now: told.append(now[3]))
    assert set(told) == {"3 of 10 classes"}
    facts = json.loads(drawn.files[0].with_suffix(".json").read_text())
    assert facts["caption"] == "What excites the first 3 of 10 classes (--target names any other) most"


def test_what_is_no_folder_is_told(copied_run):
    with pytest.raises(RunError, match=rf"run.json is a file, and a run is a folder .*; give {copied_run}"):
        explain(copied_run / "run.json", digit())
    with pytest.raises(UsageError, match="--out came empty; expected a folder"):
        explain(copied_run, digit(), out="")


def test_the_pictures_that_excite_a_channel_are_found(copied_run):
    layer = first_convolution(copied_run)
    result = explain(copied_run, [digit(i) for i in range(40)], method="exciting", layer=layer, unit=1)
    assert result.files[0].name.startswith("exciting-") and np.asarray(Image.open(result.files[0])).shape[0] > 300
    with pytest.raises(UsageError, match="exciting needs a layer"):
        explain(copied_run, digit(), method="exciting")


def test_pictures_of_a_layer_that_runs_twice_say_so(copied_run, monkeypatch, capsys):
    run = Run.load(copied_run)
    first, second, *_ = (name for name, part in run.model.named_modules() if "activation" in type(part).__module__)
    run.model.set_submodule(second, run.model.get_submodule(first))
    told = f"layer '{first}' runs 2 times in a pass, and only what its last run gave was looked at"
    titles = []
    for room in (pictures, unit_sheets):
        drawn = partial(lambda draw, *tiles, **given: titles.append(given["title"]) or draw(*tiles, **given))
        monkeypatch.setattr(room, "contact_sheet", partial(drawn, room.contact_sheet))
    for method, given in {"feature_maps": {}, "exciting": {"unit": 1}, "maximise": {"unit": 1}}.items():
        shown = () if method == "maximise" else digit()
        result = explain(run, shown, method=method, layer=first, **given)
        assert result.note == told and titles.pop().endswith(told) and not titles
        assert json.loads(result.files[0].with_suffix(".json").read_text())["caption"].endswith(told)
        print_explained(result, quiet=False)
        assert told in " ".join(capsys.readouterr().out.split())
    assert explain(copied_run, digit(), method="feature_maps").note == ""


def first_convolution(run):
    return next(n for n, m in Run.load(run).model.named_modules() if isinstance(m, torch.nn.Conv2d))


def said_to_be_shuffled(run):
    """The same run, whose manifest says that its labels were shuffled."""
    manifest = json.loads((run / "run.json").read_text())
    manifest["recipe"] = (manifest.get("recipe") or {}) | {"shuffle_labels": True}
    (run / "run.json").write_text(json.dumps(manifest))
    return run


def test_a_run_of_shuffled_labels_joins_the_check(copied_run, trained_run, tmp_path):
    other = said_to_be_shuffled(Path(shutil.copytree(trained_run, tmp_path / "shuffled")))
    result = explain(copied_run, digit(), method="grad_cam", shuffled=other)
    assert result.sanity[0].labels is not None and not result.sanity[0].labels.passed  # it is the same network
    assert "shuffled labels gives much the same" in result.sanity[0].reason


@pytest.mark.parametrize(
    ("network", "classes", "message"),
    [("mlp", 10, "is another network than .*--shuffle-labels"), ("lenet5", 3, "knows the classes 0, 1, 2, and .*")],
)
def test_a_run_of_shuffled_labels_is_of_the_same_network_and_classes(copied_run, tmp_path, network, classes, message):
    names = [str(number) for number in range(classes)]
    create(network, classes=names, image_size=28, in_channels=1, out=tmp_path / "other")
    with pytest.raises(UsageError, match=message):
        explain(copied_run, digit(), method="grad_cam", shuffled=said_to_be_shuffled(tmp_path / "other"))


def test_a_run_of_true_labels_is_no_run_of_shuffled_ones(copied_run, trained_run):
    with pytest.raises(UsageError, match="was not trained on shuffled labels; train one"):
        explain(copied_run, digit(), method="grad_cam", shuffled=trained_run)


WRONG = [
    ({"method": "saliency,filters"}, "filters came with other methods"),
    ({"method": "saliency", "options": {"steps": 3}}, "no option of saliency is called 'steps'; there are none"),
    ({"method": "occlusion", "options": {"windw": 3}}, r"no option of occlusion is called 'windw' \(near: window"),
    ({"method": "occlusion", "options": {"window": "big"}}, "window came as 'big'; expected a whole number"),
    ({"method": "guided", "options": {"rule": "all"}}, "rule came as 'all'"),
    ({"method": "saliency", "layer": "stages"}, "looks at none; leave it out"),
    ({"method": "grad_cam", "unit": 3}, "--unit names a channel of --layer"),
    ({"method": "filters", "sweep": True}, "filters draws none"),
    ({"method": "saliency", "sweep": True}, "--sweep takes one method that looks at a layer"),
    ({"sweep": True, "layer": "stages"}, "layer stages came with --sweep, which goes over all layers; leave out --la"),
    ({"method": "filters", "save_arrays": True}, "--save-arrays came for filters, which draws no map of a class"),
    ({"method": "maximise", "shuffled": "run"}, "--shuffled came for maximise, which draws no map of a class"),
    ({"method": "feature_maps", "target": "3"}, "--target came for feature_maps"),
    ({"method": "filters", "options": {"a": 1}}, "a came for filters, which has no options"),
    ({"method": "filters"}, "pictures came for filters, which looks at none"),
    ({"method": "maximise"}, "pictures came for maximise, which looks at none"),
    ({"shuffled": "run", "sanity": False}, "--shuffled names a run for the sanity check, and --no-sanity leaves it"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_does_not_go_together_is_refused(copied_run, given, message):
    with pytest.raises(UsageError, match=message):
        explain(copied_run, digit(), **given)
    assert not (copied_run / "explanations").exists()


def test_an_unknown_method_names_the_nearest(copied_run):
    with pytest.raises(UsageError, match="near: grad_cam"):
        explain(copied_run, digit(), method="gradcam")


def test_an_unreadable_picture_is_listed_and_the_others_are_explained(copied_run, tmp_path):
    Image.fromarray(digit()).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    result = explain(copied_run, [tmp_path / "good.png", tmp_path / "bad.png"], sanity=False)
    assert [one.picture for one in result.pictures] == [str(tmp_path / "good.png")]
    assert len(result.unreadable) == 1 and "bad.png" in result.unreadable[0]
    with pytest.raises(UsageError, match="none of the pictures can be read"):
        explain(copied_run, tmp_path / "bad.png")


def test_pictures_go_where_they_are_asked_to(copied_run, tmp_path):
    result = explain(copied_run, digit(), out=tmp_path / "here", sanity=False)
    assert result.files[0].parent == tmp_path / "here"
    assert not (copied_run / "explanations").exists()


def test_a_run_that_cannot_be_written_is_explained_elsewhere_and_refused_before_a_map_is_drawn(
    copied_run, read_only, tmp_path, monkeypatch
):
    read_only(copied_run)
    result = explain(copied_run, digit(), out=tmp_path / "here", sanity=False)
    assert result.files[0].is_file() and result.report is None
    module = importlib.import_module("convlens.workbench.explain")
    monkeypatch.setattr(module, "draw_maps", lambda *_: pytest.fail("drawn in vain"))
    with pytest.raises(StorageError, match=r"cannot write .*explanations.*: permission denied; .* with --out"):
        explain(copied_run, digit(), sanity=False)
    assert not (copied_run / "explanations").exists()


def test_a_picture_s_name_is_no_folder(copied_run, tmp_path):
    with pytest.raises(UsageError, match=r"--out came as .*map\.png; several files are drawn, so expected a folder"):
        explain(copied_run, [digit()], out=tmp_path / "map.png")
    assert not (tmp_path / "map.png").exists()


def test_many_pictures_fill_several_sheets(copied_run):
    result = explain(copied_run, [digit(i) for i in range(30)], sanity=False, method="saliency")
    sheets = [file for file in result.files if file.suffix == ".png"]
    assert len(sheets) == 2 and len(result.pictures) == 30


def test_a_large_jpeg_has_one_probability_in_predict_explain_and_the_documented_lines(copied_run, tmp_path):
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8))
    noise = Image.effect_noise((2000, 1600), 90)  # fine grain, which each scale of decoding averages in its own way
    Image.blend(small.resize((2000, 1600)), noise, 0.5).save(tmp_path / "large.jpg", quality=95)
    run = Run.load(copied_run)
    said = predict(run, tmp_path / "large.jpg").predictions[0]
    shown = explain(run, tmp_path / "large.jpg", sanity=False).pictures[0]
    assert (shown.target, shown.probability) == (said.label, said.probability)
    pixels = decode(tmp_path / "large.jpg", short_side=run.preprocess.decode_side)
    by_hand = probabilities(run.model(run.preprocess([pixels])).detach(), run.temperature)
    assert float(by_hand.max()) == pytest.approx(said.probability, abs=1e-6)


def test_pictures_of_one_name_do_not_overwrite_each_other(copied_run, tmp_path):
    for place, index in (("a", 0), ("b", 1)):
        (tmp_path / place).mkdir()
        Image.fromarray(digit(index)).save(tmp_path / place / "x.png")
    given = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    maps = explain(copied_run, given, method="feature_maps")
    assert len({file.name for file in maps.files}) == 2
    arrays = explain(copied_run, given, method="saliency", sanity=False, save_arrays=True)
    assert len({file.name for file in arrays.files if file.suffix == ".npy"}) == 4


def test_names_that_are_not_latin_are_kept(copied_run, tmp_path):
    Image.fromarray(digit()).save(tmp_path / "猫.png")
    assert explain(copied_run, tmp_path / "猫.png", sanity=False).files[0].name == "grad_cam-猫.png"


def test_the_progress_says_what_the_check_costs_before_it_begins(copied_run):
    told = []
    explain(copied_run, digit(), progress=lambda *given: told.append(given))
    assert told[0] == ("check", 0, 1, "grad_cam: 40 maps, which --no-sanity leaves out")
    assert told[1] == ("check", 1, 1, "grad_cam")
