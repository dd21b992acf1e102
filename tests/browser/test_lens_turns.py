"""The last choice counts, in a real browser: whatever answers an earlier one, or fails it, comes too late."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.browser.lens_page import WIDE, show, still, until, use_sample
from tests.browser.opened_page import opened
from tests.browser.test_lens_late import Held

pytestmark = pytest.mark.browser

BUSY = {"error": {"what": "The server is busy.", "remedy": "Try again."}}
IN_USE = "async (name) => (await import('/page/desk.js')).desk.run.name === name"


@pytest.fixture
def page(chromium: Any, lens: str) -> Iterator[Any]:
    """What is said of answers of 400 and more is forgiven: some are made here."""
    with opened(chromium, lens, forgiven="Failed to load resource", viewport=WIDE) as page:
        page.locator(".sample").first.wait_for()
        still(page)
        yield page


@pytest.fixture
def runs(page: Any) -> tuple[str, str]:
    first, second = page.locator("run-bar select option").all_inner_texts()
    return first, second


def choose_run(page: Any, name: str, *, until_used: bool = True) -> None:
    page.locator("run-bar select").select_option(name)
    if until_used:
        until(page, IN_USE, name)


def refuse(page: Any, path: str, matches: Any = lambda request: True) -> None:
    def answer(route: Any) -> None:
        route.fulfill(status=503, json=BUSY) if matches(route.request) else route.fallback()

    page.route(path, answer)


def of_run(name: str) -> Any:
    return lambda request: f"run={name}" in request.url


def test_judge_shows_the_evaluation_of_the_run_chosen_last(page, runs):
    first, second = runs
    choose_run(page, second)
    show(page, "judge")
    page.locator(".found .state").wait_for()
    still(page)
    before = page.locator(".found").inner_text()
    held = Held(page, "**/v1/evaluation?*", of_run(first))
    choose_run(page, first)
    held.wait()
    choose_run(page, second)
    held.let_go()
    still(page)
    assert page.locator(".found").inner_text() == before


def test_a_column_of_compare_shows_the_run_chosen_last(page, runs):
    first, second = runs
    use_sample(page, 1)
    show(page, "compare")
    page.locator(".difference canvas").wait_for()
    side = page.locator(".side").first
    held = Held(page, "**/v1/run?*", of_run(second))
    facts = side.locator("header .quiet").inner_text()
    side.locator("select").select_option(second)
    held.wait()
    side.locator("select").select_option(first)
    page.wait_for_timeout(200)
    held.let_go(change=lambda run: {**run, "num_parameters": 12})
    still(page)
    assert side.locator("select").input_value() == first
    assert side.locator("header .quiet").inner_text() == facts


def test_what_a_column_said_of_another_run_goes_where_the_run_does_not_answer(page, runs):
    first, _ = runs
    use_sample(page, 1)
    show(page, "compare")
    page.locator(".difference canvas").wait_for()
    held = Held(page, "**/v1/explain", lambda request: True)
    page.locator(".tools").get_by_label("Method").select_option("saliency")
    held.wait(2)
    refuse(page, "**/v1/predict")
    page.get_by_role("combobox", name="Second run").select_option(first)
    page.wait_for_timeout(300)
    held.let_go()
    page.locator(".difference [role=alert]").wait_for(timeout=5000)
    assert page.locator(".said-best").all_inner_texts() == ["", ""]


def test_the_methods_listed_are_those_of_the_run_chosen_last(page, runs):
    first, second = runs
    held = Held(page, "**/v1/methods?*", of_run(second))
    choose_run(page, second)
    held.wait()
    choose_run(page, first)
    options = page.locator("map-card select[aria-label=Method] option")
    page.wait_for_timeout(300)
    before = options.count()
    held.let_go(change=lambda body: {**body, "methods": body["methods"][:2]})
    assert options.count() == before > 2


def test_a_drawing_is_made_as_the_pictures_of_the_run_chosen_last(page, runs):
    first, second = runs
    choose_run(page, second)
    still(page)
    held, hold = [], True
    page.route(
        "**/v1/thumbnails/**",
        lambda route: held.append(route) if hold and of_run(first)(route.request) else route.fallback(),
    )
    choose_run(page, first)
    page.wait_for_timeout(200)
    choose_run(page, second)
    page.wait_for_timeout(300)
    hold, large = False, io.BytesIO()
    Image.new("L", (40, 40), 255).save(large, "PNG")
    for route in held:
        route.fulfill(status=200, body=large.getvalue(), content_type="image/png")
    page.wait_for_timeout(300)
    box = page.locator("digit-pad canvas").bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 200, steps=4)
    page.mouse.up()
    until(page, "/ px$/.test(document.querySelector('.caption').textContent)")
    assert "40 × 40" not in page.locator(".caption").inner_text()


def test_what_another_run_said_goes_where_the_run_in_use_does_not_answer(page, runs):
    _, second = runs
    use_sample(page, 1)
    refuse(page, "**/v1/predict")
    choose_run(page, second)
    verdict = page.locator(".verdict")
    verdict.get_by_text("busy").wait_for(timeout=5000)
    assert not page.locator("try-view .bars").is_visible() and page.locator(".foot").inner_text() == ""
    page.unroute("**/v1/predict")
    verdict.get_by_role("button", name="Try again").click()
    page.locator(".verdict .label").wait_for()


def test_a_run_that_could_not_be_had_is_not_shown_as_chosen(page, runs):
    first, second = runs
    use_sample(page, 1)
    refuse(page, "**/v1/run?*", of_run(second))
    choose_run(page, second, until_used=False)
    until(page, "name => document.querySelector('run-bar select').value === name", first, seconds=5)


def use_late(page: Any, number: int) -> Held:
    """Clicks a sample whose bytes are held back on their way to the page."""
    sample = page.locator(".sample:visible").nth(number)
    held = Bytes(page, sample.get_attribute("data-name"))
    sample.click()
    held.wait()
    return held


class Bytes(Held):
    """The same of a picture that is fetched."""

    def __init__(self, page: Any, path: str) -> None:
        super().__init__(page, f"**{path}", lambda request: request.resource_type == "fetch")

    def let_go(self) -> None:
        self.matches = lambda request: False
        for route, answer in self.held:
            route.fulfill(response=answer)
        self._page.wait_for_timeout(400)


def test_of_two_samples_the_one_clicked_last_is_shown(page):
    held = use_late(page, 1)
    use_sample(page, 2)
    chosen = page.locator(".sample[aria-pressed='true']:visible").get_attribute("data-name")
    held.let_go()
    still(page)
    assert page.locator(".sample[aria-pressed='true']:visible").get_attribute("data-name") == chosen


def test_the_page_waits_until_the_last_picture_is_answered(page):
    held = Held(page, "**/v1/predict", lambda request: True)
    use_late(page, 1).let_go()
    held.wait()
    use_late(page, 2).let_go()
    route, answer = held.held.pop()
    route.fulfill(response=answer)
    held.wait()
    assert page.locator("try-view.waiting").count() == 1
    held.let_go()
    assert page.locator("try-view.waiting").count() == 0


def test_a_mistake_that_comes_late_calls_nobody_back(page, runs):
    show(page, "judge")
    mistake = page.locator(".mistakes .picture").first
    mistake.wait_for()
    held = Bytes(page, "/v1/thumbnails/*")
    mistake.click()
    held.wait()
    show(page, "watch")
    held.let_go()
    assert page.evaluate("location.hash") == "#watch"


def test_an_evaluation_that_ends_does_not_undo_the_choice_of_another_run(page, runs):
    _, second = runs
    show(page, "judge")
    held = Held(page, "**/v1/run?*", of_run(second))
    choose_run(page, second, until_used=False)
    held.wait()
    page.evaluate(
        """async () => {
          const { desk } = await import("/page/desk.js");
          const made = document.createElement("run-evaluation");
          document.querySelector("judge-view").append(made);
          made.show(desk.run, { evaluating: { running: true }, can_evaluate: true }, {});
        }"""
    )
    page.wait_for_timeout(1200)  # it looks, and finds that nothing is running
    held.let_go()
    until(page, IN_USE, second, seconds=5)
    assert page.locator("run-bar select").input_value() == second


def test_a_view_that_does_not_come_says_nothing_on_another(page):
    held: list[Any] = []
    page.route("**/page/inside.js", lambda route: held.append(route))
    page.evaluate("location.hash = '#inside'")
    page.wait_for_timeout(300)
    show(page, "judge")
    held[0].abort()
    page.wait_for_timeout(300)
    assert page.locator("judge-view").is_visible()


def test_a_training_is_listened_to_once(page):
    watched = {"running": True, "ended": False, "can_stop": True, "stopping": False, "phase": "train", "words": ""}
    state = {**watched, "history": [], "points": [], "step": 1, "total_steps": 9, "filters": None}
    calls, held = [], []
    page.route("**/v1/training", lambda route: held.append(route))
    page.route("**/v1/training/events", lambda route: calls.append(route))
    page.evaluate("import('/page/desk.js').then(({ desk }) => { desk.run.watching = true; })")
    for view in ("watch", "try", "watch"):
        show(page, view)
        page.wait_for_timeout(200)
    assert len(held) == 2
    for route in held:
        route.fulfill(json=state)
    page.wait_for_timeout(400)
    assert len(calls) == 1
    show(page, "try")


def test_nothing_of_the_picture_before_stays_where_a_changed_one_is_not_answered(page):
    use_sample(page, 1)
    show(page, "judge")
    page.locator("shaken-picture .changed").wait_for()
    refuse(page, "**/v1/changed")
    use_sample(page, 2)
    page.locator(".notice").first.wait_for()
    assert not page.locator("shaken-picture .changed").is_visible()
    assert not page.locator("shaken-picture .bars").is_visible()


def test_a_training_that_ended_is_not_said_to_be_stopping(page):
    watched = {"running": True, "ended": False, "can_stop": True, "stopping": False, "phase": "train", "words": ""}
    state = {**watched, "history": [], "points": [], "step": 1, "total_steps": 9, "filters": None}
    ended = {**watched, "running": False, "ended": True, "phase": "done", "words": "saved"}
    calls, stops = [], []
    page.route("**/v1/training", lambda route: route.fulfill(json=state))
    page.route("**/v1/training/events", lambda route: calls.append(route))
    page.route("**/v1/training/stop", lambda route: stops.append(route))
    page.evaluate("import('/page/desk.js').then(({ desk }) => { desk.run.watching = true; })")
    show(page, "watch")
    page.get_by_role("button", name="Stop and save…").click()
    page.get_by_role("button", name="Stop and save", exact=True).click()
    page.wait_for_timeout(200)
    events = f"event: done\ndata: {json.dumps(ended)}\n\n"
    calls[0].fulfill(body=events, content_type="text/event-stream")
    page.get_by_text("Done: saved").wait_for(timeout=5000)
    stops[0].fulfill(json={"stopping": True})
    page.wait_for_timeout(200)
    assert page.locator(".headline").inner_text() == "Done: saved"


def test_a_picture_that_does_not_come_is_told_only_while_it_is_wanted(page):
    """With a token pictures are fetched."""
    page.evaluate("import('/page/api.js').then(({ useToken }) => useToken('some'))")
    held: list[Any] = []

    def hold(route: Any) -> None:
        if held and route.request.url != held[0].request.url:
            return route.fallback()
        return held.append(route) if not held else route.fulfill(status=503, json=BUSY)

    page.route("**/v1/pictures/*as=shown*", hold)
    use_sample(page, 1)
    page.wait_for_timeout(200)
    use_sample(page, 2)
    held[0].fulfill(status=503, json=BUSY)
    page.wait_for_timeout(500)
    assert page.locator(".notice").count() == 0
