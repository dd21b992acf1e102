"""See inside, in a real browser: the last choice counts, and what answers an earlier one comes too late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lens_page import WIDE, show, still, until, use_sample
from tests.browser.opened_page import opened
from tests.browser.test_lens_late import Held
from tests.browser.test_lens_turns import choose_run, of_run, refuse

pytestmark = pytest.mark.browser

SLOW = """
  const decode = HTMLImageElement.prototype.decode;
  window.decoded = [];
  HTMLImageElement.prototype.decode = function () {
    return decode.call(this).then(() => window.slow && new Promise((resolve) => { window.decoded.push(resolve); }));
  };
"""
MAPS = """() => [...document.querySelectorAll(".stage-card canvas, .layer-row canvas")].map((one) => one.toDataURL())"""


@pytest.fixture
def inside(chromium: Any, lens: str) -> Iterator[Any]:
    """What is said of answers of 400 and more is forgiven: some are made here."""
    with opened(chromium, lens, forgiven="Failed to load resource", first=SLOW, viewport=WIDE) as page:
        page.locator(".sample").first.wait_for()
        use_sample(page, 1)
        show(page, "inside")
        page.locator(".unit-value").filter(has_text=".").wait_for()
        still(page)
        yield page


def map_of(channel: int) -> Any:
    def asked(request: Any) -> bool:
        values = request.post_data_json or {}
        return bool(values.get("values")) and values["first"] == channel

    return asked


def tile(page: Any, number: int) -> tuple[Any, int]:
    one = page.locator(".map-tile").nth(number)
    return one, int(one.get_attribute("data-channel"))


def test_of_two_channels_the_one_clicked_last_is_opened(inside):
    (one, first), (other, second) = tile(inside, 1), tile(inside, 2)
    held = Held(inside, "**/v1/features", map_of(first))
    one.click()
    held.wait()
    other.click()
    until(inside, f"/channel {second},/.test(document.querySelector('.unit-title').innerText)")
    held.let_go()
    still(inside)
    assert f"channel {second}," in inside.locator(".unit-title").inner_text()


def test_the_map_of_a_unit_is_that_of_the_picture_chosen_last(inside):
    one, channel = tile(inside, 1)
    held = Held(inside, "**/v1/features", map_of(channel))
    one.click()
    held.wait()
    held.matches = lambda request: False
    use_sample(inside, 5)
    still(inside)
    held.let_go()
    inside.locator(f".map-tile[data-channel='{channel}']").click()
    until(inside, f"/channel {channel},/.test(document.querySelector('.unit-title').innerText)")
    still(inside)
    shown = inside.locator(".own-map figcaption").inner_text().rpartition(": ")[2]
    value = inside.locator(".unit-value").inner_text()
    number = [float(text.replace("−", "-").replace(",", "")) for text in (shown, value)]
    assert number[0] == pytest.approx(number[1], rel=1e-3)


def test_a_layer_that_was_clicked_stays_open_when_a_unit_of_another_comes(inside):
    held = Held(inside, "**/v1/unit", lambda request: True)
    tile(inside, 2)[0].click()
    held.wait()
    held.matches = lambda request: False
    name = inside.locator(".stage-card[data-kind=stage]:not([aria-current])").first.get_attribute("data-stage")
    stage = inside.locator(f".stage-card[data-stage='{name}']")
    sheets = Held(inside, "**/v1/features", lambda request: '"strongest"' in (request.post_data or ""))
    stage.click()
    sheets.wait()
    held.let_go()
    assert stage.get_attribute("aria-current") == "true"
    sheets.let_go()
    still(inside)
    assert inside.locator(".unit-title").inner_text().startswith(name)


def test_of_two_layers_clicked_quickly_the_strongest_channel_of_the_last_is_opened(inside):
    one, other = (inside.locator(".stage-card[data-kind=stage]").nth(at) for at in (1, 2))
    held = Held(inside, "**/v1/features", lambda request: '"order":"strongest"' in (request.post_data or ""))
    one.click()
    held.wait()
    held.matches = lambda request: False
    other.click()
    still(inside)
    first = int(inside.locator(".map-tile").first.get_attribute("data-channel"))
    assert f"channel {first}" in inside.locator(".unit-title").inner_text()


def test_nothing_of_another_network_stays_where_that_of_the_run_in_use_does_not_come(inside):
    second = inside.locator("run-bar select option").nth(1).inner_text()
    refuse(inside, "**/v1/network?*", of_run(second))
    choose_run(inside, second)
    inside.locator("inside-view [role=alert]").wait_for()
    still(inside)
    assert not inside.locator(".inside-body").is_visible()


def test_the_portrait_of_a_channel_goes_with_its_unit(inside):
    refuse(inside, "**/v1/unit")
    use_sample(inside, 3)
    inside.locator("unit-panel [role=alert]").wait_for()
    assert not inside.locator(".portrait").first.is_visible()


def test_the_picture_stays_open_when_the_channels_of_a_stage_clicked_before_come(inside):
    stage = inside.locator(".stage-card[data-kind=stage]").nth(2)
    sheets = Held(inside, "**/v1/features", lambda request: '"strongest"' in (request.post_data or ""))
    stage.click()
    sheets.wait()
    inside.locator(".stage-card[data-kind=picture]").click()
    until(inside, "() => document.querySelector('.unit-title').innerText.startsWith('picture')")
    sheets.let_go()
    still(inside)
    assert inside.locator(".unit-title").inner_text().startswith("picture")


def test_maps_that_are_drawn_late_do_not_cover_those_of_the_picture_chosen_last(inside):
    inside.evaluate("window.slow = true")
    use_sample(inside, 3)
    until(inside, "window.decoded.length >= 2")
    still(inside)
    inside.evaluate("window.slow = false")
    use_sample(inside, 5)
    still(inside)
    before = inside.evaluate(MAPS)
    inside.evaluate("window.decoded.forEach((resolve) => resolve())")
    inside.wait_for_timeout(300)
    assert inside.evaluate(MAPS) == before


def test_no_map_of_the_picture_before_stays_in_the_strip_where_those_of_the_next_do_not_come(inside):
    refuse(inside, "**/v1/features")
    use_sample(inside, 3)
    inside.locator(".notice").first.wait_for()
    assert inside.locator(".stage-card canvas:visible").count() == 0
    inside.unroute("**/v1/features")
    use_sample(inside, 4)
    still(inside)
    assert inside.locator(".stage-card canvas:visible").count() > 4
