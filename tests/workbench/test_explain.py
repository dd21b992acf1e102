"""Pictures of what a run sees."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from convlens.data import open_images
from convlens.errors import UsageError
from convlens.measurement import probabilities
from convlens.pictures import decode
from convlens.runs import Run
from convlens.workbench import explain, predict
from convlens.workbench.explain import class_number


def digit(index=0):
    return open_images("digits").reader.read(index)


@pytest.mark.parametrize("method", ["grad_cam", "grad-cam", "saliency"])
def test_a_map_is_drawn_beside_its_picture_with_a_sanity_check(copied_run, method):
    result = explain(copied_run, [digit(0), digit(1)], method=method)
    assert len(result.files) == 1 and len(result.pictures) == 2
    sheet = np.asarray(Image.open(result.files[0]))
    assert sheet.shape[0] > 200 and sheet.shape[1] > 400
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100  # it has colours, so something was drawn
    assert result.sanity is not None and result.sanity.badge in ("passed", "failed")
    note = json.loads(result.files[0].with_suffix(".json").read_text())
    assert note["badge"] == result.sanity.badge and note["method"] == method.replace("-", "_")
    assert "Explanations" in (copied_run / "report.html").read_text()


def test_the_class_to_explain_can_be_named_or_numbered(copied_run):
    run = Run.load(copied_run)
    assert class_number(run, "7") == 7 and class_number(run, None) is None
    assert class_number(run, 3) == 3
    by_name = explain(copied_run, digit(), target="4", sanity=False)
    assert by_name.pictures[0].target == "4" and by_name.sanity is None
    with pytest.raises(UsageError, match="no class is called 'seven'"):
        explain(copied_run, digit(), target="seven")


def test_filters_need_no_picture_and_feature_maps_need_one(copied_run):
    assert explain(copied_run, method="filters").files[0].name == "filters.png"
    assert explain(copied_run, digit(), method="feature_maps").files[0].exists()
    with pytest.raises(UsageError, match="no pictures were given"):
        explain(copied_run, method="feature_maps")


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


def test_many_pictures_fill_several_sheets(copied_run):
    result = explain(copied_run, [digit(i) for i in range(30)], sanity=False, method="saliency")
    assert len(result.files) == 2 and len(result.pictures) == 30


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
