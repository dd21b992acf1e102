"""Try in a real browser: a picture in any way, probabilities that follow, and the map with its checks."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from convlens.pictures import png_bytes
from tests.browser.lens_page import PHONE, WIDE, still, until, use_sample
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser

SEVEN = [(0.25, 0.2), (0.5, 0.2), (0.75, 0.2), (0.65, 0.45), (0.55, 0.65), (0.45, 0.85)]


@pytest.fixture
def page(chromium: Any, lens: str) -> Iterator[Any]:
    with opened(chromium, lens, viewport=WIDE, permissions=["camera"]) as page:
        page.locator(".sample").first.wait_for()
        yield page


def draw(page: Any, points: list[tuple[float, float]], *, up: bool = True) -> None:
    box = page.locator("digit-pad canvas").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=12)
    if up:
        page.mouse.up()


def verdict(page: Any) -> str:
    return page.locator(".verdict .label").inner_text()


def test_a_drawn_digit_is_recognised_and_the_bars_follow_while_it_is_drawn(page, tmp_path):
    draw(page, SEVEN[:3], up=False)
    page.locator(".verdict .label").wait_for()
    half = page.locator(".bars").inner_text()
    page.mouse.up()
    draw(page, SEVEN[2:])
    until(page, "before => document.querySelector('.bars').innerText !== before", half)
    still(page)
    page.screenshot(path=tmp_path / "drawn.png")
    assert verdict(page) == "7"


def test_a_drawing_is_answered_within_a_tenth_of_a_second(page):
    draw(page, SEVEN)
    still(page)
    took = page.evaluate(
        "performance.getEntriesByType('resource').filter(e => e.name.endsWith('/v1/predict')).map(e => e.duration)"
    )
    assert len(took) > 5
    assert statistics.median(took) < 100


def test_a_digit_is_drawn_by_keys_alone(page):
    page.locator("digit-pad canvas").focus()
    for key in ["ArrowUp"] * 4 + ["Space"] + ["ArrowDown"] * 22 + ["Space"]:
        page.keyboard.press(key)
    page.locator(".verdict .label").wait_for()
    still(page)
    assert verdict(page) == "1"
    page.keyboard.press("Backspace")
    page.get_by_text("Nothing asked yet").wait_for()


def test_undo_takes_a_stroke_back_and_clear_all(page):
    draw(page, SEVEN[:3])
    draw(page, SEVEN[2:])
    still(page)
    page.get_by_role("button", name="Undo").click()
    still(page)
    assert page.locator(".verdict .label").is_visible()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Nothing asked yet").wait_for()


def test_a_drawing_is_made_like_the_pictures_of_the_run(page):
    """The digits of the run are 8 × 8 pixels and fill the frame from top to bottom."""
    draw(page, [(0.45, 0.4), (0.55, 0.6)])
    still(page)
    assert "8 × 8 px" in page.locator(".caption").inner_text()
    rows = page.evaluate(
        """async () => {
          const { desk } = await import("/page/desk.js");
          const picture = await createImageBitmap(desk.picture.blob);
          const context = new OffscreenCanvas(8, 8).getContext("2d");
          context.drawImage(picture, 0, 0);
          const { data } = context.getImageData(0, 0, 8, 8);
          const eight = [...Array(8).keys()];
          return eight.map((row) => Math.max(...eight.map((column) => data[4 * (8 * row + column)])));
        }"""
    )
    assert min(rows) > 60, "every row has ink, light on dark"


def test_samples_are_chosen_by_mouse_and_by_arrow_keys(page):
    use_sample(page, 2)
    still(page)
    assert page.locator(".verdict .badge").inner_text() in ("right", "it is 2")
    page.locator(".sample").nth(2).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.sample')[3].ariaPressed === 'true'")
    assert "3" in page.locator(".caption").inner_text()


def test_a_file_is_chosen_dropped_and_pasted(page, tmp_path: Path):
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    Image.fromarray(np.tile(np.arange(40, dtype=np.uint8) * 6, (30, 1))).save(one)
    Image.fromarray(np.full((50, 60, 3), 90, np.uint8)).save(other)
    page.locator("picture-source input").set_input_files(one)
    page.get_by_text("one.png, 40 × 30 px").wait_for()
    give = """async ([kind, name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
      const given = kind === "drop" ? { dataTransfer: data } : { clipboardData: data };
      const kindOfEvent = kind === "drop" ? DragEvent : ClipboardEvent;
      document.body.dispatchEvent(new kindOfEvent(kind, { bubbles: true, cancelable: true, ...given }));
    }"""
    page.evaluate(give, ["drop", "dropped.png", list(other.read_bytes())])
    page.get_by_text("dropped.png, 60 × 50 px").wait_for()
    page.evaluate(give, ["paste", "pasted.png", list(one.read_bytes())])
    page.get_by_text("pasted.png, 40 × 30 px").wait_for()


def test_of_several_dropped_files_it_is_said_which_one_is_taken(page):
    page.evaluate("""async () => {
      const canvas = new OffscreenCanvas(20, 30);
      canvas.getContext("2d").fillRect(5, 5, 9, 9);
      const data = new DataTransfer();
      const blob = await canvas.convertToBlob();
      for (const name of ["one.png", "two.png"]) data.items.add(new File([blob], name, { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
    }""")
    page.get_by_text("one.png, 20 × 30 px").wait_for()
    assert "2 files came, and one.png is taken" in page.locator(".notice").inner_text()


def test_an_address_that_names_the_pad_opens_it_whatever_the_picture_is(page):
    use_sample(page)
    assert page.locator("digit-pad").is_hidden()
    page.evaluate("location.hash = '#try/draw'")
    page.locator("digit-pad canvas").wait_for()
    still(page)
    assert page.locator("digit-pad canvas").is_visible() and page.locator(".stage").is_hidden()


def test_the_camera_takes_a_picture_and_is_let_go(page):
    page.get_by_role("radio", name="Camera").click()
    page.get_by_role("button", name="Take the picture").click()
    page.get_by_text("photograph.jpg").wait_for()
    assert page.locator("camera-shot").is_hidden()
    page.evaluate("location.hash = '#judge'")
    page.locator("judge-view").wait_for()


def test_the_ways_to_give_a_picture_are_changed_by_arrow_keys(page):
    page.get_by_role("radio", name="Draw").focus()
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("radio", name="Picture").get_attribute("aria-checked") == "true"
    assert page.get_by_text("Drop a picture here").is_visible()


def test_what_is_no_picture_is_refused_with_what_to_do(chromium, lens, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG and then nothing of the kind")
    with opened(chromium, lens, viewport=PHONE, forgiven="422") as page:
        page.locator("picture-source input").set_input_files(broken)
        notice = page.locator(".notice")
        notice.wait_for()
        page.screenshot(path=tmp_path / "refused.png")
        assert "cannot be read" in notice.inner_text() and "another file" in notice.inner_text()
        notice.get_by_role("button").click()
        notice.wait_for(state="detached")


def test_the_map_changes_with_method_and_class_and_fades_with_the_slider(page):
    use_sample(page, 5)
    seen = page.locator("map-card .map")
    seen.wait_for()
    still(page)
    first = seen.get_attribute("src")
    page.get_by_label("Method").select_option("saliency")
    until(page, "before => document.querySelector('map-card .map').src !== before", first)
    second = seen.get_attribute("src")
    page.get_by_label("Class to explain").select_option("3")
    until(page, "before => document.querySelector('map-card .map').src !== before", second)
    page.get_by_label("Opacity of the map").focus()
    page.keyboard.press("Home")
    assert float(seen.evaluate("one => one.style.opacity")) == 0
    page.keyboard.press("End")
    assert float(seen.evaluate("one => one.style.opacity")) == 1


def test_the_badge_follows_the_map_and_says_what_it_means(page, tmp_path):
    use_sample(page, 1)
    badge = page.locator(".check .badge").first
    until(page, "/sanity checks/.test(document.querySelector('.check')?.innerText ?? '')", seconds=60)
    assert badge.inner_text().removeprefix("sanity checks ") in ("passed", "failed", "incomplete", "not asked")
    assert len(page.locator(".check p").inner_text()) > 30
    page.get_by_text("What was checked").click()
    assert page.locator(".check li").count() >= 1
    page.screenshot(path=tmp_path / "checked.png", full_page=True)


def test_a_picture_that_the_server_forgot_is_sent_again_unasked(chromium, lens):
    with opened(chromium, lens, viewport=WIDE, forgiven="410") as page:
        draw(page, SEVEN)
        page.locator("map-card .map").wait_for()
        still(page)
        noise = np.random.default_rng(0)
        for _ in range(2):
            files = [("picture", (f"{n}.png", png_bytes(noise.integers(0, 256, (9, 9), np.uint8)))) for n in range(64)]
            assert httpx.post(f"{lens}v1/predict", files=files).status_code == 200
        before = page.locator("map-card .map").get_attribute("src")
        page.get_by_label("Method").select_option("saliency")
        until(page, "before => document.querySelector('map-card .map').src !== before", before)
        assert page.locator(".notice").all_inner_texts() == []
