"""The pieces of a report: markup, numbers, axes, curves, calibration, pictures inside the page."""

from __future__ import annotations

import math
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens.reports.axes import Axes, round_ticks
from convlens.reports.calibration import calibration_section
from convlens.reports.classes import classes_section
from convlens.reports.confusion import confusion_section, worst_pairs
from convlens.reports.curves import CHARTS, draw, points, training_section
from convlens.reports.embedding import cuts, data_address, data_pieces
from convlens.reports.facts import data_section, recipe_section, values_table
from convlens.reports.figures import count, duration, likelihood, percent, plain, shape, short, size
from convlens.reports.gallery import (
    errors_section,
    explanations_section,
    recognised_section,
    shown_errors,
    shown_recognised,
)
from convlens.reports.markup import Markup, element, markup, table
from convlens.reports.network import network_section


def test_text_is_escaped_once_and_markup_never() -> None:
    inner = element("i", "a<b & \"c\" 'd'")
    assert inner == "<i>a&lt;b &amp; &quot;c&quot; &#x27;d&#x27;</i>"
    assert element("p", [inner, None, 3]) == f"<p>{inner}3</p>"
    assert element("a", "x", href='"><script>', class_="k", aria_label=None) == (
        '<a href="&quot;&gt;&lt;script&gt;" class="k">x</a>'
    )
    assert element("meta", name="viewport") == '<meta name="viewport">'
    assert isinstance(markup("<"), Markup) and markup("<") == "&lt;"


def test_a_table_has_text_first_and_numbers_after() -> None:
    assert '<td>a</td><td class="number">1</td>' in table(["n", "v"], [["a", "1"]])


FIGURES = [
    (percent(0.9784), "97.8 %"),
    (percent(math.nan), "–"),
    (percent(None), "–"),
    (likelihood(0.0002), "< 0.1 %"),
    (likelihood(0.0005), "0.1 %"),
    (likelihood(0.9784), "97.8 %"),
    (likelihood(0.9996), "> 99.9 %"),
    (likelihood(1.0), "100.0 %"),
    (likelihood(0.0), "0.0 %"),
    (count(61706), "61,706"),
    (short(4_089_184_256), "4.09 G"),
    (short(840), "840"),
    (size(247_512), "248 kB"),
    (duration(8.21), "8.2 s"),
    (duration(80), "1 min 20 s"),
    (duration(3725), "1 h 02 min"),
    (shape([1, 64, 7, 7]), "64 × 7 × 7"),
    (plain(True), "yes"),
    (plain(0.00212132034), "0.00212132"),
    (plain([1, 2]), "1, 2"),
    (plain(None), "–"),
]


@pytest.mark.parametrize(("came", "expected"), FIGURES)
def test_numbers_are_written_for_readers(came: str, expected: str) -> None:
    assert came == expected


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 2.3, [0, 0.5, 1, 1.5, 2, 2.5]),
        (0.91, 1, [0.9, 0.92, 0.94, 0.96, 0.98, 1]),
        (1, 60, [0, 20, 40, 60]),
        (0, 0.003, [0, 0.001, 0.002, 0.003]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low: float, high: float, ticks: list[float]) -> None:
    found = round_ticks(low, high)
    assert found == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-9, 5e12])
def test_a_single_value_has_ticks_around_it(value: float) -> None:
    ticks = round_ticks(value, value)
    assert ticks[0] <= value <= ticks[-1] and len(ticks) > 1


def test_larger_values_stand_higher_and_ends_meet_the_frame() -> None:
    axes = Axes([0, 5, 10], [0.0, 0.5, 1.0], (0, 10))
    assert axes.x(0) == 46 and axes.x(10) == 346
    assert axes.y(0) == 194 and axes.y(1) == 12


def test_a_curve_goes_through_its_points_and_rings_the_best() -> None:
    history = [{"epoch": 1, "accuracy": 0.5, "val_accuracy": 0.2}, {"epoch": 2, "accuracy": 0.6, "val_accuracy": 1.0}]
    figure = draw(CHARTS[1], [*history, {"epoch": 3, "accuracy": 0.7, "val_accuracy": 0.6}])
    assert figure is not None
    lines = re.findall(r'<path d="M([^"]+)"', figure)
    assert len(lines) == 2 and lines[1].startswith("46,194L196,12L346,")
    assert "best: 100 % in epoch 2" in figure and figure.count('class="best"') == 1


def test_rows_that_are_not_numbers_are_left_out_of_curves() -> None:
    history = [
        {"epoch": 1, "loss": math.nan},
        {"epoch": 2, "loss": 1.0},
        {"loss": None},
        {"epoch": 4, "loss": math.inf},
    ]
    assert points(history, "loss") == [(2.0, 1.0)]
    section = training_section(history)
    assert section is not None and "nan" not in section and "inf" not in section


def test_without_history_there_is_no_section() -> None:
    assert training_section([]) is None
    assert training_section([{"epoch": 1, "loss": math.nan}]) is None


def test_a_gap_to_the_diagonal_is_called_too_sure_or_too_modest() -> None:
    bins = [{"low": 0.8, "high": 1.0, "confidence": 0.95, "accuracy": 0.7, "count": 10}]
    sure = calibration_section({"calibration_bins": bins, "expected_calibration_error": 0.25}, "")
    assert sure is not None and "Expected calibration error 25.0 %" in sure and "too sure" in sure
    modest = calibration_section({"calibration_bins": [{**bins[0], "accuracy": 1.0}]}, "")
    assert modest is not None and "too modest" in modest
    assert calibration_section({"calibration_bins": [{**bins[0], "count": 0}]}, "") is None


def test_cells_of_the_matrix_lead_only_to_pictures_that_are_shown() -> None:
    matrix, classes = [[8, 2, 1], [0, 9, 0], [3, 0, 0]], ["a", "b", "c"]
    assert worst_pairs(matrix) == [(2, 0), (0, 1), (0, 2)]
    section = confusion_section({"confusion": matrix}, classes, {(0, 1)}, "")
    assert section is not None
    assert 'href="#pair-0-1"' in section and 'href="#pair-2-0"' not in section
    assert "“c” taken for “a”, 3 of 3 pictures" in section
    assert "a taken for b: 2 of 11 (18.2 %)" in section


def test_a_class_without_pictures_and_a_matrix_without_errors_are_no_trouble() -> None:
    section = confusion_section({"confusion": [[3, 0], [0, 0]]}, ["a", "b"], (), "")
    assert section is not None and "No picture was taken for another class" in section
    assert confusion_section({"confusion": [[1]]}, ["a", "b"], (), "") is None


def test_only_pictures_of_the_run_are_put_into_the_page(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    picture = b"\x89PNG\r\n\x1a\n rest"
    (run / "in.png").write_bytes(picture)
    (tmp_path / "secret.png").write_bytes(picture)
    (run / "link.png").symlink_to(tmp_path / "secret.png")
    (run / "text.png").write_text("not a picture")
    assert str(data_address(run / "in.png", run)).startswith("data:image/png;base64,iVBOR")
    for name in ("../secret.png", "link.png", "text.png", "missing.png", "."):
        assert data_address(run / name, run) is None, name


def test_a_high_picture_is_cut_between_its_rows_and_nothing_is_lost(tmp_path: Path) -> None:
    lines = np.full(2300, False)
    for gap in range(0, 2300, 150):
        lines[gap : gap + 10] = True  # between the rows
        lines[gap + 100 : gap + 104] = True  # between a picture and its caption
    assert cuts(lines) == [755, 1505]
    assert cuts(np.full(2300, False)) == [] and cuts(np.full(700, True)) == []
    pixels = np.where(lines[:, None, None], 255, 90).astype(np.uint8).repeat(20, 1).repeat(3, 2)
    Image.fromarray(pixels).save(tmp_path / "high.png")
    addresses = data_pieces(tmp_path / "high.png", tmp_path)
    pieces = [np.asarray(Image.open(BytesIO(b64decode(one.split(",")[1]))).convert("RGB")) for one in addresses]
    assert len(pieces) == 3 and max(map(len, pieces)) <= 800
    np.testing.assert_array_equal(np.concatenate(pieces), pixels)
    assert data_pieces(tmp_path / "missing.png", tmp_path) == []


@pytest.mark.parametrize("kept", [12, 60])
def test_a_picture_that_is_cut_short_is_left_out_and_the_report_is_written(kept: int, tmp_path: Path) -> None:
    Image.fromarray(np.full((900, 20, 3), 90, np.uint8)).save(tmp_path / "high.png")
    (tmp_path / "high.png").write_bytes((tmp_path / "high.png").read_bytes()[:kept])
    assert data_pieces(tmp_path / "high.png", tmp_path) == []


def test_errors_without_thumbnail_or_with_an_unknown_class_are_handled(tmp_path: Path) -> None:
    errors = [
        {"key": "x/1.png", "truth": "a", "predicted": "b", "confidence": 0.9, "thumbnail": None},
        {"key": "x/2.png", "truth": "gone", "predicted": "b", "confidence": 0.8, "thumbnail": None},
    ]
    groups = shown_errors({"errors": errors}, ["a", "b"])
    assert {pair: len(rows) for pair, rows in groups.items()} == {(0, 1): 1}
    section = errors_section(groups, [[3, 2], [0, 4]], ["a", "b"], tmp_path, prefix="")
    assert section is not None and "no thumbnail" in section and 'id="pair-0-1"' in section
    assert "2 pictures were taken for another class; 1 are shown" in section and "1 of 2" in section


def test_every_confusion_has_its_surest_error_on_the_page() -> None:
    """900 sure errors of one kind do not hide one unsure error of another."""
    errors = [{"key": f"{n}", "truth": "a", "predicted": "b", "confidence": 0.9 + n / 1e5} for n in range(900)]
    errors += [{"key": "rare", "truth": "b", "predicted": "a", "confidence": 0.5}]
    groups = shown_errors({"errors": errors}, ["a", "b"])
    assert [len(rows) for rows in groups.values()] == [359, 1]
    assert groups[(0, 1)][0]["key"] == "899" and groups[(1, 0)][0]["key"] == "rare"


def test_the_confusions_with_most_pictures_are_shown_where_there_is_no_room_for_all() -> None:
    classes = [str(n) for n in range(30)]
    pairs = [(t, p) for t in classes for p in classes if t != p]
    errors = [{"key": "rare", "truth": t, "predicted": p, "confidence": 0.9} for t, p in pairs]
    errors += [{"key": "often", "truth": "29", "predicted": p, "confidence": 0.1} for p in classes[:29]]
    groups = shown_errors({"errors": errors}, classes)
    assert len(groups) == 360 and {(29, p) for p in range(29)} <= set(groups)


def test_recognised_pictures_stand_under_their_class_with_how_many_there_are(tmp_path: Path) -> None:
    rows = [{"key": f"{name}/{n}.png", "truth": name, "predicted": name, "confidence": n / 9, "thumbnail": None}
            for name in "ba" for n in range(6)]  # fmt: skip
    groups = shown_recognised({"recognised": rows}, ["a", "b"])
    assert [(pair, [row["confidence"] for row in rows][:2]) for pair, rows in groups.items()] == [
        ((0, 0), [5 / 9, 4 / 9]),
        ((1, 1), [5 / 9, 4 / 9]),
    ]
    section = recognised_section(groups, [[125, 0], [1, 6]], ["a", "b"], tmp_path, prefix="e1-")
    assert section is not None and 'id="e1-pair-0-0"' in section and 'title="a/5.png"' in section
    assert section.count(" of ") == 1 and "6 of 125 pictures" in section and "→" not in section
    assert shown_recognised({"recognised": rows}, [*"ab", *map(str, range(99))]) == {}


def test_explanations_have_badges_and_reasons_and_maps_come_first(whole: Any) -> None:
    rows = [{**row, "method": "grad_cam", "reason": "because"} for row in whole.explanations]
    section = explanations_section([rows[2], *rows[:2]], whole.path)
    assert section is not None
    assert section.index("sanity check passed") < section.index("sanity check failed")
    assert section.count("Sanity check: because.") == 3 and "<b>Grad-CAM</b>" in section
    assert explanations_section([{**rows[0], "file": whole.path / "missing.png"}], whole.path) is None


def test_unknown_operations_are_said_to_be_unknown(whole: Any) -> None:
    section = network_section({**whole.measure, "complete": False})
    assert section is not None
    assert "at least 417 k multiply-accumulate" in section and "unknown: aten.odd" in section
    assert '<td class="number">unknown<span' in section
    long = network_section({**whole.measure, "layers": whole.measure["layers"] * 5})
    assert long is not None and "<summary>all 45 layers</summary>" in long


def test_findings_are_sorted_by_severity_and_a_clean_scan_says_so(whole: Any) -> None:
    section = data_section(whole.manifest["data"])
    assert section is not None
    assert section.index(">error<") < section.index(">warning<") < section.index(">note<")
    clean = data_section({"num_pictures": 3, "scan": {"num_unreadable": 0, "findings": []}})
    assert clean is not None and "nothing to complain about" in clean


def test_empty_values_are_left_out_and_records_take_a_line_each() -> None:
    text = values_table({"a_b": 1, "none": None, "empty": [], "many": [{"x": 1, "y_z": 2.5}, {"x": 2}], "zero": 0})
    assert "a b" in text and "none" not in text and "empty" not in text and "zero" in text
    assert "<div>x 1, y z 2.5</div><div>x 2</div>" in text


def test_every_planning_of_a_budget_is_counted_not_listed():
    segments = [{"step": step, "progress": 0.1, "total_steps": 9} for step in range(4)]
    shown = str(recipe_section(None, {"batch": 64, "segments": segments}, None))
    assert "planned again" in shown and "3 times" in shown and "progress" not in shown


def test_a_class_without_pictures_is_not_the_weakest():
    scores = [
        {"name": name, "precision": value, "recall": value, "f1": value, "support": support}
        for name, value, support in (("ring", 0.0, 0), ("star", 0.5, 4), ("moon", 0.75, 8))
    ]
    found = str(classes_section({"per_class": scores}, "test-"))
    assert "Weakest: “star”, F1 50.0 % on 4 pictures." in found
    ring = found[found.index("ring") : found.index("star</td>")]
    assert ring.count("–") == 2  # recall and F1; nothing was taken for a ring, which precision says
