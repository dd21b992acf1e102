"""Compare in a real browser: two runs answer on one picture, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lens_page import PHONE, WIDE, show, still, until, use_sample
from tests.browser.lens_server import serving
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium: Any, lens: str) -> Iterator[Any]:
    with opened(chromium, f"{lens}#compare", viewport=WIDE) as page:
        page.locator(".side").nth(1).wait_for()
        yield page


def test_both_runs_say_what_they_see_and_where(page, tmp_path):
    use_sample(page, 8)
    page.locator(".difference canvas").wait_for()
    still(page)
    page.screenshot(path=tmp_path / "compared.png", full_page=True)
    for side in range(2):
        one = page.locator(".side").nth(side)
        assert one.locator(".bars li").count() == 10
        assert one.locator(".map").is_visible()
        assert "%" in one.locator(".said-best").inner_text()
    labels = [text.split()[0] for text in page.locator(".said-best").all_inner_texts()]
    title = page.locator(".difference h2").inner_text()
    assert title == f"Both say {labels[0]}" if labels[0] == labels[1] else all(label in title for label in labels)


def test_the_difference_of_the_maps_is_drawn(page):
    use_sample(page, 4)
    page.locator(".difference canvas").wait_for()
    inked = page.evaluate(
        """() => {
          const canvas = document.querySelector(".difference canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.width, canvas.height, data.filter((one, at) => at % 4 === 3 && one > 20).length];
        }"""
    )
    assert inked[0] == inked[1] >= 7 and inked[2] > 0


def test_a_run_compared_with_itself_differs_nowhere(page):
    use_sample(page, 1)
    page.get_by_role("combobox", name="Second run").select_option(index=0)
    page.get_by_text("They agree on every class.").wait_for()
    still(page)
    alpha = page.evaluate(
        """() => {
          const canvas = document.querySelector(".difference canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return Math.max(...data.filter((_, at) => at % 4 === 3));
        }"""
    )
    assert alpha == 0


def test_another_method_gives_both_another_map(page):
    use_sample(page, 2)
    page.locator(".difference canvas").wait_for()
    still(page)
    before = [one.get_attribute("src") for one in page.locator(".side .map").all()]
    page.locator(".tools").get_by_label("Method").select_option("saliency")
    until(
        page,
        "before => [...document.querySelectorAll('.side .map')].every((one, at) => one.src !== before[at])",
        before,
    )


def test_one_run_alone_says_how_two_are_served(chromium, report):
    with serving(report.parent) as address, opened(chromium, address, viewport=WIDE) as page:
        show(page, "compare")
        assert "convlens serve" in page.locator("compare-view .state").inner_text()


def test_on_a_phone_nothing_sticks_out_of_its_card_or_lies_on_its_neighbour(chromium, lens):
    with opened(chromium, f"{lens}#compare", viewport=PHONE) as page:
        page.locator(".side").nth(1).wait_for()
        use_sample(page, 8)
        page.locator(".difference canvas").wait_for()
        still(page)
        outside = page.locator(".side").evaluate_all(
            """sides => sides.flatMap(side => [...side.querySelectorAll("select, .number, .map, img")].filter(one =>
              one.getBoundingClientRect().right > side.getBoundingClientRect().right).map(one => one.className))"""
        )
        assert outside == []
        choice, picture = (page.locator(f"run-bar {one}").bounding_box() for one in ("select", ".current"))
        assert choice["x"] + choice["width"] <= picture["x"]
