"""Judge in a real browser: cells that open their pictures, mistakes that open in Try, and a picture under changes."""

from __future__ import annotations

import json
import shutil
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
    assert "thumbnail" in page.locator("section:has-text('Surest mistakes') .lead").inner_text()
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


@pytest.fixture
def fresh(report: Path, tmp_path: Path) -> Path:
    """A run that nobody evaluated yet, and that has no pictures."""
    run = Path(shutil.copytree(report.parent.parent / "plain", tmp_path / "fresh"))
    for name in ("evaluation", "thumbnails"):
        shutil.rmtree(run / name, ignore_errors=True)
    return run


def test_a_run_is_evaluated_at_the_press_of_a_button(chromium, fresh, tmp_path):
    """By keys: how far it is stands there, then what it found; and there are pictures to try."""
    with serving(fresh) as address, opened(chromium, f"{address}#judge", viewport=WIDE) as page:
        button = page.get_by_role("button", name="Evaluate it now")
        button.wait_for()
        assert page.locator(".sample").count() == 0
        page.screenshot(path=tmp_path / "idle.png")
        button.focus()
        page.keyboard.press("Enter")
        page.get_by_role("progressbar", name="How far the evaluation is").wait_for()
        assert page.evaluate("document.activeElement.matches('run-evaluation .state')")
        page.screenshot(path=tmp_path / "progress.png")
        page.locator("confusion-matrix table").wait_for(timeout=60_000)
        still(page)
        page.screenshot(path=tmp_path / "found.png")
        assert page.evaluate("document.activeElement.matches('.found')")
        found = json.loads((fresh / "evaluation" / "digits.json").read_text())
        assert f"{found['accuracy'] * 100:.1f} %" in page.locator(".tiles").inner_text()
        use_sample(page)
        assert page.get_by_role("button", name="Measure it").is_visible()  # on changed pictures


def test_the_pictures_that_an_evaluation_keeps_are_there_in_the_views_seen_before(chromium, fresh):
    with serving(fresh) as address, opened(chromium, address, viewport=WIDE) as page:
        page.locator("try-view").wait_for()
        show(page, "judge")
        page.get_by_role("button", name="Evaluate it now").click()
        page.locator("confusion-matrix table").wait_for(timeout=60_000)
        show(page, "try")
        page.locator(".sample:visible").first.wait_for()


def test_the_picture_that_is_shaken_is_the_one_chosen_meanwhile_in_another_view(page):
    was = page.locator("shaken-picture .was")
    use_sample(page, 7)
    until(page, "() => document.querySelector('shaken-picture .was').textContent !== ''")
    before = was.inner_text()
    show(page, "try")
    use_sample(page, 2)
    chosen = page.locator(".sample[aria-pressed='true']:visible").get_attribute("data-name")
    show(page, "judge")
    until(page, "before => document.querySelector('shaken-picture .was').textContent !== before", before)
    assert page.locator(".sample[aria-pressed='true']:visible").get_attribute("data-name") == chosen


def test_an_evaluation_that_cannot_be_followed_for_a_moment_is_followed_again(chromium, fresh):
    broken = "Failed to load resource"
    with serving(fresh) as address, opened(chromium, f"{address}#judge", forgiven=broken, viewport=WIDE) as page:
        button = page.get_by_role("button", name="Evaluate it now")
        button.wait_for()
        page.route("**/v1/evaluation?*", lambda route: route.abort())
        button.click()
        again = page.get_by_role("alert").get_by_role("button", name="Try again")
        again.wait_for()
        page.unroute("**/v1/evaluation?*")
        again.click()
        page.locator("confusion-matrix table").wait_for(timeout=60_000)


def test_why_an_evaluation_failed_stands_there_and_it_can_be_tried_again(chromium, fresh):
    splits = (fresh / "splits.csv").read_bytes()
    (fresh / "splits.csv").write_text("no table")
    with serving(fresh) as address, opened(chromium, f"{address}#judge", viewport=WIDE) as page:
        page.get_by_role("button", name="Evaluate it now").click()
        page.get_by_role("alert").get_by_text("splits.csv").wait_for()
        (fresh / "splits.csv").write_bytes(splits)
        page.get_by_role("alert").get_by_role("button", name="Try again").click()
        page.locator("confusion-matrix table").wait_for(timeout=60_000)


def test_a_run_without_an_evaluation_says_how_to_get_one(chromium, report):
    plain = report.parent.parent / "plain"
    with serving(plain) as address, opened(chromium, address, viewport=WIDE) as page:
        show(page, "judge")
        page.locator(".found .state").wait_for()
        assert "convlens evaluate" in page.locator(".found .state").inner_text()
        assert page.locator("shaken-picture").is_visible()
