"""Answers that come late, in a real browser: of another run or class, or of what was cleared or let go meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lens_page import WIDE, still, until, use_sample
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser

CAMERA = """
  navigator.mediaDevices.getUserMedia = () => new Promise((resolve) => { window.giveCamera = () => {
    window.given = document.createElement("canvas").captureStream();
    resolve(window.given);
  }; });
"""


@pytest.fixture
def page(chromium: Any, lens: str) -> Iterator[Any]:
    with opened(chromium, lens, viewport=WIDE) as page:
        page.locator(".sample").first.wait_for()
        yield page


class Held:
    """Calls that match, taken to the server at once and answered when the test says so."""

    def __init__(self, page: Any, path: str, matches: Any) -> None:
        self.held: list[tuple[Any, Any]] = []
        self.matches = matches
        page.route(path, self._hold)
        self._page = page

    def _hold(self, route: Any) -> None:
        if self.matches(route.request):
            self.held.append((route, route.fetch()))
        else:
            route.continue_()

    def wait(self, number: int = 1) -> None:
        for _ in range(400):
            if len(self.held) >= number:
                return
            self._page.wait_for_timeout(50)
        raise AssertionError("the call never came")

    def let_go(self, *, change: Any = lambda body: body) -> None:
        self.matches = lambda request: False
        for route, answer in self.held:
            route.fulfill(status=200, json=change(answer.json()))
        self.held.clear()
        self._page.wait_for_timeout(400)


def checks(of: dict[str, Any]) -> Any:
    def asked(request: Any) -> bool:
        values = request.post_data_json or {}
        return bool(values.get("sanity")) and all(values[name] == value for name, value in of.items())

    return asked


def spoilt(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "sanity": {"badge": "late", "passed": None, "reason": "too late", "num_pictures": 0, "rows": []}}


def test_a_late_badge_of_another_run_does_not_overwrite_the_right_one(page):
    first, second = page.locator("run-bar select option").all_inner_texts()
    held = Held(page, "**/v1/explain", checks({"run": first}))
    use_sample(page, 1)
    held.wait()
    page.locator("run-bar select").select_option(second)
    until(page, "/sanity checks/.test(document.querySelector('.check')?.innerText ?? '')", seconds=60)
    held.let_go(change=spoilt)
    assert "late" not in page.locator(".check").inner_text()


def test_a_late_badge_of_another_class_does_not_overwrite_the_right_one(page):
    held = Held(page, "**/v1/explain", checks({"target": "3"}))
    use_sample(page, 1)
    page.locator("map-card .map").wait_for()
    page.get_by_label("Class to explain").select_option("3")
    held.wait()
    page.get_by_label("Class to explain").select_option("5")
    until(page, "/sanity checks/.test(document.querySelector('.check')?.innerText ?? '')", seconds=60)
    held.let_go(change=spoilt)
    assert "late" not in page.locator(".check").inner_text()


def test_a_cleared_drawing_stays_cleared_when_its_answer_comes(page):
    held = Held(page, "**/v1/predict", lambda request: True)
    box = page.locator("digit-pad canvas").bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 200, steps=4)
    page.mouse.up()
    held.wait()
    page.get_by_role("button", name="Clear").click()
    page.wait_for_timeout(300)
    held.let_go()
    still(page)
    assert page.get_by_text("Nothing asked yet").is_visible()


def test_the_sample_chosen_last_is_asked_of_the_run_chosen_last(page):
    second = page.locator("run-bar select option").nth(1).inner_text()
    use_sample(page, 1)
    still(page)
    held = Held(page, "**/v1/predict", lambda request: True)
    page.locator(".sample").nth(4).click()
    held.wait()
    page.locator("run-bar select").select_option(second)
    until(page, "async (name) => (await import('/page/desk.js')).desk.run.name === name", second)
    page.wait_for_timeout(200)
    held.let_go()
    still(page)
    name = page.evaluate("async () => (await import('/page/desk.js')).desk.picture.name")
    assert page.locator(".caption").inner_text().startswith("A picture of the run, 4")
    assert "/v1/thumbnails/" in name


def test_a_camera_that_comes_after_one_has_left_is_let_go(chromium, lens):
    with opened(chromium, lens, viewport=WIDE, first=CAMERA) as page:
        page.locator(".sample").first.wait_for()
        page.get_by_role("radio", name="Camera").click()
        until(page, "Boolean(window.giveCamera)")
        page.get_by_role("radio", name="Draw").click()
        page.evaluate("window.giveCamera()")
        until(page, "window.given.getTracks().every((one) => one.readyState === 'ended')", seconds=5)
