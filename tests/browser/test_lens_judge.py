"""Judge in a real browser: cells that open their pictures, mistakes that open in Try, and a picture under changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lens_page import WIDE, show, still, until, use_sample
from tests.browser.lens_server import serving
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium: Any, lens: str) -> Iterator[Any]:
    with opened(chromium, f"{lens}#judge", viewport=WIDE) as page:
        page.locator("confusion-matrix table").wait_for()
        yield page


@pytest.fixture
def found(report: Path) -> dict[str, Any]:
    return json.loads((report.parent / "evaluation" / "digits.json").read_text())


def test_the_figures_are_those_of_the_evaluation(page, found):
    tiles = page.locator(".tiles").inner_text()
    assert f"{found['accuracy'] * 100:.1f} %" in tiles
    assert f"{found['expected_calibration_error'] * 100:.1f} %" in tiles
    cells = page.locator("confusion-matrix .cell").all_inner_texts()
    counts = [n for row in found["confusion"] for n in row]
    assert [0 if text == "·" else int(text) for text in cells] == counts
    assert page.locator(".classes tbody tr").count() == len(found["per_class"])
    assert page.locator(".charts line-chart").count() == len(found["robustness"])


def test_a_cell_opens_the_pictures_that_it_counts(page, tmp_path):
    cell = page.locator(".cell.wrong").first
    counted = int(cell.inner_text())
    cell.click()
    still(page)
    page.screenshot(path=tmp_path / "cell.png")
    assert page.locator(".opened .picture").count() == counted
    assert "taken for" in page.locator(".opened h3").inner_text()


def test_arrow_keys_move_among_the_cells_and_enter_opens_one(page):
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("[...document.querySelectorAll('.cell')].indexOf(document.activeElement)") == 11
    page.keyboard.press("Enter")
    assert "1, recognised" in page.locator(".opened h3").inner_text()
    assert page.locator(".opened .picture").count() >= 1


def test_a_mistake_opens_in_try_with_its_true_class(page):
    mistake = page.locator("section:has-text('Surest mistakes') .picture").first
    truth = mistake.get_attribute("aria-label").partition(",")[0]
    mistake.focus()
    page.keyboard.press("Enter")
    page.locator("try-view").wait_for()
    still(page)
    assert page.locator(".verdict .badge").inner_text() in ("right", f"it is {truth}")
    assert truth in page.locator(".caption").inner_text()


def test_the_headings_sort_the_classes(page):
    recall = page.locator(".classes [data-by=recall]")
    recall.get_by_role("button").click()
    column = ".classes tbody tr td:nth-child(3)"
    values = [float(text.split()[0]) for text in page.locator(column).all_inner_texts()]
    assert values == sorted(values, reverse=True) and recall.get_attribute("aria-sort") == "descending"
    recall.get_by_role("button").click()
    assert [float(text.split()[0]) for text in page.locator(column).all_inner_texts()] == sorted(values)


def test_a_curve_is_read_by_arrow_keys(page):
    plot = page.locator("line-chart .plot").first
    plot.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    told = page.locator("line-chart [role=status]").first.inner_text()
    assert "%" in told and told in page.locator(".tip").inner_text()


def test_the_reliability_diagram_says_its_bars_in_words(page, found):
    words = page.locator(".reliability svg").get_attribute("aria-label")
    filled = [one for one in found["calibration_bins"] if one["count"]]
    assert words.count("said") == len(filled)


def test_the_prediction_follows_the_sliders_and_comes_back(page, tmp_path):
    use_sample(page, 7)
    still(page)
    bars, seen = page.locator("shaken-picture .bars"), page.locator(".changed")
    before, picture = bars.inner_text(), seen.get_attribute("src")
    page.get_by_label("Turn").focus()
    page.keyboard.press("End")
    until(page, "before => document.querySelector('shaken-picture .bars').innerText !== before", before)
    still(page)
    page.locator("shaken-picture").screenshot(path=tmp_path / "shaken.png")
    assert seen.get_attribute("src") != picture
    page.get_by_role("button", name="Back to the picture as it is").click()
    until(page, "before => document.querySelector('shaken-picture .bars').innerText === before", before)
    assert seen.get_attribute("src") == picture


def test_a_run_without_an_evaluation_says_how_to_get_one(chromium, report):
    plain = report.parent.parent / "plain"
    with serving(plain) as address, opened(chromium, address, viewport=WIDE) as page:
        show(page, "judge")
        page.locator(".found .state").wait_for()
        assert "convlens evaluate" in page.locator(".found .state").inner_text()
        assert page.locator("shaken-picture").is_visible()
