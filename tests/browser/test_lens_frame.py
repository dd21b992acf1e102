"""The page in a real browser: every view at every size, light and dark, by keys alone, with a token, cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.lens_page import PHONE, TABLET, VIEWS, WIDE, faint, overhang, show, still, until, use_sample, walked
from tests.browser.lens_server import serving
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium: Any, lens: str) -> Iterator[Any]:
    with opened(chromium, lens, viewport=WIDE) as page:
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE], ids=lambda size: str(size["width"]))
def test_every_view_fits_and_can_be_read(chromium, lens, tmp_path, size, scheme):
    with opened(chromium, lens, viewport=size, color_scheme=scheme, reduced_motion="reduce") as page:
        use_sample(page, 3)
        for view in VIEWS:
            show(page, view)
            still(page)
            page.screenshot(path=tmp_path / f"{view}.png", full_page=True)
            assert overhang(page) == 0, view
            assert faint(page) == [], view


@pytest.mark.parametrize("view", VIEWS)
def test_the_keyboard_reaches_everything_and_shows_where_it_is(page, view):
    use_sample(page)
    show(page, view)
    still(page)
    reached, wanted, unseen = walked(page)
    assert unseen == []
    assert reached >= wanted > 7


@pytest.mark.parametrize("view", VIEWS)
def test_everything_that_can_be_used_has_a_name(page, view):
    use_sample(page)
    show(page, view)
    still(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, [role=img]")].filter((one) =>
          one.checkVisibility() && !one.getAttribute("aria-label") && !one.textContent.trim() && !one.labels?.length)
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("[...document.images].filter((one) => !one.hasAttribute('alt')).length") == 0


LATE = """
const before = window.fetch;
window.fetch = async (...asked) => {
  await new Promise((done) => setTimeout(done, WAIT));
  return before(...asked);
};
"""


@pytest.mark.parametrize("wait", [0, 700], ids=["at once", "late"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_jumps_while_answers_come(chromium, lens, view, size, wait):
    """Cumulative layout shift, after clicks too, below the 0.1 that web.dev calls good."""
    with opened(chromium, f"{lens}#{view}", first=LATE.replace("WAIT", str(wait)), viewport=size) as page:
        page.evaluate(
            """() => {
              window.shifted = 0;
              const add = (list) => list.getEntries().forEach((entry) => { window.shifted += entry.value; });
              new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
            }"""
        )
        page.locator(f"[data-view='{view}']").wait_for()
        if view != "watch":
            use_sample(page, 1)
        still(page)
        page.wait_for_timeout(500)
        assert page.evaluate("window.shifted") < 0.1


def test_the_address_names_the_view_and_going_back_returns(page):
    for view in VIEWS:
        page.locator(f"nav.views a[href='#{view}']").click()
        page.locator(f"[data-view='{view}']").wait_for()
        assert page.locator("nav.views a[aria-current='page']").get_attribute("href") == f"#{view}"
    page.go_back()
    page.locator("[data-view='watch']").wait_for()
    assert page.title().startswith("Watch")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"


def test_a_unit_that_comes_late_does_not_call_back_whoever_has_gone_on(page):
    units, views = [], []
    page.route("**/v1/unit", lambda route: units.append(route))
    page.locator("nav.views a[href='#inside']").click()
    while not units:
        page.wait_for_timeout(20)
    page.route("**/page/judge.js", lambda route: views.append(route))
    page.locator("nav.views a[href='#judge']").click()
    while not views:
        page.wait_for_timeout(20)
    page.unroute("**/v1/unit")
    for route in units:
        route.continue_()
    until(page, "document.querySelector('inside-view .portrait h2').textContent !== ''")
    for route in views:
        route.continue_()
    page.locator("[data-view='judge']").wait_for()
    assert page.url.endswith("#judge")


def test_the_first_tab_skips_to_the_view(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"


def test_light_and_dark_can_be_chosen_and_stay(chromium, lens):
    with opened(chromium, lens, viewport=WIDE, color_scheme="light") as page:
        ground = "getComputedStyle(document.body).backgroundColor"
        before = page.evaluate(ground)
        while "dark" not in page.locator(".look").get_attribute("aria-label"):
            page.locator(".look").click()
        assert page.evaluate(ground) != before
        page.reload()
        assert page.evaluate(ground) != before


def test_motion_stops_for_those_who_ask_for_less(chromium, lens):
    with opened(chromium, lens, viewport=WIDE, reduced_motion="reduce") as page:
        page.locator(".view").wait_for()
        assert float(page.evaluate("getComputedStyle(document.querySelector('.view')).animationDuration")[:-1]) <= 0.001


def test_a_token_of_the_address_is_taken_once_and_goes_with_every_call(chromium, report):
    with (
        serving(report.parent, token="open-sesame") as address,
        opened(chromium, f"{address}#token=open-sesame", viewport=WIDE) as page,
    ):
        use_sample(page)
        assert "sesame" not in page.url
        page.locator("map-card .map").wait_for()
        still(page)
        assert (
            page.evaluate("[...document.images].filter((one) => one.src && one.complete && !one.naturalWidth).length")
            == 0
        )


@pytest.mark.parametrize("quoted", [True, False])
def test_a_token_of_any_signs_opens_the_page_quoted_or_not(chromium, report, quoted):
    token = "a+b/c=d&e%f#g"
    with (
        serving(report.parent, token=token) as address,
        opened(chromium, f"{address}#token={quote(token, safe='') if quoted else token}", viewport=WIDE) as page,
    ):
        page.locator(".sample").first.wait_for()
        assert page.url == f"{address}"


def test_a_token_that_no_header_can_carry_is_asked_for_again(chromium, report):
    with (
        serving(report.parent, token="open-sesame") as address,
        opened(chromium, address, viewport=WIDE, forgiven="401") as page,
    ):
        for wrong in ("sésame", "sesam–ü", "open sesame"):
            page.locator("dialog input").fill(wrong)
            page.keyboard.press("Enter")
            page.locator("dialog", has_text="letters without accents").wait_for()
        page.locator("dialog input").fill("open-sesame")
        page.keyboard.press("Enter")
        page.locator("try-view").wait_for()


def test_without_its_token_the_page_asks_for_it(chromium, report):
    with (
        serving(report.parent, token="open-sesame") as address,
        opened(chromium, address, viewport=WIDE, forgiven="401") as page,
    ):
        page.locator("dialog input").fill("open-sesame")
        page.keyboard.press("Enter")
        page.locator("try-view").wait_for()


def test_a_server_that_has_gone_is_said_with_what_to_do(chromium, report, tmp_path: Path):
    with serving(report.parent) as address:
        own = chromium.new_context(viewport=WIDE)
        page = own.new_page()
        page.goto(address)
        page.locator("try-view").wait_for()
    page.locator(".sample").first.click()
    notice = page.locator(".notice")
    notice.wait_for()
    assert "does not answer" in notice.inner_text() and "convlens serve" in notice.inner_text()
    page.screenshot(path=tmp_path / "gone.png")
    own.close()


def test_a_view_that_cannot_come_says_that_the_server_does_not_answer(chromium, lens):
    with opened(chromium, lens, viewport=WIDE, forgiven="ERR_FAILED") as page:
        page.locator(".sample:visible").first.wait_for()
        page.route("**/page/judge.js", lambda route: route.abort())
        page.evaluate("location.hash = '#judge'")
        assert "convlens serve" in page.locator("main [role=alert]").inner_text()
